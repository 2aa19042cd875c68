"""What is played again, and where the film of it lies."""

import sys
from pathlib import Path

from lander.cli.conduct import results_directory
from lander.protocol.experiment import Arm, RunKey
from lander.store.reader import Reader


def arm_of(reader: Reader, run: str) -> Arm:
    """The arm of a run, its environment's module importable as it was for its trainers."""
    key = RunKey.parse(run)
    directory = reader.execution(key.experiment).directory
    if directory and directory not in sys.path:
        sys.path.insert(0, directory)
    return reader.experiment(key.experiment).arm(key.arm)


def film_path(home: Path, run: str, which: str) -> Path:
    """Where a film of a run lies if nobody says otherwise."""
    key = RunKey.parse(run)
    return results_directory(home, key.experiment) / "videos" / f"{key.arm}-{key.seed}-{which}.mp4"
