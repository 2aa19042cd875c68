"""How good a policy is: episodes without exploration, on seeds that are the same for every run.

The result depends only on the policy, the environment and the seeds. State that environments of one process share by other
means than random generators cannot be detected.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import gymnasium
from stable_baselines3.common.monitor import Monitor

from lander.actors.environment.attributes import layers
from lander.actors.environment.recording import OUT_OF_MEMORY, EnvironmentFailedError, ErrorAttributingWrapper
from lander.actors.sb3.algorithms import build_single_environment
from lander.actors.trainer.isolated_rng import seed_generators
from lander.actors.trainer.saved_policy import Policy
from lander.protocol.events import EvaluationFinished
from lander.protocol.experiment import EVALUATION_SEED, Arm

MAX_EPISODE_STEPS: Final = 100_000
"""An episode is cut off here, because an environment without a time limit may never end for a policy that never fails."""
_ENVIRONMENT_NAME: Final = "the environment of an evaluation"


class EpisodeResult(NamedTuple):
    """The return of an episode, and its length in steps."""

    episode_return: float
    length: int


def evaluate(policy: Policy, arm: Arm, episodes: int, heartbeat: Callable[[], object] = lambda: None) -> list[EpisodeResult]:
    """Play so many episodes in a new environment; calls `heartbeat` at each step.

    Seeds the random generators of this process, because some environments draw from them. Raises `EnvironmentFailedError`
    if the environment cannot be built or fails, and what `heartbeat` raises.
    """
    with contextlib.closing(_build(arm)) as environment:
        seeds = range(EVALUATION_SEED, EVALUATION_SEED + episodes)
        return [_play(policy, environment, seed, heartbeat) for seed in seeds]


def _play(policy: Policy, environment: gymnasium.Env[Any, Any], seed: int, heartbeat: Callable[[], object]) -> EpisodeResult:
    result = EpisodeResult(0.0, 0)
    for so_far in play_by_step(policy, environment, seed):
        result = so_far
        heartbeat()
    return result


def play_by_step(policy: Policy, environment: gymnasium.Env[Any, Any], seed: int) -> Iterator[EpisodeResult]:
    """Play one episode; yields the result so far after the reset and after each step.

    The return is summed in float64, in the order of the steps. Where there are wrappers around a `Monitor`, its rewards and its
    steps count, and an episode is over when it is for the `Monitor`: as `evaluate_policy` of Stable-Baselines3 has it.
    """
    seed_generators(seed)
    monitor = next((each for each in layers(environment) if isinstance(each, Monitor)), None)
    observation, _ = environment.reset(seed=seed)
    player = policy.player(environment)
    player.begin()
    result = EpisodeResult(0.0, 0) if monitor is None else _counted(monitor, EpisodeResult(0.0, 0))
    yield result
    for _ in range(MAX_EPISODE_STEPS):
        observation, reward, terminated, truncated, _ = environment.step(player.act(observation))
        if monitor is None:
            result = EpisodeResult(result.episode_return + float(reward), result.length + 1)
        else:
            result = _counted(monitor, result)
        yield result
        if terminated or truncated:
            if monitor is None or monitor.needs_reset:
                return
            episode = monitor.rewards
            observation, _ = environment.reset()
            player.begin()
            if monitor.rewards is not episode:  # a wrapper has ended the episode, and not only a life in it
                return


def _counted(monitor: Any, before: EpisodeResult) -> EpisodeResult:
    """The result so far by the rewards that the `Monitor` holds."""
    rewards = monitor.rewards
    return EpisodeResult(sum(rewards[before.length :], before.episode_return), len(rewards))


def _build(arm: Arm) -> gymnasium.Env[Any, Any]:
    try:
        return ErrorAttributingWrapper(build_single_environment(arm), _ENVIRONMENT_NAME)
    except OUT_OF_MEMORY:
        raise
    except Exception as error:
        raise EnvironmentFailedError.of(_ENVIRONMENT_NAME, "its construction", error) from error


def as_event(step: int, results: Sequence[EpisodeResult], *, final: bool = False, seconds: float = 0.0) -> EvaluationFinished:
    """The event for the results of `evaluate` with the policy of this step."""
    returns, lengths = zip(*results, strict=True)
    return EvaluationFinished(
        step=step, first_seed=EVALUATION_SEED, returns=returns, lengths=lengths, final=final, seconds=seconds
    )


def as_metrics(evaluation: EvaluationFinished) -> dict[str, float]:
    """Mean return and mean length, under the names that SB3's `EvalCallback` logs."""
    lengths = evaluation.lengths
    return {"eval/mean_reward": evaluation.mean_return, "eval/mean_ep_length": sum(lengths) / len(lengths)}
