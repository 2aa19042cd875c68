"""The status of experiments, as `lander-ctl status --json` prints it: a function of the projections.

Its cost depends on the number of runs asked for, not on what they recorded.
"""

from collections.abc import Sequence
from typing import Any, Final, TypedDict

from lander.protocol.returns import RETURN_WINDOW, mean_return
from lander.protocol.states import LIVE, QUARANTINED, KnownState, RunState
from lander.protocol.targets import matches
from lander.store.log.reader import Reader


class CheckpointStatus(TypedDict):
    """The last checkpoint that counts."""

    step: int
    digest: str


class ResourcesStatus(TypedDict):
    """The last measurement: CPU in percent of one core, resident memory in MB."""

    cpu_percent: float
    memory_mb: float
    gpu_percent: float | None


class ReplayStatus(TypedDict):
    """How many timesteps of its environments a starting attempt has played again, of how many, and how long it still takes."""

    played: int
    total: int
    seconds_left: float


class RunStatus(TypedDict):
    """The status of one run. `replay` is set only while its environments are played again, before training goes on."""

    id: str
    arm: str
    seed: int
    state: RunState
    cause: str | None
    detail: str | None
    why: str | None
    step: int
    total_steps: int
    percent: float
    steps_per_second: float | None
    eta_seconds: float | None
    episodes: int
    mean_return: float | None
    attempt: int
    resume: str | None
    host: str | None
    device: str | None
    pid: int | None
    checkpoint: CheckpointStatus | None
    resources: ResourcesStatus | None
    replay: ReplayStatus | None


class ExperimentStatus(TypedDict):
    """The status of one experiment with its runs; of a quarantined one, `quarantine` says why, and no runs are shown."""

    id: str
    state: KnownState
    hypothesis: str
    quarantine: str | None
    runs: list[RunStatus]


class Status(TypedDict):
    """The whole answer, as of a position in the log."""

    position: int
    experiments: list[ExperimentStatus]


_RUNS: Final = """
    SELECT p.id AS number, p.run AS id, p.arm, p.seed, p.state, p.cause, p.detail, p.why, p.step, p.total_steps, p.episodes,
           p.attempt, p.resume, p.host, p.device, p.pid, p.started_at, p.started_step, p.last_at,
           r.cpu_percent, r.memory_mb, r.gpu_percent
    FROM progress p LEFT JOIN resources r ON r.run = p.id AND r.at >= p.started_at
    WHERE p.experiment = ? ORDER BY p.id
"""
_CHECKPOINT: Final = "SELECT step, digest FROM checkpoints WHERE run = ? ORDER BY step DESC LIMIT 1"
_LAST_EVENT: Final = """
    SELECT e.kind, e.body FROM events e JOIN streams s ON s.id = e.stream
    WHERE s.name = ? AND e.producer = ? ORDER BY e.seq DESC LIMIT 1
"""
_RETURNS: Final = 'SELECT "return" FROM episodes WHERE run = ? ORDER BY number DESC LIMIT ?'


def status(reader: Reader, target: str | None = None) -> Status:
    """The status of a target, or of everything; raises `NotFoundError` for a target that does not exist."""
    with reader.snapshot():
        wanted = target.split("/", 1)[0] if target is not None else None
        if target is not None and not reader.quarantine(str(wanted)):
            reader.runs(target)
        rows = reader.connection.execute(
            "SELECT id, state, hypothesis FROM experiments WHERE ?1 IS NULL OR id = ?1 ORDER BY submitted", (wanted,)
        ).fetchall()
        return {"position": reader.position(), "experiments": [_experiment(reader, target, *row) for row in rows]}


def _experiment(reader: Reader, target: str | None, name: str, state: KnownState, hypothesis: str) -> ExperimentStatus:
    quarantine = reader.quarantine(name) if state == QUARANTINED else None
    runs = _runs(reader, name, target) if quarantine is None else []
    return {"id": name, "state": state, "hypothesis": hypothesis, "quarantine": quarantine, "runs": runs}


def _runs(reader: Reader, experiment: str, target: str | None) -> list[RunStatus]:
    cursor = reader.connection.execute(_RUNS, (experiment,))
    names = [column[0] for column in cursor.description]
    rows = [dict(zip(names, row, strict=True)) for row in cursor]
    return [_run(reader, row) for row in rows if target is None or matches(target, row["id"])]


def _run(reader: Reader, row: dict[str, Any]) -> RunStatus:
    speed = _steps_per_second(row)
    left = row["total_steps"] - row["step"]
    return {
        "id": row["id"],
        "arm": row["arm"],
        "seed": row["seed"],
        "state": row["state"],
        "cause": row["cause"],
        "detail": row["detail"],
        "why": row["why"],
        "step": row["step"],
        "total_steps": row["total_steps"],
        "percent": min(100.0, round(100 * row["step"] / row["total_steps"], 2)),
        "steps_per_second": speed,
        "eta_seconds": round(max(0, left) / speed, 1) if speed and row["state"] in LIVE else None,
        "episodes": row["episodes"],
        "mean_return": _mean_return(reader, row["number"]),
        "attempt": row["attempt"],
        "resume": row["resume"],
        "host": row["host"],
        "device": row["device"],
        "pid": row["pid"],
        "checkpoint": _checkpoint(reader, row["number"]),
        "resources": _resources(row) if row["state"] in LIVE else None,
        "replay": _replay(reader, row) if row["state"] == "starting" else None,
    }


def _steps_per_second(row: dict[str, Any]) -> float | None:
    """The mean over the current attempt: PPO alternates between acting and learning, so a short window would fluctuate."""
    if row["started_at"] is None or row["last_at"] is None or row["last_at"] <= row["started_at"]:
        return None
    seconds: float = (row["last_at"] - row["started_at"]) / 1e6
    steps: int = row["step"] - row["started_step"]
    return round(steps / seconds, 1)


def _checkpoint(reader: Reader, number: int) -> CheckpointStatus | None:
    row = reader.connection.execute(_CHECKPOINT, (number,)).fetchone()
    return None if row is None else {"step": row[0], "digest": row[1]}


def _replay(reader: Reader, row: dict[str, Any]) -> ReplayStatus | None:
    """The last event of the attempt, if it is about that."""
    last = reader.connection.execute(_LAST_EVENT, (row["id"], row["attempt"])).fetchone()
    if last is None or last[0] != "ReplayProgressed":
        return None
    from lander.protocol.wire import decode_event  # rarely needed, and slow to import

    event: Any = decode_event(*last)
    return {"played": event.played, "total": event.total, "seconds_left": round(event.seconds_left, 1)}


def _mean_return(reader: Reader, number: int) -> float | None:
    return mean_return([value for (value,) in reader.connection.execute(_RETURNS, (number, RETURN_WINDOW))])


def _resources(row: dict[str, Any]) -> ResourcesStatus | None:
    if row["memory_mb"] is None:
        return None
    return {name: row[name] for name in ("cpu_percent", "memory_mb", "gpu_percent")}  # type: ignore[return-value]  # the keys are the type's own


def every_run_completed(experiments: Sequence[ExperimentStatus]) -> bool:
    """Whether every run completed: the exit code 0 of `run` and `wait`."""
    return not any(experiment["quarantine"] for experiment in experiments) and all(
        run["state"] == "completed" for experiment in experiments for run in experiment["runs"]
    )
