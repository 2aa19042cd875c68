"""The tutorial on a game and a robot, as it stands: its files are written, its commands are carried out, its outputs appear."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.field, pytest.mark.timeout(1800)]

PAGE = Path(__file__).parents[2] / "docs" / "tutorial-atari-mujoco.md"
FILE = re.compile(r"`(\w+\.yaml)`:\n\n```yaml\n(.*?)```", re.DOTALL)
CONSOLE = re.compile(r"```console\n(.*?)```", re.DOTALL)


def commands(text):
    """Every command of the page, as its words, with the lines that the page shows below it."""
    for block in CONSOLE.findall(text):
        for typed in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *shown = typed.splitlines()
            yield shlex.split(command), [line for line in shown if line != "..."]


@pytest.mark.parametrize("name", ["breakout", "hopper"])
def test_the_tutorial_of_a_game_and_a_robot(name, tmp_path):
    text = PAGE.read_text()
    for file, content in FILE.findall(text):
        (tmp_path / file).write_text(content)
    asked = [(words, shown) for words, shown in commands(text) if any(name in word for word in words)]
    assert [words[1] for words, _ in asked][:2] == ["validate", "run"]
    for words, shown in asked:
        done = lander(words, tmp_path)
        assert done.returncode == 0, done.stderr
        for line in shown:
            pattern = re.escape(line).replace("…", r".+")
            assert re.search(f"^{pattern}$", done.stdout, re.MULTILINE), (line, done.stdout)


def lander(words, directory):
    """Carry out a command of the page in a directory, in the environment of the tests."""
    assert words[0] == "lander-ctl"
    environment = {name: value for name, value in os.environ.items() if name != "LANDER_HOME"}
    command = [sys.executable, "-m", "lander", *words[1:]]
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, timeout=900)
