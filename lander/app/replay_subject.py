"""The subject of a replay: one run, and its arm with an importable environment."""

from typing import Final

from lander.actors.environment.import_path import CodeError, OtherCodeError, make_importable
from lander.protocol.errors import HomeError, UsageError
from lander.protocol.experiment import Arm, RunKey
from lander.store.log.reader import Reader
from lander.store.records.run_code import code_of

MOST_AT_ONCE: Final = 25
"""The most episodes in one film."""


class OtherVersionError(HomeError):
    """This process has imported other code in the place of a run's: `own_process.py` is for that."""


def only_run(reader: Reader, name: str) -> None:
    """Require the name of one run; raises `UsageError` if it names several, `NotFoundError` if none."""
    if (runs := reader.runs(name)) != [name]:
        raise UsageError(f"{name}: names {len(runs)} runs; name one, such as {runs[0]}")


def arm_of(reader: Reader, run: str) -> Arm:
    """The arm of a run; makes the modules of its environment importable, as its trainers did.

    Raises `HomeError` if that code is missing or damaged, `OtherVersionError` if this process has imported other code in its
    place.
    """
    key = RunKey.parse(run)
    try:
        make_importable(reader.home, code_of(reader, run), reader.execution(key.experiment).directory)
    except OtherCodeError as error:
        raise OtherVersionError(f"{run}: {error}") from error
    except CodeError as error:
        raise HomeError(f"{run}: {error}") from error
    return reader.experiment(key.experiment).configuration(key)


def evaluation_of(reader: Reader, run: str) -> Arm:
    """The same for the run's evaluations, which may be played in an environment that all arms share."""
    return arm_of(reader, run).evaluated_in(reader.experiment(RunKey.parse(run).experiment).evaluation_environment)
