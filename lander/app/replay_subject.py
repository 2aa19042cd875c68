"""What is played again, and where the film of it lies."""

from typing import Final

from lander.actors.environment.import_path import add_import_path
from lander.protocol.errors import UsageError
from lander.protocol.experiment import Arm, RunKey
from lander.store.log.reader import Reader

MOST_AT_ONCE: Final = 25
"""Episodes in one film."""


def only_run(reader: Reader, name: str) -> None:
    """Raise `UsageError` or `NotFoundError` unless this names one run."""
    if (runs := reader.runs(name)) != [name]:
        raise UsageError(f"{name}: names {len(runs)} runs; name one, such as {runs[0]}")


def arm_of(reader: Reader, run: str) -> Arm:
    """The arm of a run, its environment's module importable as it was for its trainers."""
    key = RunKey.parse(run)
    add_import_path(reader.execution(key.experiment).directory)
    return reader.experiment(key.experiment).configuration(key)
