"""The status of experiments, as `lander-ctl status --json` prints it: a function of the projections.

Its cost depends on the number of runs asked for, not on what they recorded.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypedDict

from lander.protocol.returns import RETURN_WINDOW, mean_return
from lander.protocol.states import LIVE, QUARANTINED, UNSUPERVISED, RunState, ShownState
from lander.protocol.targets import matches
from lander.store.log.reader import Reader
from lander.store.projections.headline import Activity, Headline, Phase, headline

ETA_AFTER_SECONDS: Final = 5.0
"""An estimate of the time that is left needs this much training in the attempt, and a share of its steps."""
ETA_AFTER_SHARE: Final = 0.05
ETA_AT_LAST_SECONDS: Final = 60.0
"""After this much training, the share of the steps does not matter."""
MOST_PERCENT: Final = 99.99
"""Of a run that has not completed: steps beyond the last may still have an evaluation before them."""


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
    """The status of one run.

    `phase` says what it does where `state` does not. `why` is why a run was given up, or for which host a queued one waits
    (`store/records/waiting.py`). `percent` is 100 only when it has completed. `eta_seconds` is set only
    while it trains, after enough steps of its attempt. `replay` is set only while its environments are played again.
    """

    id: str
    arm: str
    seed: int
    state: RunState
    phase: Phase | None
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


class ExperimentStatus(Headline):
    """The status of one experiment with its runs; of a quarantined one, `quarantine` says why, and no runs are shown."""

    id: str
    hypothesis: str
    quarantine: str | None
    runs: list[RunStatus]


class Status(TypedDict):
    """The whole answer, as of a position in the log."""

    position: int
    experiments: list[ExperimentStatus]


_RUNS: Final = """
    SELECT p.id AS number, p.run AS id, p.arm, p.seed, p.state, p.cause, p.detail, p.why, p.step, p.total_steps, p.episodes,
           p.attempt, p.resume, p.host, p.device, p.pid, p.started_at, p.started_step, p.last_at, p.evaluating,
           r.cpu_percent, r.memory_mb, r.gpu_percent
    FROM progress p LEFT JOIN resources r ON r.run = p.id AND r.at >= p.started_at
    WHERE p.experiment = ? ORDER BY p.id
"""
_EXPERIMENTS: Final = "SELECT id, state, archived_at IS NOT NULL, hypothesis FROM experiments"
_HOLDERS: Final = """
    SELECT p.experiment FROM progress p JOIN experiments x ON x.id = p.experiment
    WHERE p.state IN ('starting', 'running', 'stopping') AND x.state <> 'quarantined'
    GROUP BY p.experiment ORDER BY x.submitted
"""
"""The experiments that hold slots."""
_CHECKPOINT: Final = "SELECT step, digest FROM checkpoints WHERE run = ? ORDER BY step DESC LIMIT 1"
_LAST_EVENT: Final = """
    SELECT e.kind, e.body FROM events e JOIN streams s ON s.id = e.stream
    WHERE s.name = ? AND e.producer = ? ORDER BY e.seq DESC LIMIT 1
"""
_RETURNS: Final = 'SELECT "return" FROM episodes WHERE run = ? ORDER BY number DESC LIMIT ?'


class _Look(NamedTuple):
    """What is the same for all experiments; `holders` are those that hold slots."""

    reader: Reader
    supervised: bool
    holders: Sequence[str]


def status(reader: Reader, target: str | None = None, *, supervised: bool = True) -> Status:
    """The status of a target, or of everything but the archived; raises `NotFoundError` for a target that does not exist.

    Where no supervisor serves the home, what is recorded as live may have ended: then nothing is said of what it does now.
    """
    with reader.snapshot():
        wanted = target.split("/", 1)[0] if target is not None else None
        if target is not None and not reader.quarantine(str(wanted)):
            reader.runs(target)
        rows = reader.connection.execute(
            f"{_EXPERIMENTS} WHERE coalesce(id = ?1, archived_at IS NULL) ORDER BY submitted", (wanted,)
        ).fetchall()
        look = _Look(reader, supervised, _holders(reader))
        return {"position": reader.position(), "experiments": [_experiment(look, target, *row) for row in rows]}


def headlines(reader: Reader, *, supervised: bool = True) -> dict[str, Headline]:
    """The headline of every experiment, by id. Cheaper than their status: it reads no returns."""
    with reader.snapshot():
        look, rows = _Look(reader, supervised, _holders(reader)), reader.connection.execute(_EXPERIMENTS).fetchall()
        return {
            name: _headline(look, state, archived, [] if state == QUARANTINED else _rows(look, name))
            for name, state, archived, _ in rows
        }


def _holders(reader: Reader) -> list[str]:
    return [name for (name,) in reader.connection.execute(_HOLDERS)]


def _experiment(
    look: _Look, target: str | None, name: str, state: ShownState, archived: bool, hypothesis: str
) -> ExperimentStatus:
    rows = [] if state == QUARANTINED else _rows(look, name)
    return {
        "id": name,
        **_headline(look, state, archived, rows),
        "hypothesis": hypothesis,
        "quarantine": look.reader.quarantine(name) if state == QUARANTINED else None,
        "runs": [_run(look.reader, row) for row in rows if target is None or matches(target, row["id"])],
    }


def _headline(look: _Look, state: ShownState, archived: bool, rows: Sequence[dict[str, Any]]) -> Headline:
    waits = [row["why"] for row in rows if row["state"] == "queued"]
    activities, hosts = [_activity(row) for row in rows], waits if all(waits) else ()
    return headline(state, activities, look.holders, hosts, supervised=look.supervised, archived=bool(archived))


def _activity(row: dict[str, Any]) -> Activity:
    cause = row["cause"]
    return Activity(row["state"], row["phase"], cause not in (None, "preempted", "host_unfit"), cause == "host_unfit")


def _rows(look: _Look, experiment: str) -> list[dict[str, Any]]:
    """What is stored of every run of the experiment, whatever was asked for: its headline follows from all of them."""
    reader = look.reader
    cursor = reader.connection.execute(_RUNS, (experiment,))
    names = [column[0] for column in cursor.description]
    rows = [dict(zip(names, row, strict=True)) for row in cursor]
    waits = _waiting(reader, experiment, rows)
    for row in rows:
        row["why"] = row["why"] or waits.get(row["id"])
        row["replay"] = _replay(reader, row) if row["state"] == "starting" and look.supervised else None
        row["phase"] = _phase(reader, row) if look.supervised or row["state"] not in LIVE else UNSUPERVISED
    return rows


def _waiting(reader: Reader, experiment: str, rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    """For which host each queued run waits, if a slot of any host would not do."""
    if all(row["state"] != "queued" for row in rows):
        return {}
    from lander.store.records.waiting import waiting  # slow to import, and needed only where runs wait

    return waiting(reader, experiment)


def _phase(reader: Reader, row: dict[str, Any]) -> Phase | None:
    match row["state"]:
        case "running" if row["evaluating"] is not None:
            return "evaluating"
        case "running":
            return "finishing" if row["step"] >= row["total_steps"] else "training"
        case "starting":
            return "replaying" if row["replay"] else None
        case "stopping" | "completed":
            return None
    return "owes an evaluation" if _owes_evaluation(reader, row) else None


def _owes_evaluation(reader: Reader, row: dict[str, Any]) -> bool:
    """Whether its next attempt continues where an evaluation has yet to be made: from a checkpoint of that step."""
    checkpoint = _checkpoint(reader, row["number"]) if row["evaluating"] is not None else None
    return checkpoint is not None and checkpoint["step"] == row["evaluating"]


def _run(reader: Reader, row: dict[str, Any]) -> RunStatus:
    speed = _steps_per_second(row)
    return {
        "id": row["id"],
        "arm": row["arm"],
        "seed": row["seed"],
        "state": row["state"],
        "phase": row["phase"],
        "cause": row["cause"],
        "detail": row["detail"],
        "why": row["why"],
        "step": row["step"],
        "total_steps": row["total_steps"],
        "percent": _percent(row),
        "steps_per_second": speed,
        "eta_seconds": _eta_seconds(row, speed),
        "episodes": row["episodes"],
        "mean_return": _mean_return(reader, row["number"]),
        "attempt": row["attempt"],
        "resume": row["resume"],
        "host": row["host"],
        "device": row["device"],
        "pid": row["pid"],
        "checkpoint": _checkpoint(reader, row["number"]),
        "resources": _resources(row) if row["state"] in LIVE and row["phase"] != UNSUPERVISED else None,
        "replay": row["replay"],
    }


def _percent(row: dict[str, Any]) -> float:
    return 100.0 if row["state"] == "completed" else min(MOST_PERCENT, round(100 * row["step"] / row["total_steps"], 2))


def _eta_seconds(row: dict[str, Any], speed: float | None) -> float | None:
    """The time left at the mean speed of the attempt; None unless it trains, and has done so for long enough to tell."""
    if row["phase"] != "training" or not speed:
        return None
    seconds, done, wanted = _trained_seconds(row), row["step"] - row["started_step"], row["total_steps"] - row["started_step"]
    early = done < ETA_AFTER_SHARE * wanted and seconds < ETA_AT_LAST_SECONDS
    return None if early or seconds < ETA_AFTER_SECONDS else round((row["total_steps"] - row["step"]) / speed, 1)


def _trained_seconds(row: dict[str, Any]) -> float:
    """From the start of the attempt's training to its last recorded steps."""
    began, last = row["started_at"], row["last_at"]
    return 0.0 if began is None or last is None else float((last - began) / 1e6)


def _steps_per_second(row: dict[str, Any]) -> float | None:
    """The mean over the current attempt: PPO alternates between acting and learning, so a short window would fluctuate."""
    seconds, steps = _trained_seconds(row), row["step"] - row["started_step"]
    return round(steps / seconds, 1) if seconds > 0 else None


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
