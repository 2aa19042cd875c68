"""Where modules of environments are looked for: last of all, so that nothing that is installed is shadowed."""

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from lander.actors.environment import import_path
from lander.actors.environment.import_path import CodeError, OtherCodeError, add_import_path, forget_captured, make_importable
from lander.home.layout import code_directory


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


@pytest.mark.parametrize("home", ["home", "elsewhere"], ids=["the same home", "the negative control: another"])
def test_captured_code_in_a_home_that_is_named_relatively_can_be_made_importable_again(tmp_path, monkeypatch, home):
    """As by a report with films of several runs, which builds the environment for each."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(import_path, "unpacked", lambda home, archive: Path(home) / archive)
    monkeypatch.delitem(sys.modules, "captured_maze", raising=False)
    for each in ("home", "elsewhere"):
        Path(each, "a", "0").mkdir(parents=True)
        Path(each, "a", "0", "captured_maze.py").write_text("")
    code = SimpleNamespace(archive="a", modules=("captured_maze",), name="a")
    make_importable(Path("home"), code)
    importlib.import_module("captured_maze")
    if home == "home":
        make_importable(Path(home), code)
    else:
        with pytest.raises(CodeError, match="is imported from"):
            make_importable(Path(home), code)
    del sys.modules["captured_maze"]


def test_of_two_versions_of_captured_code_nothing_is_looked_for_in_the_first(tmp_path, monkeypatch):
    """A module that only the first version has is not there for the second, nor for a run whose code was not captured."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(import_path, "unpacked", code_directory)
    before = list(sys.path)
    for digit in "ab":
        (code_directory(tmp_path, digit * 64) / "0").mkdir(parents=True)
    for digit in "ab":
        make_importable(tmp_path, SimpleNamespace(archive=digit * 64, modules=(), name=digit))
        assert sys.path == [str(code_directory(tmp_path, digit * 64) / "0"), *before]
    with pytest.raises(OtherCodeError, match="was not captured"):
        make_importable(tmp_path, None, str(tmp_path))
    forget_captured(tmp_path)
    make_importable(tmp_path, None, str(tmp_path))
    assert sys.path == [*before, str(tmp_path)]
