"""Where an attempt takes up a training: the state of a checkpoint, put back at the first boundary."""

from dataclasses import dataclass
from typing import Any, Final

from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from lander.actors.state.checkpoint import Checkpoints
from lander.actors.state.tree import Tree
from lander.actors.trainer.evaluation import Evaluations
from lander.actors.trainer.mailbox import Mailbox
from lander.actors.trainer.run_logger import RunLogger
from lander.protocol.events import Resume, WarningRaised

_ELSEWHERE: Final = "forked at step {step} into a different environment: the episodes under way end there, and new ones begin"


@dataclass(frozen=True)
class Continuation:
    """The state of a checkpoint, and what it is to this run.

    `finished`: it was the end of a training. `forked`: the run is forked from it. `new_episodes`: those under way do not go on,
    since the environment has been made a different one.
    """

    state: Tree
    finished: bool
    forked: bool = False
    new_episodes: bool = False


@dataclass(frozen=True)
class Restored:
    """What was put back: how exactly, how many episodes had finished, and whether nothing is left to train."""

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
) -> Restored:
    """Put everything back, from `on_rollout_start`, and say what is not as it was."""
    problems = checkpoints.restore(continuation.state, new_episodes=continuation.new_episodes)
    step, done = model.num_timesteps, model.num_timesteps >= model._total_timesteps
    if not continuation.forked:  # what was best before is another run's, and kept as that
        evaluations.restore(continuation.state, done=done)
    if done:
        problems = ()  # nothing is left to train that could differ
    elif continuation.finished:
        _draw_noise(model)  # a rollout does so before its boundary, and after the end of training nobody did
    logger.continue_from(model)
    if continuation.new_episodes:
        mailbox.say(WarningRaised(message=_ELSEWHERE.format(step=step)))
    for problem in problems:
        mailbox.say(WarningRaised(message=f"continued at step {step}, but not exactly: {problem}"))
    return Restored("inexact" if problems else "exact", continuation.state["episodes"], done)


def _draw_noise(model: Any) -> None:
    """Generalised state-dependent exploration, as at the beginning of a rollout."""
    if model.use_sde:
        (model.policy if isinstance(model, OnPolicyAlgorithm) else model.actor).reset_noise(model.env.num_envs)
