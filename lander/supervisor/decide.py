"""The decision core: (state, message, now) → events to record, effects to carry out, and an answer.

Pure: no clock, no socket, no file. Each handler says events into a `Draft`, which folds them at once, so that what is
decided next already knows of them. The shell records the events, and only then carries out the effects.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from lander.protocol import commands as c
from lander.protocol import events as e
from lander.protocol.errors import ConfigurationError, ConflictError, LanderError, NotFoundError
from lander.protocol.targets import matches
from lander.supervisor.effects import Effect, EndAttempt, StartAttempt
from lander.supervisor.placement import next_placement
from lander.supervisor.policy import STOP_GRACE, after_failure, attempt_ended, lost
from lander.supervisor.state import Attempt, Host, Run, State, evolve


@dataclass(frozen=True)
class Tick:
    """Time has passed; perhaps a run that waited may start."""


@dataclass(frozen=True)
class HostGone:
    """A host's process ended, or nothing was heard of it for too long."""

    name: str
    detail: str


@dataclass(frozen=True)
class Drain:
    """Stop every run: the supervisor is about to leave."""


MAX_ARM_BYTES: Final = 64 << 10
"""An arm travels to its trainer in one packet."""
Said = tuple[str, e.Event]
"""A stream and what is said in it."""


@dataclass
class Draft:
    """A decision in the making; `state` is where things will stand once its events are recorded."""

    state: State
    now: float
    events: list[Said] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    answer: c.Command | None = None

    def say(self, stream: str, event: e.Event) -> None:
        """Record an event, and let everything decided after it know."""
        self.events.append((stream, event))
        recorded = e.Recorded(0, stream, e.SUPERVISOR, 0, e.microseconds(self.now), event)
        self.state = evolve(self.state, recorded)


def decide(state: State, message: object, now: float) -> Draft:
    """What follows from a message; the draft's events, effects and answer are the decision.

    Raises nothing on bad requests: they are answered with `Refused`.
    """
    draft = Draft(state, now)
    handler = _HANDLERS[type(message)]
    try:
        handler(draft, message)
    except LanderError as error:
        return Draft(state, now, answer=c.Refused(error=type(error).__name__, detail=str(error)))
    _place_runs(draft)
    _close_experiments(draft)
    return draft


# ---------------------------------------------------------------------------------------------------- what people ask


def _submit(draft: Draft, message: c.SubmitExperiment) -> None:
    experiment = message.experiment
    name = experiment.experiment_id
    standing = draft.state.experiments.get(name)
    if standing is not None:
        if standing.experiment != experiment:
            raise ConflictError(f"{name}: an experiment with this id and other content exists; choose another --experiment-id")
        draft.answer = c.Accepted(subject=name, detail=f"already submitted, and {standing.state}")
        return
    for arm in experiment.arms:
        if len(arm.model_dump_json()) > MAX_ARM_BYTES:
            raise ConfigurationError(f"{name}: {arm.name}: more than {MAX_ARM_BYTES >> 10} KiB; keep data in files of its own")
    manifest = {**message.manifest, "digest": experiment.digest}
    draft.say(name, e.ExperimentSubmitted(experiment=experiment, execution=message.execution, manifest=manifest))
    for notice in message.notices:
        draft.say(name, e.WarningRaised(message=notice))
    for run in experiment.runs:
        draft.say(run.id, e.RunQueued())
    draft.answer = c.Accepted(subject=name)


def _stop(draft: Draft, message: c.StopTarget) -> None:
    runs = [run for run in draft.state.runs.values() if matches(message.target, run.id)]
    if not runs:
        raise NotFoundError(f"{message.target}: no such experiment or run")
    draft.answer = c.Accepted(subject=message.target)
    open_runs = [run for run in runs if not run.over]
    if not open_runs:
        draft.answer = c.Accepted(subject=message.target, detail="nothing to stop: it has ended already")
        return
    draft.say(runs[0].experiment, e.OperatorCommanded(command="stop", target=message.target, operator=message.operator))
    for run in open_runs:
        _stop_run(draft, run, "operator")


def _drain(draft: Draft, message: Drain) -> None:
    for run in list(draft.state.runs.values()):
        if not run.over:
            _stop_run(draft, run, "shutdown")


def _stop_run(draft: Draft, run: Run, reason: Any) -> None:
    """What waits is stopped at once; what trains is asked, and stopped when it is gone."""
    if run.attempt is None:
        draft.say(run.id, e.RunStopped(reason=reason))
        return
    if run.state != "stopping":
        draft.say(run.id, e.StopRequested(reason=reason))
    draft.effects.append(_end(run, run.attempt, STOP_GRACE))  # asked again, it is ended again: once may not have been enough


# ---------------------------------------------------------------------------------------------------- what hosts report


def _join_host(draft: Draft, message: c.JoinHost) -> None:
    """A host is (back) here: compare what it has alive with what should be."""
    before = draft.state.hosts.get(message.name)
    if before != Host(message.name, message.pid, message.cpus, message.gpus):
        draft.say(
            e.host_stream(message.name),
            e.HostJoined(pid=message.pid, cpus=message.cpus, gpus=message.gpus, memory_mb=message.memory_mb),
        )
    same_process = before is not None and before.pid == message.pid
    alive = {(key.run, key.epoch) for key in message.trainers}
    for run, attempt in _attempts_on(draft.state, message.name):
        if (run.id, attempt.epoch) not in alive:
            if not same_process:
                _attempt_over(draft, run.id, lost(attempt, f"the agent of host {message.name} was restarted"))
                continue
            if run.state in ("starting", "stopping"):
                draft.effects.append(_start(draft.state, run, attempt))  # the order may have been lost on the way
        if run.state == "stopping":
            draft.effects.append(_end(run, attempt, STOP_GRACE))  # and so may this one
    for run_id, epoch in sorted(alive):
        if draft.state.attempt(run_id, epoch) is None:
            draft.effects.append(EndAttempt(host=message.name, run=run_id, epoch=epoch, grace=0.0))


def _trainer_exited(draft: Draft, message: c.TrainerExited) -> None:
    attempt = draft.state.attempt(message.run, message.epoch)
    if attempt is not None:
        _attempt_over(draft, message.run, attempt_ended(attempt, message))


def _host_gone(draft: Draft, message: HostGone) -> None:
    host = draft.state.hosts.get(message.name)
    if host is None or not host.online:
        return
    draft.say(e.host_stream(message.name), e.HostLost(detail=message.detail))
    for run, attempt in _attempts_on(draft.state, message.name):
        _attempt_over(draft, run.id, lost(attempt, f"host {message.name}: {message.detail}"))


def _attempts_on(state: State, host: str) -> list[tuple[Run, Attempt]]:
    return [(run, run.attempt) for run in state.runs.values() if run.attempt is not None and run.attempt.host == host]


# ---------------------------------------------------------------------------------------------------- what follows


def _attempt_over(draft: Draft, run: str, ended: e.AttemptEnded) -> None:
    """Record an attempt's end and, in the same commit, what becomes of its run."""
    attempt = draft.state.attempt(run, ended.epoch)
    stop_reason = attempt.stop_reason if attempt is not None else None
    draft.say(run, ended)
    if ended.cause == "completed":
        draft.say(run, e.RunCompleted())
    elif stop_reason is not None:
        draft.say(run, e.RunStopped(reason=stop_reason))
    elif ended.cause == "stopped":  # SIGTERM from elsewhere
        draft.say(run, e.RunStopped(reason="signal"))
    else:
        _failed(draft, draft.state.runs[run], ended)


def _failed(draft: Draft, run: Run, ended: e.AttemptEnded) -> None:
    experiment = draft.state.experiments[run.experiment].experiment
    verdict = after_failure(experiment, run, ended.cause)
    detail = ended.detail[-2000:]
    match verdict.decision:
        case "retry":
            reason = f"retry {run.failures} of {experiment.max_retries} after {ended.named_cause}"
            draft.say(run.id, e.RunQueued(not_before=draft.now + verdict.delay, reason=reason))
        case "skip":
            draft.say(run.id, e.RunSkipped(cause=ended.named_cause, detail=detail))
        case "fail":
            draft.say(run.id, e.RunFailed(cause=ended.named_cause, detail=detail))
        case "abort":
            draft.say(run.id, e.RunFailed(cause=ended.named_cause, detail=detail))
            for other in draft.state.runs_of(run.experiment):
                if not other.over:
                    _stop_run(draft, other, "aborted")


def _place_runs(draft: Draft) -> None:
    """Fill the free slots."""
    while (placement := next_placement(draft.state, draft.now)) is not None:
        run = placement.run
        if draft.state.experiments[run.experiment].state == "queued":
            draft.say(run.experiment, e.ExperimentStarted())
        started = e.AttemptStarted(epoch=run.epoch + 1, host=placement.host.name, cpu=placement.cpu, gpu=placement.gpu)
        draft.say(run.id, started)
        placed = draft.state.runs[run.id]
        if placed.attempt is not None:
            draft.effects.append(_start(draft.state, placed, placed.attempt))


def _close_experiments(draft: Draft) -> None:
    """Give every experiment whose runs are all over its own end."""
    for name, standing in draft.state.experiments.items():
        if not standing.under_way:
            continue
        runs = draft.state.runs_of(name)
        if all(run.over for run in runs):
            draft.say(name, _conclusion(runs))


def _conclusion(runs: list[Run]) -> e.Event:
    failed = [run.id for run in runs if run.state == "failed"]
    if any(run.state == "stopped" and run.stop_reason != "aborted" for run in runs):
        return e.ExperimentStopped()
    if failed:
        return e.ExperimentFailed(detail=f"failed: {', '.join(failed)}")
    return e.ExperimentCompleted()


def _start(state: State, run: Run, attempt: Attempt) -> StartAttempt:
    execution = state.experiments[run.experiment].execution
    return StartAttempt(
        host=attempt.host,
        run=run.id,
        epoch=attempt.epoch,
        arm=run.arm,
        seed=run.seed,
        cpu=attempt.cpu,
        gpu=attempt.gpu,
        monitoring=execution.monitoring,
        directory=execution.directory,
    )


def _end(run: Run, attempt: Attempt, grace: float) -> EndAttempt:
    return EndAttempt(host=attempt.host, run=run.id, epoch=attempt.epoch, grace=grace)


_HANDLERS: Final[Mapping[type[Any], Callable[[Draft, Any], None]]] = {
    c.SubmitExperiment: _submit,
    c.StopTarget: _stop,
    c.JoinHost: _join_host,
    c.TrainerExited: _trainer_exited,
    HostGone: _host_gone,
    Drain: _drain,
    Tick: lambda draft, message: None,
}
