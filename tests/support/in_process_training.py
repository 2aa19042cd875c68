"""A training in this process, without a supervisor: what it says is kept, and it can be cut off at any step and continued."""

from pathlib import Path
from typing import Any

import torch

from lander.actors.trainer.delivery import Delivery
from lander.actors.trainer.supervision_callback import SupervisionCallback
from lander.actors.trainer.trainer import TrainingSession
from lander.protocol.commands import TrainerOrder
from lander.protocol.events import CheckpointCommitted, StepsRecorded, TrainingEnded, TrainingStarted
from lander.protocol.experiment import Arm, EvaluationEnvironment

torch.distributions.Distribution.set_default_validate_args(False)  # as in a zygote: it takes long and changes no result


class CutError(Exception):
    """The training was cut off where it stood."""


class InProcessTraining:
    """Satisfies what a trainer needs of a mailbox."""

    def __init__(
        self,
        arm: Arm,
        home: Path,
        *,
        seed: int = 3,
        frequency: int = 10_000,
        eval_frequency: int | None = None,
        eval_episodes: int = 0,
        evaluation_environment: EvaluationEnvironment | None = None,
        replay_limit: int | None = None,
    ) -> None:
        self.arm, self.home, self.seed, self.frequency = arm, home, seed, frequency
        self.eval_frequency, self.eval_episodes = eval_frequency, eval_episodes
        self.evaluation_environment, self.replay_limit = evaluation_environment, replay_limit
        self.stop_requested = False
        self.checkpoint_requested = False
        self.host = ""
        self.beats_left: int | None = None
        """Signs of life until a stop is requested; None: none ever is."""
        self.ended: TrainingEnded | None = None
        self.said: list[Any] = []
        self.weights: dict[str, bytes] = {}

    def say(self, event: Any) -> None:
        self.said.append(event)

    def exchange(self) -> None:
        pass

    def heartbeat(self) -> None:
        if self.beats_left is not None:
            self.beats_left -= 1
            self.stop_requested = self.stop_requested or self.beats_left <= 0

    def heard(self, kind: type) -> list[Any]:
        return [event for event in self.said if isinstance(event, kind)]

    def train(
        self,
        *,
        cut_after: int | None = None,
        checkpoints: tuple[CheckpointCommitted, ...] = (),
        origin: CheckpointCommitted | None = None,
        new_episodes: bool = False,
        other_bits: bool = False,
    ) -> None:
        """One attempt, as a trainer makes it; raises `CutError` after so many calls of the callback."""
        torch.set_num_threads(1)
        self.stop_requested = False
        order = self.order(checkpoints=checkpoints, origin=origin, new_episodes=new_episodes, other_bits=other_bits)
        mailbox: Any = self  # all that is asked of one
        session: Any = TrainingSession(order, mailbox, Delivery(self.home, mailbox, None), self.home)
        session.build()
        self.model = session._trained
        if cut_after is not None:
            _cut(session._callback, cut_after)
        self.ended = session.run()
        self.weights = {name: tensor.numpy().tobytes() for name, tensor in session._trained.policy.state_dict().items()}

    def order(self, **how: Any) -> TrainerOrder:
        """What the trainer of the next attempt is told."""
        return TrainerOrder(
            run="in-process/baseline/3",
            epoch=1 + len(self.heard(TrainingStarted)),
            arm=self.arm,
            seed=self.seed,
            cpu=0,
            checkpoint_frequency=self.frequency,
            eval_frequency=self.eval_frequency,
            eval_episodes=self.eval_episodes,
            evaluation_environment=self.evaluation_environment,
            replay_limit=self.replay_limit,
            monitoring=True,
            shortcuts=True,
            **how,
        )

    def continue_(self, **how: Any) -> None:
        """Another attempt, from the last checkpoints."""
        self.train(checkpoints=tuple(reversed(self.lineage()[-3:])), **how)

    def lineage(self) -> list[CheckpointCommitted]:
        """The checkpoints that count."""
        kept: list[CheckpointCommitted] = []
        for event in self.said:
            if isinstance(event, TrainingStarted):
                kept = [checkpoint for checkpoint in kept if checkpoint.step <= event.from_step]
            elif isinstance(event, CheckpointCommitted):
                kept.append(event)
        return kept

    def digests(self) -> dict[int, str]:
        return {checkpoint.step: checkpoint.digest for checkpoint in self.lineage()}

    def steps(self) -> list[StepsRecorded]:
        """The step records that count."""
        kept: list[StepsRecorded] = []
        for event in self.said:
            if isinstance(event, TrainingStarted):
                kept = [batch for batch in kept if batch.last_step <= event.from_step]
            elif isinstance(event, StepsRecorded):
                kept.append(event)
        return kept


def _cut(callback: SupervisionCallback, after: int) -> None:
    on_step = callback._on_step

    def cutting() -> bool:
        if callback.n_calls >= after:
            callback._exchange._last_time = 0.0
            raise CutError
        return on_step()

    callback._on_step = cutting  # type: ignore[method-assign]  # cut from outside: the trainer has no such switch
