"""How good a policy is: episodes without exploration, on seeds that are the same for every run.

What comes of it is a function of the policy, the environment and the seeds alone. It is no part of the training: not a bit of
that is different for it, and a test compares both with the plain program. What environments of one process share behind
everybody's back cannot be known.
"""

import contextlib
import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import gymnasium
import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm

from lander.actors.algorithms import build_single_environment
from lander.actors.ingredients import INGREDIENTS
from lander.actors.policy import Policy
from lander.actors.recording import EnvironmentFailedError
from lander.protocol.events import EvaluationFinished
from lander.protocol.experiment import EVALUATION_SEED, Arm

MOST_STEPS: Final = 100_000
"""At which an episode is cut off where the environment sets no limit: a policy that never fails must not be played for ever."""
_GENERATORS: Final = tuple(each for each in INGREDIENTS if each.name.endswith("_generator"))


class Played(NamedTuple):
    """What an episode came to."""

    episode_return: float
    length: int


def evaluate(policy: Policy, arm: Arm, episodes: int, sign_of_life: Callable[[], object] = lambda: None) -> list[Played]:
    """Play so many episodes, in an environment of their own; `sign_of_life` is called at each of their steps.

    Seeds whatever generators there are in this process, for environments that draw from those. Raises
    `EnvironmentFailedError` where the environment cannot be built or played.
    """
    played: list[Played] = []
    with contextlib.closing(_build(arm)) as environment:
        for seed in range(EVALUATION_SEED, EVALUATION_SEED + episodes):
            played.append(play(policy, environment, seed, sign_of_life))
    return played


def play(policy: Policy, environment: gymnasium.Env[Any, Any], seed: int, sign_of_life: Callable[[], object]) -> Played:
    """One episode, to its end."""
    played = Played(0.0, 0)
    for so_far in perform(policy, environment, seed):
        played = so_far
        sign_of_life()
    return played


def perform(policy: Policy, environment: gymnasium.Env[Any, Any], seed: int) -> Iterator[Played]:
    """One episode, step by step: what it has come to after the reset and after each step.

    Its return is added up in float64, in the order of its steps.
    """
    _seed_generators(seed)
    observation, _ = environment.reset(seed=seed)
    played, over = Played(0.0, 0), False
    yield played
    while not over and played.length < MOST_STEPS:
        observation, reward, terminated, truncated, _ = environment.step(policy.act(observation))
        played = Played(played.episode_return + float(reward), played.length + 1)
        over = bool(terminated or truncated)
        yield played


def _seed_generators(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)


class _Blamed(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Says whose failure it is when the environment raises."""

    def reset(self, **options: Any) -> Any:
        try:
            return self.env.reset(**options)
        except Exception as error:
            raise _failed("reset()", error) from error

    def step(self, action: Any) -> Any:
        try:
            return self.env.step(action)
        except Exception as error:
            raise _failed("step()", error) from error

    def close(self) -> None:
        with contextlib.suppress(Exception):  # it has been played, and nothing depends on how it leaves
            self.env.close()


def _build(arm: Arm) -> gymnasium.Env[Any, Any]:
    try:
        return _Blamed(build_single_environment(arm))
    except Exception as error:
        raise _failed("its construction", error) from error


def _failed(where: str, error: Exception) -> EnvironmentFailedError:
    return EnvironmentFailedError(f"the environment of an evaluation failed in {where}: {type(error).__name__}: {error}")


def as_event(step: int, played: Sequence[Played], *, final: bool = False, seconds: float = 0.0) -> EvaluationFinished:
    """What `evaluate` came to with the policy of this step."""
    returns, lengths = zip(*played, strict=True)
    return EvaluationFinished(
        step=step, first_seed=EVALUATION_SEED, returns=returns, lengths=lengths, final=final, seconds=seconds
    )


# --- while training ---------------------------------------------------------------------------------------------------


class Evaluations:
    """The evaluations of one training: when one is due, and what the best was.

    When the next one is due is a function of the step alone, so that every attempt makes them at the same steps.
    """

    def __init__(
        self, model: BaseAlgorithm, arm: Arm, *, frequency: int | None, episodes: int, sign_of_life: Callable[[], object]
    ) -> None:
        self.best: float | None = None
        """The highest mean return so far, over all attempts."""
        self._model = model
        self._arm = arm
        self._frequency = frequency if episodes else None
        self._episodes = episodes
        self._sign_of_life = sign_of_life
        self._last: EvaluationFinished | None = None
        self._next_step: float = math.inf
        self.begin_at(0)

    def begin_at(self, step: int) -> None:
        """Nothing up to this step is due any more."""
        if self._frequency is not None:
            self._next_step = (step // self._frequency + 1) * self._frequency

    def due(self, step: int) -> bool:
        """Whether the boundary at this step is the first at or beyond a multiple of the frequency."""
        return step >= self._next_step

    @property
    def wanted_at_the_end(self) -> bool:
        """Whether the last step is followed by one."""
        return self._episodes > 0

    def at(self, step: int) -> float | None:
        """The mean return of the evaluation that was made at this step, if one was."""
        return self._last.mean_return if self._last is not None and self._last.step == step else None

    def make(self, *, final: bool = False) -> EvaluationFinished:
        """Evaluate the policy as it is, and change nothing else; raises `EnvironmentFailedError`."""
        started = time.perf_counter()
        try:
            with untouched(self._model):
                played = evaluate(Policy(self._model), self._arm, self._episodes, self._sign_of_life)
        except EnvironmentFailedError as error:
            raise EnvironmentFailedError(f"{error} (eval_episodes: 0 trains without evaluations)") from error.__cause__
        seconds = time.perf_counter() - started
        self._last = as_event(self._model.num_timesteps, played, final=final, seconds=seconds)
        self.begin_at(self._last.step)
        return self._last

    def improved(self) -> bool:
        """Whether the last one is the best so far, which it then is from now on.

        One that came to no number never is, and no best can be told by one at the end that has none before it.
        """
        if self._last is None or math.isnan(self._last.mean_return):
            return False
        before, mean = self.best, self._last.mean_return
        if before is not None and mean <= before:
            return False
        self.best = mean
        return before is not None or not self._last.final


@contextlib.contextmanager
def untouched(model: BaseAlgorithm) -> Iterator[None]:
    """Whatever is drawn inside, and however the networks are switched, everything is as before afterwards."""
    generators = [(ingredient, ingredient.take(model)) for ingredient in _GENERATORS]
    training = model.policy.training
    try:
        yield
    finally:
        model.policy.set_training_mode(training)
        for ingredient, state in generators:
            ingredient.restore(model, state)


def as_metrics(evaluation: EvaluationFinished) -> dict[str, float]:
    """The names under which `EvalCallback` of Stable-Baselines3 logs the same."""
    lengths = evaluation.lengths
    return {"eval/mean_reward": evaluation.mean_return, "eval/mean_ep_length": sum(lengths) / len(lengths)}
