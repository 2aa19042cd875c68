"""The subject of a replay: one run, and its arm with an importable environment."""

from typing import Final

from lander.actors.environment.import_path import add_import_path
from lander.protocol.errors import UsageError
from lander.protocol.experiment import Arm, RunKey
from lander.store.log.reader import Reader

MOST_AT_ONCE: Final = 25
"""The most episodes in one film."""


def only_run(reader: Reader, name: str) -> None:
    """Require the name of one run; raises `UsageError` if it names several, `NotFoundError` if none."""
    if (runs := reader.runs(name)) != [name]:
        raise UsageError(f"{name}: names {len(runs)} runs; name one, such as {runs[0]}")


def arm_of(reader: Reader, run: str) -> Arm:
    """The arm of a run; makes the module of its environment importable, from the directory that its trainers used."""
    key = RunKey.parse(run)
    add_import_path(reader.execution(key.experiment).directory)
    return reader.experiment(key.experiment).configuration(key)
