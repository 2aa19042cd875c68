"""Where everything stands: one fold over the events of consequence, and nothing else builds state.

`evolve` is pure. It believes the log: an event that cannot be is a defect and raises; an event of an attempt that is over
is history and changes nothing.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any, Final

from lander.protocol import events as e
from lander.protocol.experiment import Arm, Experiment
from lander.protocol.lifecycle import next_experiment_state, next_run_state
from lander.protocol.states import LIVE, TERMINAL, UNDER_WAY, ExperimentState, RunState


@dataclass(frozen=True, slots=True)
class Attempt:
    """One process's try at a run, from the decision to start it until its exit is in the log."""

    epoch: int
    host: str
    cpu: int
    gpu: int | None
    model_saved: bool = False
    last_word: e.TrainingEnded | None = None
    stop_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One arm with one seed."""

    id: str
    experiment: str
    arm: Arm
    seed: int
    state: RunState = "queued"
    epoch: int = 0
    failures: int = 0
    not_before: float = 0.0
    attempt: Attempt | None = None
    stop_reason: str | None = None
    """Why it was stopped, once it is."""

    @property
    def live(self) -> bool:
        """A process exists or is about to."""
        return self.state in LIVE

    @property
    def over(self) -> bool:
        """Nothing more happens by itself."""
        return self.state in TERMINAL


@dataclass(frozen=True, slots=True)
class ExperimentStanding:
    """An experiment, how to carry it out, and its state."""

    experiment: Experiment
    execution: e.Execution
    state: ExperimentState = "queued"

    @property
    def under_way(self) -> bool:
        """Not yet ended."""
        return self.state in UNDER_WAY


@dataclass(frozen=True, slots=True)
class Host:
    """A machine's agent and what it offers."""

    name: str
    pid: int
    cpus: tuple[int, ...]
    gpus: tuple[str, ...]
    online: bool = True


@dataclass(frozen=True, slots=True)
class State:
    """All of it. The mappings are in order of submission."""

    experiments: Mapping[str, ExperimentStanding] = field(default_factory=dict)
    runs: Mapping[str, Run] = field(default_factory=dict)
    hosts: Mapping[str, Host] = field(default_factory=dict)

    def runs_of(self, experiment: str) -> list[Run]:
        """The runs of one experiment, in its order."""
        return [run for run in self.runs.values() if run.experiment == experiment]

    def attempt(self, run: str, epoch: int) -> Attempt | None:
        """The attempt, if it is the one that counts now."""
        attempt = self.runs[run].attempt if run in self.runs else None
        return attempt if attempt is not None and attempt.epoch == epoch else None


def fold(events: Iterable[e.Recorded], start: State | None = None) -> State:
    """The state after these events."""
    return reduce(evolve, events, start or State())


def evolve(state: State, recorded: e.Recorded) -> State:
    """The state after one more event."""
    handler = _HANDLERS.get(type(recorded.event))
    return state if handler is None else handler(state, recorded, recorded.event)


def _put_run(state: State, run: Run) -> State:
    return replace(state, runs={**state.runs, run.id: run})


def _submitted(state: State, recorded: e.Recorded, event: e.ExperimentSubmitted) -> State:
    experiment = event.experiment
    runs = {
        key.id: Run(id=key.id, experiment=key.experiment, arm=experiment.arm(key.arm), seed=key.seed) for key in experiment.runs
    }
    standing = ExperimentStanding(experiment, event.execution)
    return replace(
        state,
        experiments={**state.experiments, recorded.stream: standing},
        runs={**state.runs, **runs},
    )


def _experiment_moved(state: State, recorded: e.Recorded, event: e.Event) -> State:
    standing = state.experiments[recorded.stream]
    moved = replace(standing, state=next_experiment_state(standing.state, event.kind))
    return replace(state, experiments={**state.experiments, recorded.stream: moved})


def _run_moved(state: State, recorded: e.Recorded, event: e.Event) -> State:
    run = state.runs[recorded.stream]
    return _put_run(state, replace(run, state=next_run_state(run.state, event.kind)))


def _queued(state: State, recorded: e.Recorded, event: e.RunQueued) -> State:
    state = _run_moved(state, recorded, event)
    return _put_run(state, replace(state.runs[recorded.stream], not_before=event.not_before))


def _stopped(state: State, recorded: e.Recorded, event: e.RunStopped) -> State:
    state = _run_moved(state, recorded, event)
    return _put_run(state, replace(state.runs[recorded.stream], stop_reason=event.reason))


def _attempt_started(state: State, recorded: e.Recorded, event: e.AttemptStarted) -> State:
    state = _run_moved(state, recorded, event)
    attempt = Attempt(event.epoch, event.host, event.cpu, event.gpu)
    return _put_run(state, replace(state.runs[recorded.stream], epoch=event.epoch, attempt=attempt))


def _stop_requested(state: State, recorded: e.Recorded, event: e.StopRequested) -> State:
    state = _run_moved(state, recorded, event)
    return _change_attempt(state, recorded.stream, stop_reason=event.reason)


def _attempt_ended(state: State, recorded: e.Recorded, event: e.AttemptEnded) -> State:
    state = _run_moved(state, recorded, event)
    run = state.runs[recorded.stream]
    failed = event.cause not in ("completed", "stopped", "paused", "preempted")
    return _put_run(state, replace(run, attempt=None, failures=run.failures + failed))


def _change_attempt(state: State, run_id: str, **changes: Any) -> State:
    run = state.runs[run_id]
    if run.attempt is None:
        return state
    return _put_run(state, replace(run, attempt=replace(run.attempt, **changes)))


def _is_current(state: State, recorded: e.Recorded) -> bool:
    return state.attempt(recorded.stream, recorded.producer) is not None


def _training_started(state: State, recorded: e.Recorded, event: e.TrainingStarted) -> State:
    return _run_moved(state, recorded, event) if _is_current(state, recorded) else state


def _model_saved(state: State, recorded: e.Recorded, event: e.ModelSaved) -> State:
    return _change_attempt(state, recorded.stream, model_saved=True) if _is_current(state, recorded) else state


def _training_ended(state: State, recorded: e.Recorded, event: e.TrainingEnded) -> State:
    return _change_attempt(state, recorded.stream, last_word=event) if _is_current(state, recorded) else state


def _host_joined(state: State, recorded: e.Recorded, event: e.HostJoined) -> State:
    name = recorded.stream.removeprefix("host:")
    return replace(state, hosts={**state.hosts, name: Host(name, event.pid, event.cpus, event.gpus)})


def _host_gone(state: State, recorded: e.Recorded, event: e.Event) -> State:
    name = recorded.stream.removeprefix("host:")
    return replace(state, hosts={**state.hosts, name: replace(state.hosts[name], online=False)})


_Handler = Callable[[State, e.Recorded, Any], State]

_HANDLERS: Final[Mapping[type[e.Event], _Handler]] = {
    e.ExperimentSubmitted: _submitted,
    e.ExperimentStarted: _experiment_moved,
    e.ExperimentCompleted: _experiment_moved,
    e.ExperimentFailed: _experiment_moved,
    e.ExperimentStopped: _experiment_moved,
    e.RunQueued: _queued,
    e.AttemptStarted: _attempt_started,
    e.StopRequested: _stop_requested,
    e.AttemptEnded: _attempt_ended,
    e.RunCompleted: _run_moved,
    e.RunFailed: _run_moved,
    e.RunStopped: _stopped,
    e.RunSkipped: _run_moved,
    e.TrainingStarted: _training_started,
    e.ModelSaved: _model_saved,
    e.TrainingEnded: _training_ended,
    e.HostJoined: _host_joined,
    e.HostLeft: _host_gone,
    e.HostLost: _host_gone,
}
