"""Where things lie in a home, for those who write them and those who read them."""

from pathlib import Path
from typing import Final, Literal

from lander.protocol.experiment import RunKey

ARTIFACTS: Final = "artifacts"
"""The directory of checkpoint files, each named by the SHA-256 of its content."""
EXPERIMENTS: Final = "experiments"
"""The directory of what people look at, experiment by experiment."""


def artifact_path(home: Path, sha256: str) -> Path:
    """The file with this content; a directory for each first byte keeps directories small."""
    return home / ARTIFACTS / sha256[:2] / sha256


def experiment_directory(home: Path, experiment: str) -> Path:
    """Where an experiment's logs, models, films, reports and exports lie."""
    return home / EXPERIMENTS / experiment


def experiment_log(home: Path, experiment: str) -> Path:
    """What happened to an experiment, line by line."""
    return experiment_directory(home, experiment) / "logs" / "experiment.log"


def trainer_log(home: Path, run: RunKey) -> Path:
    """What the trainers of a run print."""
    return experiment_directory(home, run.experiment) / "logs" / f"{_name(run)}.log"


def model_path(home: Path, run: RunKey, which: Literal["final", "best"]) -> Path:
    """One of a run's models: an ordinary Stable-Baselines3 zip."""
    return experiment_directory(home, run.experiment) / "models" / f"{_name(run)}-{which}.zip"


def films_directory(home: Path, experiment: str) -> Path:
    """Where films of an experiment lie."""
    return experiment_directory(home, experiment) / "videos"


def film_path(home: Path, run: RunKey, which: str) -> Path:
    """Where a film of a run lies if nobody says otherwise."""
    return films_directory(home, run.experiment) / f"{_name(run)}-{which}.mp4"


def reports_directory(home: Path, experiment: str) -> Path:
    """Where reports on an experiment lie."""
    return experiment_directory(home, experiment) / "reports"


def exports_directory(home: Path, experiment: str) -> Path:
    """Where exports of an experiment lie."""
    return experiment_directory(home, experiment) / "exports"


def _name(run: RunKey) -> str:
    """The run within its experiment, as the name of a file."""
    return "-".join((run.arm, *([run.task] if run.task else []), str(run.seed)))
