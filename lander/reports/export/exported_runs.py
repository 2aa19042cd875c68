"""The runs of a target as other tools describe runs: configuration, status, and times of start and end."""

from typing import Any, NamedTuple

from lander.protocol.events import AttemptEnded, AttemptStarted, RunQueued
from lander.protocol.experiment import Arm, RunKey
from lander.protocol.states import TERMINAL
from lander.store.log.reader import Reader
from lander.store.projections.status import RunStatus, status


class ExportedRun(NamedTuple):
    """One run. Times are microseconds since the Unix epoch: first queued, first attempt started, and last attempt ended if the
    run is over."""

    key: RunKey
    arm: Arm
    status: RunStatus
    queued: int
    started: int | None
    ended: int | None

    @property
    def configuration(self) -> dict[str, Any]:
        """Everything that determines the run's bits, as in an experiment file."""
        arm = self.arm.model_dump(mode="json", exclude={"name", "role", "seeds", "defaults", "scheduled", "defaulted"})
        return {"arm": self.arm.name, "seed": self.key.seed, **arm}

    @property
    def settings(self) -> dict[str, Any]:
        """The configuration with flat keys, as on the command line: `hyperparameters.learning_rate`."""
        return _flat(self.configuration)


def runs_of(reader: Reader, target: str) -> list[ExportedRun]:
    """The runs of a target, in order; raises `NotFoundError` for an unknown target."""
    (standing,) = status(reader, target)["experiments"]
    experiment = reader.experiment(standing["id"])
    return [_run(reader, experiment.configuration(RunKey.parse(run["id"])), run) for run in standing["runs"]]


def _run(reader: Reader, arm: Arm, standing: RunStatus) -> ExportedRun:
    moments: dict[str, list[int]] = {kind: [] for kind in (RunQueued.kind, AttemptStarted.kind, AttemptEnded.kind)}
    for stored in reader.events(standing["id"], list(moments)):
        moments[stored.kind].append(stored.at)
    queued, started, ended = moments.values()
    over = standing["state"] in TERMINAL
    return ExportedRun(
        key=RunKey.parse(standing["id"]),
        arm=arm,
        status=standing,
        queued=queued[0],
        started=started[0] if started else None,
        ended=ended[-1] if ended and over else None,
    )


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) and value else {prefix + name: value}
    return flat
