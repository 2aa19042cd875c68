"""The supervisor's state: one fold over the consequential events, and nothing else builds it.

`evolve` is pure. It trusts the log: an event that is impossible in the current state is a defect and raises. An event of an
attempt that is over changes only the checkpoints from which the run can continue. An experiment with an event that cannot be
read is left out, and said to be quarantined: the others go on.

States are immutable values. One event changes little (a page of runs, a few bits, the few live runs), so that neither an
event nor a decision costs more with ten thousand runs.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import reduce
from typing import Any, Final, get_args

from lander.protocol import events as e
from lander.protocol.errors import StoreError
from lander.protocol.growth import Growth, execution_after, experiment_after
from lander.protocol.lifecycle import next_experiment_state, next_run_state
from lander.protocol.lineage import still_counts
from lander.supervisor.core import host_fold, launcher_fold
from lander.supervisor.core.annotations import Annotating
from lander.supervisor.core.experiment_runs import needs_of, runs_of, standing_of
from lander.supervisor.core.pairs import classes_after, run_moved
from lander.supervisor.core.standing import Attempt, Failure, RunStanding
from lander.supervisor.core.state import State

KEPT_CHECKPOINTS: Final = 3
"""How many of a run's last checkpoints its next attempt may use, in case the files of the last are damaged."""
NO_FAILURE: Final[frozenset[e.Cause]] = frozenset(
    {"completed", "stopped", "paused", "preempted", "limit_exceeded", "host_unfit"}
)
"""Causes of an attempt's end that are not failures and do not count towards the restart intensity."""


def fold(events: Iterable[e.Recorded], start: State | None = None) -> State:
    """The state after these events."""
    return reduce(evolve, events, start or State())


def evolve(state: State, recorded: e.Recorded) -> State:
    """The state after one more event."""
    handler = _HANDLERS.get(type(recorded.event))
    if handler is None or (state.quarantined and e.experiment_of(recorded.stream) in state.quarantined):
        return state
    return handler(state, recorded, recorded.event)


def _put_run(state: State, run: RunStanding) -> State:
    """Replace a run, and update the indexes that depend on it; nothing else replaces one."""
    before = state.runs[run.id]
    state = replace(state, runs=state.runs.put(run.id, run))
    if (run.state, run.stands_on, run.continues_on) != (before.state, before.stands_on, before.continues_on):
        moved = run_moved(state.experiments[run.experiment], state.runs, before, run)
        state = replace(state, experiments=state.experiments.put(run.experiment, moved))
    if run.live != before.live:
        state = replace(state, slots=state.slots.moved(before, run))
    delay = run.delay if run.state == "queued" and run.delay else None
    if delay != state.delayed.get(run.id):
        others = {name: seconds for name, seconds in state.delayed.items() if name != run.id}
        state = replace(state, delayed=others if delay is None else {**others, run.id: delay})
    return state


def _change_run(state: State, name: str, **changes: Any) -> State:
    return _put_run(state, replace(state.runs[name], **changes))


# ---------------------------------------------------------------------------------------------------- experiments


def _submitted(state: State, recorded: e.Recorded, event: e.ExperimentSubmitted) -> State:
    runs = runs_of(event.experiment, event.execution, state.runs)
    standing = standing_of(event.experiment, event.execution, runs, {})
    return replace(
        state,
        experiments=state.experiments.extended([(recorded.stream, standing)]),
        runs=state.runs.extended((run.id, run) for run in runs),
        under_way=(*state.under_way, recorded.stream),
    )


def _grown(state: State, recorded: e.Recorded, event: Growth) -> State:
    before, catalogue = state.experiments[recorded.stream], state.runs
    experiment, execution = experiment_after(before.experiment, event), execution_after(before.execution, event)
    runs = runs_of(experiment, execution, catalogue)
    if added := [run for run in runs if run.id not in catalogue]:
        catalogue = catalogue.extended((run.id, run) for run in added)
    for run in runs:
        catalogue = catalogue.put(run.id, run)
    after = standing_of(experiment, execution, runs, before.kept_on)
    standing = replace(after, state=before.state, annotations=before.annotations)
    return replace(state, runs=catalogue, experiments=state.experiments.put(recorded.stream, standing))


def _code_changed(state: State, recorded: e.Recorded, event: e.CodeChanged) -> State:
    common = state.experiments[recorded.stream].experiment.evaluation_environment
    for name in event.runs:
        run = state.runs[name]
        needs = needs_of(event.code, run.arm, common)
        state = _change_run(state, name, code=event.code, needs=needs, checkpoints=(), failures=(), other_code=run.epoch)
    return _grown(state, recorded, event)


def _experiment_moved(state: State, recorded: e.Recorded, event: e.Event) -> State:
    name = recorded.stream
    before = state.experiments[name]
    standing = replace(before, state=next_experiment_state(before.state, event.kind))
    state = replace(state, experiments=state.experiments.put(name, standing))
    if standing.under_way == before.under_way:
        return state
    others = tuple(each for each in state.under_way if each != name)
    return replace(state, under_way=(*others, name) if standing.under_way else others)


def _experiment_resumed(state: State, recorded: e.Recorded, event: e.ExperimentResumed) -> State:
    return _annotated(_experiment_moved(state, recorded, event), recorded, event)


def _annotated(state: State, recorded: e.Recorded, event: Annotating | e.ExperimentResumed) -> State:
    before = state.experiments[recorded.stream]
    standing = replace(before, annotations=before.annotations.after(event))
    return replace(state, experiments=state.experiments.put(recorded.stream, standing))


def _deleted(state: State, recorded: e.Recorded, event: e.ExperimentDeleted) -> State:
    """Of what was erased in part, only the last events are missing, so all until here was folded as it was."""
    name = recorded.stream
    return replace(state.without_experiment(name), deleted={**state.deleted, name: recorded.at})


# ---------------------------------------------------------------------------------------------------- runs


def _run_moved(state: State, recorded: e.Recorded, event: e.Event, **changes: Any) -> State:
    run = state.runs[recorded.stream]
    return _put_run(state, replace(run, state=next_run_state(run.state, event.kind), **changes))


def _queued(state: State, recorded: e.Recorded, event: e.RunQueued) -> State:
    return _run_moved(state, recorded, event, **_delayed(state, recorded, event.not_before))


def _delayed(state: State, recorded: e.Recorded, not_before: float) -> dict[str, float]:
    """The delay of a run that is queued now: as long as is asked, and as an earlier attempt may still act.

    All times are of one reading of the wall clock, so their difference is a duration whatever that clock said.
    """
    until = max(not_before, state.runs[recorded.stream].leased_until)
    return {"not_before": until, "delay": max(0.0, until - seconds(recorded.at)) if until else 0.0}


def _stopped(state: State, recorded: e.Recorded, event: e.RunStopped) -> State:
    return _run_moved(state, recorded, event, stop_reason=event.reason)


def _resumed(state: State, recorded: e.Recorded, event: e.RunResumed) -> State:
    state = _change_attempt(state, recorded.stream, stop_reason="resumed")
    return _run_moved(state, recorded, event, failures=(), stop_reason=None, **_delayed(state, recorded, 0.0))


def _attempt_started(state: State, recorded: e.Recorded, event: e.AttemptStarted) -> State:
    attempt = Attempt.of(event, seconds(recorded.at))
    state = _run_moved(state, recorded, event, epoch=event.epoch, attempt=attempt, placed_on=attempt.bits)
    return launcher_fold.trained(state, event.host)


def _stop_requested(state: State, recorded: e.Recorded, event: e.StopRequested) -> State:
    state = _run_moved(state, recorded, event)
    return _change_attempt(state, recorded.stream, stop_reason=event.reason)


def _attempt_ended(state: State, recorded: e.Recorded, event: e.AttemptEnded) -> State:
    run = state.runs[recorded.stream]
    took = run.seconds + _duration(run, recorded, event)
    failures = run.failures
    if event.cause not in NO_FAILURE:
        failures = (*failures, Failure(took, event.cause, event.step))
    limits = run.attempt.exceeded if run.attempt is not None and event.cause == "limit_exceeded" else ()
    exceeded = tuple(each.limit for each in limits)
    until = run.leased_until if event.lease is None else seconds(recorded.at) + event.lease
    return _run_moved(
        state, recorded, event, attempt=None, failures=failures, seconds=took, exceeded=exceeded, leased_until=until
    )


def _duration(run: RunStanding, recorded: e.Recorded, event: e.AttemptEnded) -> float:
    """The duration of an attempt. Logs from before it was measured have the times of the wall clock alone."""
    if event.seconds is not None:
        return event.seconds
    if run.attempt is None or event.cause == "lost_contact":  # its time of end is unknown: the machine may have been off
        return 0.0
    return max(0.0, seconds(recorded.at) - run.attempt.at)


def _limit_exceeded(state: State, recorded: e.Recorded, event: e.ResourceLimitExceeded) -> State:
    attempt = state.attempt(recorded.stream, event.epoch)
    return state if attempt is None else _change_attempt(state, recorded.stream, exceeded=(*attempt.exceeded, event))


def _key_revoked(state: State, recorded: e.Recorded, event: e.KeyRevoked) -> State:
    attempt = state.attempt(recorded.stream, event.epoch)
    return state if attempt is None else _change_attempt(state, recorded.stream, key_revoked=True)


def _change_attempt(state: State, name: str, **changes: Any) -> State:
    attempt = state.runs[name].attempt
    return state if attempt is None else _change_run(state, name, attempt=replace(attempt, **changes))


# ---------------------------------------------------------------------------------------------------- events of trainers


def _is_current(state: State, recorded: e.Recorded) -> bool:
    return state.attempt(recorded.stream, recorded.producer) is not None


def _training_started(state: State, recorded: e.Recorded, event: e.TrainingStarted) -> State:
    run = state.runs[recorded.stream]
    if recorded.producer > run.trained:
        checkpoints = tuple(each for each in run.checkpoints if still_counts(each.step, event.from_step))
        bits = run.placed_on if recorded.producer == run.epoch else run.bits
        trained_on = classes_after(run.trained_on, event.from_step, bits)
        state = _change_run(state, run.id, trained=recorded.producer, checkpoints=checkpoints, trained_on=trained_on)
    if (attempt := state.attempt(run.id, recorded.producer)) is not None:
        state = launcher_fold.fits(state, attempt.host, run.needs)
    return _run_moved(state, recorded, event) if _is_current(state, recorded) else state


def _checkpoint_committed(state: State, recorded: e.Recorded, event: e.CheckpointCommitted) -> State:
    run = state.runs[recorded.stream]
    if recorded.producer != run.trained or recorded.producer <= run.other_code:
        return _change_run(state, run.id, written_bytes=run.written_bytes + event.written_bytes)
    before = (each for each in run.checkpoints if each.step < event.step)
    return _change_run(
        state,
        run.id,
        checkpoints=(event, *before)[:KEPT_CHECKPOINTS],
        written_bytes=run.written_bytes + event.written_bytes,
        failures=tuple(replace(failure, checkpoint_since=True) for failure in run.failures),
    )


def _model_saved(state: State, recorded: e.Recorded, event: e.ModelSaved) -> State:
    final = event.which == "final" and _is_current(state, recorded)
    return _change_attempt(state, recorded.stream, model_saved=True) if final else state


def _training_ended(state: State, recorded: e.Recorded, event: e.TrainingEnded) -> State:
    return _change_attempt(state, recorded.stream, reported_end=event) if _is_current(state, recorded) else state


# ---------------------------------------------------------------------------------------------------- unreadable events


def _unreadable(state: State, recorded: e.Recorded, event: e.Unreadable) -> State:
    """Quarantine the experiment of an event that cannot be read, or forget the host, token or launcher: it must be named again.

    Raises `StoreError` for any other stream: what is not known of keys, say, must not be guessed.
    """
    if name := e.experiment_of(recorded.stream):
        return replace(state.without_experiment(name), quarantined={**state.quarantined, name: recorded.problem})
    without = host_fold.forget(state, recorded.stream) or launcher_fold.forget(state, recorded.stream)
    if without is None:
        raise StoreError(f"{recorded.stream}: {recorded.problem}; a version that can read it must open this home")
    return without


def seconds(at: int) -> float:
    """An event's time, from microseconds to seconds since 1970."""
    return at / 1_000_000


_Handler = Callable[[State, e.Recorded, Any], State]


def _one_after_the_other(first: _Handler, then: _Handler) -> _Handler:
    return lambda state, recorded, event: then(first(state, recorded, event), recorded, event)


_HANDLERS: Final[Mapping[type[e.Event | e.Unreadable], _Handler]] = {
    e.Unreadable: _unreadable,
    e.ExperimentSubmitted: _submitted,
    e.ExperimentStarted: _experiment_moved,
    e.ExperimentCompleted: _experiment_moved,
    e.ExperimentFailed: _experiment_moved,
    e.ExperimentStopped: _experiment_moved,
    e.ExperimentResumed: _experiment_resumed,
    **dict.fromkeys(get_args(Growth), _grown),
    e.CodeChanged: _code_changed,
    **dict.fromkeys(get_args(Annotating), _annotated),
    e.ExperimentDeleted: _deleted,
    e.RunQueued: _queued,
    e.AttemptStarted: _attempt_started,
    e.StopRequested: _stop_requested,
    e.KeyRevoked: _key_revoked,
    e.AttemptEnded: _attempt_ended,
    e.ResourceLimitExceeded: _limit_exceeded,
    e.RunPaused: _run_moved,
    e.RunResumed: _resumed,
    e.RunCompleted: _run_moved,
    e.RunFailed: _run_moved,
    e.RunStopped: _stopped,
    e.RunSkipped: _run_moved,
    e.TrainingStarted: _training_started,
    e.CheckpointCommitted: _checkpoint_committed,
    e.ModelSaved: _model_saved,
    e.TrainingEnded: _training_ended,
    **host_fold.HANDLERS,
    **launcher_fold.HANDLERS,
    **{kind: _one_after_the_other(host_fold.HANDLERS[kind], then) for kind, then in launcher_fold.OF_HOSTS.items()},
}
