"""A decision while it is being made: its events, effects and answer, and the steps that handlers share."""

from dataclasses import dataclass, field
from typing import Literal

from lander.protocol import commands as c
from lander.protocol import events as e
from lander.protocol.errors import ConflictError, NotFoundError
from lander.protocol.targets import was_deleted
from lander.protocol.text import named
from lander.supervisor.core.effects import Effect, EndAttempt, StartAttempt
from lander.supervisor.core.fold import evolve
from lander.supervisor.core.needs import class_key, is_of, part_of
from lander.supervisor.core.restart_policy import STOP_GRACE
from lander.supervisor.core.standing import LOCAL_HOST, Attempt, ExperimentStanding, RunStanding
from lander.supervisor.core.state import State
from lander.supervisor.core.timers import Timers

ResumeReason = Literal["resumed", "retried", "extended"]
StreamEvent = tuple[str, e.Event]
"""A stream and an event for it."""


@dataclass
class Decision:
    """A decision while it is being made; `state` already includes its events, as recorded at the time `now` of the wall clock.

    How long anything has taken is what the `timers` say.
    """

    state: State
    now: float
    timers: Timers
    events: list[StreamEvent] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    answer: c.Command | None = None

    def say(self, stream: str, event: e.Event) -> None:
        """Add an event and fold it into `state`, so that later parts of the decision see it."""
        self.events.append((stream, event))
        recorded = e.Recorded(0, stream, e.SUPERVISOR, 0, e.microseconds(self.now), event)
        self.state = evolve(self.state, recorded)

    def start(self, run: RunStanding, attempt: Attempt) -> None:
        """Order the start of an attempt whose `AttemptStarted` is already in the decision."""
        standing = self.state.experiments[run.experiment]
        guest = attempt.host != LOCAL_HOST
        elsewhere = run.arm.environment_kwargs != standing.experiment.baseline.environment_kwargs
        order = c.TrainerOrder(
            run=run.id,
            epoch=attempt.epoch,
            host=attempt.host if guest else "",
            arm=run.arm,
            seed=run.seed,
            cpu=attempt.cpu,
            gpu=attempt.gpu,
            gpu_id=attempt.gpu_id,
            gpu_share=part_of(attempt.share),
            monitoring=standing.execution.monitoring,
            shortcuts=not standing.execution.no_shortcuts,
            directory=standing.execution.directory,
            code=run.code if guest or run.code is None else run.code.without_packages(),
            checkpoint_frequency=standing.experiment.checkpoint_frequency,
            eval_frequency=standing.experiment.eval_frequency,
            eval_episodes=standing.experiment.eval_episodes,
            evaluation_environment=standing.experiment.evaluation_environment,
            replay_limit=standing.experiment.replay_limit,
            checkpoints=run.checkpoints,
            origin=run.origin,
            new_episodes=run.origin is not None and elsewhere,
            exclusive=standing.experiment.exclusive,
            other_bits=bool(run.continues_on) and not _goes_on_exactly(run, attempt),
            seconds=run.seconds,
        )
        self.effects.append(StartAttempt(host=attempt.host, order=order))

    def end(self, run: RunStanding, attempt: Attempt, grace: float = STOP_GRACE, traceback: bool = False) -> None:
        """Order the end of an attempt; `grace` in seconds before SIGTERM."""
        order = EndAttempt(host=attempt.host, run=run.id, epoch=attempt.epoch, grace=grace, traceback=traceback)
        self.effects.append(order)

    def ask_to_end(self, run: RunStanding, attempt: Attempt, reason: e.StopReason) -> None:
        """Ask a live run to end at its next boundary; of several reasons the latest one counts."""
        if attempt.stop_reason != reason:
            self.say(run.id, e.StopRequested(reason=reason))
        self.end(run, attempt)

    def end_again(self, run: RunStanding, attempt: Attempt) -> None:
        """Repeat the order to end an attempt: the first one may have been lost, or not have been enough."""
        stuck = attempt.stop_reason == "stalled"
        self.end(run, attempt, grace=0.0 if stuck else STOP_GRACE, traceback=stuck)

    def resume(self, run: RunStanding, reason: ResumeReason) -> None:
        """Resume a run that is paused, over or stopping, and its experiment if that has ended."""
        self.reopen(run.experiment)
        self.say(run.id, e.RunResumed(reason=reason))

    def standing(self, experiment: str) -> ExperimentStanding:
        """An experiment; raises `NotFoundError` if it was deleted or never was, and `ConflictError` if it is quarantined."""
        self.refuse_quarantined(experiment)
        if (at := self.state.deleted.get(experiment)) is not None:
            raise NotFoundError(was_deleted(experiment, at))
        if experiment not in self.state.experiments:
            raise NotFoundError(f"{named(experiment)}: no such experiment")
        return self.state.experiments[experiment]

    def refuse_quarantined(self, experiment: str) -> None:
        """Raise `ConflictError` for an experiment that is quarantined: nothing may be recorded of it, nor built on it."""
        if problem := self.state.quarantined.get(experiment):
            raise ConflictError(
                f"{experiment}: quarantined, since {problem}; a version that can read it goes on with it, or choose another id"
            )

    def reopen(self, experiment: str) -> None:
        """Put an experiment that has ended under way again."""
        if not self.state.experiments[experiment].under_way:
            self.say(experiment, e.ExperimentResumed())


def _goes_on_exactly(run: RunStanding, attempt: Attempt) -> bool:
    return is_of(attempt.bits, run.continues_on) or run.continues_on == class_key("", attempt.host)
