"""The runs of a target as other tools know runs: how each was configured, how it stands, and when it began and ended."""

from typing import Any, NamedTuple

from lander.protocol.events import AttemptEnded, AttemptStarted, RunQueued
from lander.protocol.experiment import Arm, RunKey
from lander.protocol.states import TERMINAL
from lander.store.log.reader import Reader
from lander.store.projections.status import RunStatus, status


class ExportedRun(NamedTuple):
    """One run. Times are microseconds since the Unix epoch: when it was first queued, when its first process started, and
    when its last one ended, if it is over."""

    key: RunKey
    arm: Arm
    status: RunStatus
    queued: int
    started: int | None
    ended: int | None

    @property
    def configuration(self) -> dict[str, Any]:
        """All that decides its bits, as in an experiment file."""
        arm = self.arm.model_dump(mode="json", exclude={"name", "role", "seeds", "defaults", "scheduled", "defaulted"})
        return {"arm": self.arm.name, "seed": self.key.seed, **arm}

    @property
    def settings(self) -> dict[str, Any]:
        """The same without a level below another: `hyperparameters.learning_rate`, as on the command line."""
        return _flat(self.configuration)


def runs_of(reader: Reader, target: str) -> list[ExportedRun]:
    """The runs of a target, in order; raises `NotFoundError` for one that does not exist."""
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
