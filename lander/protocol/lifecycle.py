"""The life cycle of a run and of an experiment, as tables.

Rules of this file:
- A state changes only through an event of the run's (or experiment's) own stream.
- A pair that is not in the table is impossible; it is a defect, and raises.
- While a run is stopping its reason may still change, and the later request wins: another `StopRequested`, or `RunResumed`,
  after which the run continues as soon as its process has exited.
- `AttemptEnded` puts a run back in the queue. The verdict on the attempt (`RunCompleted`, `RunFailed`, … or `RunQueued` for
  another attempt) follows in the same commit, so no reader sees the state between.

The table of runs as a diagram (that of `docs/architecture.md` is generated from the table):

    queued → starting → running → queued → completed | failed | stopped | skipped | paused
                 └──────────┴→ stopping → queued → …
    completed | failed | stopped | skipped | paused → queued, by a resume, a retry or an extension
"""

from collections.abc import Mapping
from typing import Final

from lander.protocol import events as e
from lander.protocol.errors import LanderError
from lander.protocol.states import ExperimentState, RunState

RUN_TRANSITIONS: Final[Mapping[tuple[RunState, str], RunState]] = {
    ("queued", e.RunQueued.kind): "queued",
    ("queued", e.AttemptStarted.kind): "starting",
    ("queued", e.RunCompleted.kind): "completed",
    ("queued", e.RunFailed.kind): "failed",
    ("queued", e.RunSkipped.kind): "skipped",
    ("queued", e.RunStopped.kind): "stopped",
    ("queued", e.RunPaused.kind): "paused",
    ("paused", e.RunResumed.kind): "queued",
    ("paused", e.RunStopped.kind): "stopped",
    ("paused", e.RunSkipped.kind): "skipped",
    ("stopped", e.RunResumed.kind): "queued",
    ("stopped", e.RunSkipped.kind): "skipped",
    ("failed", e.RunResumed.kind): "queued",
    ("failed", e.RunSkipped.kind): "skipped",
    ("skipped", e.RunResumed.kind): "queued",
    ("completed", e.RunResumed.kind): "queued",
    ("starting", e.TrainingStarted.kind): "running",
    ("starting", e.StopRequested.kind): "stopping",
    ("starting", e.AttemptEnded.kind): "queued",
    ("running", e.TrainingStarted.kind): "running",
    ("running", e.StopRequested.kind): "stopping",
    ("running", e.AttemptEnded.kind): "queued",
    ("stopping", e.TrainingStarted.kind): "stopping",
    ("stopping", e.StopRequested.kind): "stopping",
    ("stopping", e.RunResumed.kind): "stopping",
    ("stopping", e.AttemptEnded.kind): "queued",
}

EXPERIMENT_TRANSITIONS: Final[Mapping[tuple[ExperimentState, str], ExperimentState]] = {
    ("queued", e.ExperimentStarted.kind): "running",
    ("queued", e.ExperimentStopped.kind): "stopped",
    ("queued", e.ExperimentCompleted.kind): "completed",
    ("queued", e.ExperimentFailed.kind): "failed",
    ("running", e.ExperimentCompleted.kind): "completed",
    ("running", e.ExperimentFailed.kind): "failed",
    ("running", e.ExperimentStopped.kind): "stopped",
    ("completed", e.ExperimentResumed.kind): "running",
    ("failed", e.ExperimentResumed.kind): "running",
    ("stopped", e.ExperimentResumed.kind): "running",
}

_RUN_KINDS: Final = frozenset(kind for _, kind in RUN_TRANSITIONS)
_EXPERIMENT_KINDS: Final = frozenset(kind for _, kind in EXPERIMENT_TRANSITIONS)


class ImpossibleTransitionError(LanderError):
    """The log, or a decision, contradicts the life cycle; a defect of this program."""


def next_run_state(state: RunState, kind: str) -> RunState:
    """The run's state after an event of this kind; kinds outside the life cycle leave it unchanged."""
    if kind not in _RUN_KINDS:
        return state
    try:
        return RUN_TRANSITIONS[state, kind]
    except KeyError:
        raise ImpossibleTransitionError(f"a run that is {state} cannot meet {kind}") from None


def next_experiment_state(state: ExperimentState, kind: str) -> ExperimentState:
    """The experiment's state after an event of this kind in its own stream."""
    if kind not in _EXPERIMENT_KINDS:
        return state
    try:
        return EXPERIMENT_TRANSITIONS[state, kind]
    except KeyError:
        raise ImpossibleTransitionError(f"an experiment that is {state} cannot meet {kind}") from None
