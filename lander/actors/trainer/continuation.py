"""Continues a training from the state of a checkpoint, at the first boundary of an attempt."""

from dataclasses import dataclass
from typing import Any, Final

from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from lander.actors.state.checkpoint import Checkpoints
from lander.actors.state.construction_replay import Progress
from lander.actors.state.tree import StoredTree
from lander.actors.trainer.evaluation_schedule import Evaluations
from lander.actors.trainer.mailbox import Mailbox
from lander.actors.trainer.run_logger import RunLogger
from lander.protocol.events import Resume, WarningRaised

_ELSEWHERE: Final = "forked at step {step} into a different environment: the episodes under way end there, and new ones begin"


@dataclass(frozen=True)
class Continuation:
    """The state of a checkpoint, and its relation to this run.

    `finished`: it ended a training. `forked`: this run is forked from it. `new_episodes`: the environment is now a different
    one, so the current episodes cannot go on.
    """

    state: StoredTree
    finished: bool
    forked: bool = False
    new_episodes: bool = False
    other_bits: bool = False
    """What was computed until here was computed with other bits than what follows."""


@dataclass(frozen=True)
class Restored:
    """The result of a restore: how exact it was, the number of finished episodes, and whether training is already complete."""

    how: Resume
    episodes: int
    done: bool


def restore(
    continuation: Continuation,
    model: Any,
    checkpoints: Checkpoints,
    evaluations: Evaluations,
    logger: RunLogger,
    mailbox: Mailbox,
    progress: Progress,
) -> Restored:
    """Restore everything; call it from `on_rollout_start`. Puts a warning in the mailbox for each difference.

    `progress` is called while environments are played again from their construction.
    """
    problems = checkpoints.restore(continuation.state, new_episodes=continuation.new_episodes, progress=progress)
    step = model.num_timesteps
    done = step >= model._total_timesteps or (checkpoints.ended_early and not continuation.forked)
    if not continuation.forked:  # the best so far is another run's, which keeps it
        evaluations.restore(continuation.state, done=done)
    else:
        checkpoints.go_on()
    if done:
        problems = ()  # no training follows that could differ
    elif continuation.finished:
        _draw_noise(model)  # `collect_rollouts` draws it before the boundary, and did not run again after the last rollout
    logger.continue_from(model)
    if continuation.new_episodes:
        mailbox.say(WarningRaised(message=_ELSEWHERE.format(step=step)))
    for problem in problems:
        mailbox.say(WarningRaised(message=f"continued at step {step}, but not exactly: {problem}"))
    how: Resume = "inexact" if problems else "other_bits" if continuation.other_bits else "exact"
    return Restored(how, continuation.state["episodes"], done)


def _draw_noise(model: Any) -> None:
    """Draw the noise of generalised state-dependent exploration, as SB3's `collect_rollouts` does at its start."""
    if model.use_sde:
        (model.policy if isinstance(model, OnPolicyAlgorithm) else model.actor).reset_noise(model.env.num_envs)
