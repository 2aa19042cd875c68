"""The paths in a home, for its writers and its readers."""

from pathlib import Path
from typing import Final, Literal

from lander.protocol.experiment import RunKey

ARTIFACTS: Final = "artifacts"
"""The directory of checkpoint files, each named by the SHA-256 of its content."""
CODE: Final = "code"
"""The directory of unpacked code, one folder for each archive: it can be deleted at any time, and is unpacked again."""
EXPERIMENTS: Final = "experiments"
"""The directory of the files for people, one folder for each experiment."""

SETTINGS: Final = "lander.toml"
"""What people set for a home: launchers, an object store, the rate of files."""


def artifact_path(home: Path, sha256: str) -> Path:
    """The file with this content; it lies in a directory for the first byte of the hash, to keep directories small."""
    return home / ARTIFACTS / sha256[:2] / sha256


def code_directory(home: Path, sha256: str) -> Path:
    """The directory that the captured code of this archive is unpacked to."""
    return home / CODE / sha256


def experiment_directory(home: Path, experiment: str) -> Path:
    """The directory of an experiment's logs, models, films, reports and exports."""
    return home / EXPERIMENTS / experiment


def experiment_log(home: Path, experiment: str) -> Path:
    """The log of what happened to an experiment, line by line."""
    return experiment_directory(home, experiment) / "logs" / "experiment.log"


def trainer_log(home: Path, run: RunKey) -> Path:
    """The output of a run's trainers."""
    return experiment_directory(home, run.experiment) / "logs" / f"{_name(run)}.log"


def models_directory(home: Path, experiment: str) -> Path:
    """The directory of an experiment's models."""
    return experiment_directory(home, experiment) / "models"


def model_path(home: Path, run: RunKey, which: Literal["final", "best"]) -> Path:
    """One of a run's models: an ordinary Stable-Baselines3 zip."""
    return models_directory(home, run.experiment) / f"{_name(run)}-{which}.zip"


def statistics_path(model: Path) -> Path:
    """The statistics beside a model: `fast-0-best-vecnormalize.pkl`, but for the final model `fast-0-vecnormalize.pkl`."""
    return model.with_name(f"{model.stem.removesuffix('-final')}-vecnormalize.pkl")


def films_directory(home: Path, experiment: str) -> Path:
    """The directory of an experiment's films."""
    return experiment_directory(home, experiment) / "videos"


def film_path(home: Path, run: RunKey, which: str) -> Path:
    """The default path of a film of a run."""
    return films_directory(home, run.experiment) / f"{_name(run)}-{which}.mp4"


def reports_directory(home: Path, experiment: str) -> Path:
    """The directory of reports on an experiment."""
    return experiment_directory(home, experiment) / "reports"


def exports_directory(home: Path, experiment: str) -> Path:
    """The directory of exports of an experiment."""
    return experiment_directory(home, experiment) / "exports"


def _name(run: RunKey) -> str:
    """The run's id within its experiment, as a file name."""
    return "-".join((run.arm, *([run.task] if run.task else []), str(run.seed)))
