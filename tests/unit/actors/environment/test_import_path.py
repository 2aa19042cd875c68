"""Where modules of environments are looked for: last of all, so that nothing that is installed is shadowed."""

import importlib
import sys

import pytest

from lander.actors.environment.import_path import add_import_path


@pytest.mark.parametrize("first", [False, True], ids=["last", "the negative control: first"])
def test_a_file_beside_an_experiment_shadows_nothing(tmp_path, monkeypatch, first):
    (tmp_path / "colorsys.py").write_text("raise RuntimeError('not the one that is meant')")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path] if first else list(sys.path))
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    add_import_path(str(tmp_path))
    if first:
        with pytest.raises(RuntimeError, match="not the one that is meant"):
            importlib.import_module("colorsys")
    else:
        assert importlib.import_module("colorsys").rgb_to_hsv(0, 0, 0) == (0.0, 0.0, 0)


def test_a_directory_is_noted_once_and_none_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = list(sys.path)
    for directory in (str(tmp_path), "", str(tmp_path)):
        add_import_path(directory)
    assert sys.path == [*before, str(tmp_path)]
