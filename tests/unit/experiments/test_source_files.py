"""Which files are the code of an environment: what a module imports and names, and nothing that is installed or derived."""

import sys

import pytest

from lander.experiments import source_files
from lander.experiments.source_files import find_source
from lander.protocol.errors import ConfigurationError

ENVIRONMENT = """
import json
import numpy
import gymnasium
from pathlib import Path
import windy_rewards
try:
    import not_there
except ImportError:
    pass
LEVELS = Path(__file__).parent / "windy_levels.json"
def sound(number): return f"windy-{number}.wav"
gymnasium.register("Windy-v0", entry_point="windy_world:World")
"""


def write(directory, **files):
    for name, text in files.items():
        path = directory / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def project(tmp_path):
    write(tmp_path, **{"windy.py": ENVIRONMENT, "windy_rewards.py": "from windy_package import scale", "windy_world.py": ""})
    write(tmp_path, **{"windy_levels.json": "[]", "windy-1.wav": "", "windy-2.wav": "", "unrelated.txt": "", "notes.py": ""})
    write(tmp_path, **{"windy_package/scale.py": "from . import other", "windy_package/data/table.csv": ""})
    (tmp_path / "windy_package" / "__init__.py").write_text("")
    return tmp_path


def names(source):
    return {name.partition("/")[2] for name in source.files}


def test_a_module_is_taken_with_what_it_imports_and_names(project):
    found = find_source(["windy:Windy-v0"], str(project))
    beside = {"windy.py", "windy_rewards.py", "windy_world.py", "windy_levels.json", "windy-1.wav", "windy-2.wav"}
    assert names(found) == beside | {"windy_package/__init__.py", "windy_package/scale.py", "windy_package/data/table.csv"}
    assert found.modules == ["windy", "windy_rewards", "windy_package", "windy_world"]
    assert found.installed == ["numpy", "gymnasium"]
    assert found.uncaptured == []
    assert not {"windy", "windy_rewards"} & sys.modules.keys(), "nothing of it was run"


def test_what_is_derived_hidden_or_a_home_is_not_taken(project):
    package = project / "windy_package"
    write(package, **{".git/config": "", ".secret": "", "environment/pyvenv.cfg": "", "environment/lib.py": "", "old.pyc": ""})
    write(package, **{"results/events.db": "", "results/model.zip": "", "results/more/model.zip": ""})
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "scale.cpython-311.pyc").write_text("")
    found = find_source(["windy_package:Windy-v0"], str(project))
    assert names(found) == {"windy_package/__init__.py", "windy_package/scale.py", "windy_package/data/table.csv"}


def test_an_installed_environment_has_no_files(tmp_path):
    found = find_source(["LunarLander-v3", "gymnasium:CartPole-v1"], str(tmp_path))
    assert (found.files, found.installed) == ({}, ["gymnasium"])


def test_an_editable_install_is_taken_from_where_it_is(project, tmp_path_factory, monkeypatch):
    monkeypatch.syspath_prepend(project)
    found = find_source(["windy_package:Windy-v0"], str(tmp_path_factory.mktemp("elsewhere")))
    assert "windy_package/scale.py" in names(found)


@pytest.mark.parametrize("on_the_path", [False, True])
def test_files_of_two_directories_do_not_meet(project, tmp_path_factory, monkeypatch, on_the_path):
    other = tmp_path_factory.mktemp("other")
    write(other, **{"windy_rewards.py": "TABLE = 'windy_levels.json'", "windy_levels.json": "[1]"})
    (project / "windy_rewards.py").unlink()
    if on_the_path:
        monkeypatch.syspath_prepend(other)
    found = find_source(["windy:Windy-v0"], str(project), *([] if on_the_path else [str(other)]))
    levels = [file for name, file in found.files.items() if name.endswith("windy_levels.json")]
    assert sorted(file.read_text() for file in levels) == ["[1]", "[]"]


def test_what_is_in_no_file_is_uncaptured(tmp_path):
    assert find_source(["__main__:Mine-v0"], str(tmp_path)).uncaptured == ["__main__"]


def test_a_module_that_does_not_exist_is_left_to_the_check_of_requirements(tmp_path):
    found = find_source(["nowhere:Gone-v0"], str(tmp_path))
    assert (found.files, found.uncaptured) == ({}, [])


@pytest.mark.parametrize("text", ["def broken(", "x = 'a\\x00b'", "x = '../../etc/passwd'", "x = '/etc/passwd'", "x = '*'"])
def test_nothing_outside_is_taken_and_nothing_unreadable_stops_it(project, text):
    (project / "windy.py").write_text(text)
    assert names(find_source(["windy:Windy-v0"], str(project))) == {"windy.py"}


def test_a_pipe_is_no_source(project):
    import os

    os.mkfifo(project / "windy_package" / "pipe")
    assert "windy_package/pipe" not in names(find_source(["windy_package:Windy-v0"], str(project)))


def test_too_much_is_refused_and_says_what_is_large(project, monkeypatch):
    monkeypatch.setattr(source_files, "MAX_BYTES", 1000)
    write(project, **{"windy_package/huge.bin": "x" * 1001})
    with pytest.raises(ConfigurationError, match=r"more than can be captured .* the largest are 0/windy_package/huge\.bin"):
        find_source(["windy_package:Windy-v0"], str(project))
    monkeypatch.undo()
    monkeypatch.setattr(source_files, "MAX_FILES", 2)
    with pytest.raises(ConfigurationError, match="more than can be captured"):
        find_source(["windy_package:Windy-v0"], str(project))
