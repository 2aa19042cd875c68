"""One home with a supervisor for all tests of the field."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

LANDER = (sys.executable, "-m", "lander")


class FieldHome:
    """A home whose supervisor is up, and the command line that is used with it."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def call(self, *arguments: object, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        """One command; its exit code is for the caller to judge."""
        command = [*LANDER, *map(str, arguments), "--home", str(self.home)]
        return subprocess.run(command, capture_output=True, text=True, env=os.environ, timeout=timeout)

    def train(self, name: str, *arguments: object) -> Path:
        """Train an experiment with one arm and seed 3; returns its final model."""
        done = self.call("run", "-q", "--experiment-id", name, "--seeds", 3, "--eval-episodes", 0, *arguments)
        assert done.returncode == 0, done.stderr
        return self.home / "experiments" / name / "models" / "baseline-3-final.zip"


@pytest.fixture(scope="session")
def field_home(tmp_path_factory):
    """A home in a directory that also is the working directory of nobody."""
    found = FieldHome(tmp_path_factory.mktemp("field"))
    up = found.call("up")
    assert up.returncode == 0, up.stderr
    yield found
    found.call("down")
