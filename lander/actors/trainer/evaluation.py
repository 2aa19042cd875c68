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

from lander.actors.environment.recording import OUT_OF_MEMORY, EnvironmentFailedError, ErrorAttributingWrapper
from lander.actors.sb3.algorithms import build_single_environment
from lander.actors.state.state_parts import STATE_PARTS
from lander.actors.state.tree import Tree
from lander.actors.trainer.saved_policy import Policy
from lander.protocol.events import EvaluationFinished
from lander.protocol.experiment import EVALUATION_SEED, Arm

MOST_STEPS: Final = 100_000
"""At which an episode is cut off where the environment sets no limit: a policy that never fails must not be played for ever."""
_NAME: Final = "the environment of an evaluation"
_GENERATORS: Final = tuple(each for each in STATE_PARTS if each.name.endswith("_generator"))


class Played(NamedTuple):
    """What an episode came to."""

    episode_return: float
    length: int


def evaluate(policy: Policy, arm: Arm, episodes: int, heartbeat: Callable[[], object] = lambda: None) -> list[Played]:
    """Play so many episodes, in an environment of their own; `heartbeat` is called at each of their steps.

    Seeds whatever generators there are in this process, for environments that draw from those. Raises
    `EnvironmentFailedError` where the environment cannot be built or played, and what `heartbeat` raises.
    """
    played: list[Played] = []
    with contextlib.closing(_build(arm)) as environment:
        for seed in range(EVALUATION_SEED, EVALUATION_SEED + episodes):
            played.append(play(policy, environment, seed, heartbeat))
    return played


def play(policy: Policy, environment: gymnasium.Env[Any, Any], seed: int, heartbeat: Callable[[], object]) -> Played:
    """One episode, to its end."""
    played = Played(0.0, 0)
    for so_far in perform(policy, environment, seed):
        played = so_far
        heartbeat()
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
    if _on_gpus():
        torch.cuda.manual_seed_all(seed)


def _on_gpus() -> bool:
    """Whether anything in this process computes on GPUs, and so may draw there."""
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]  # torch says no types of it


def _build(arm: Arm) -> gymnasium.Env[Any, Any]:
    try:
        return ErrorAttributingWrapper(build_single_environment(arm), _NAME)
    except OUT_OF_MEMORY:
        raise
    except Exception as error:
        raise EnvironmentFailedError.of(_NAME, "its construction", error) from error


def as_event(step: int, played: Sequence[Played], *, final: bool = False, seconds: float = 0.0) -> EvaluationFinished:
    """What `evaluate` came to with the policy of this step."""
    returns, lengths = zip(*played, strict=True)
    return EvaluationFinished(
        step=step, first_seed=EVALUATION_SEED, returns=returns, lengths=lengths, final=final, seconds=seconds
    )


# --- while training ---------------------------------------------------------------------------------------------------


class Best(NamedTuple):
    """The best evaluation so far: its step, and of how many episodes it is the mean.

    `model` is the SHA-256 of the model that was saved of it: empty before that is done, None where one alone tells no best.
    """

    step: int
    episodes: int
    mean_return: float
    model: str | None = ""


class Evaluations:
    """The evaluations of one training: when one is due, what the best was, and whether one is owed.

    When the next one is due is a function of the step alone, so that every attempt makes them at the same steps.
    """

    def __init__(
        self, model: BaseAlgorithm, arm: Arm, *, frequency: int | None, episodes: int, heartbeat: Callable[[], object]
    ) -> None:
        self.best: Best | None = None
        """Over all attempts."""
        self.owed = False
        """That of this step was begun and not finished: whoever continues from here makes it before anything else."""
        self._model = model
        self._arm = arm
        self._frequency = frequency if episodes else None
        self._episodes = episodes
        self._heartbeat = heartbeat
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

    def made(self) -> EvaluationFinished | None:
        """That of the policy as it is, if this attempt has made it."""
        return self._last if self._last is not None and self._last.step == self._model.num_timesteps else None

    def capture(self) -> Tree:
        """What whoever continues from this step must know."""
        made = self.made()
        best = self.best._asdict() if self.best is not None else None
        return {"episodes": len(made.returns) if made else 0, "owed": self.owed, "best": best}

    def restore(self, state: Tree, *, done: bool) -> None:
        """Know what a checkpoint's state says. At the end of training (`done`), more episodes than were played are owed."""
        known = _known(state)
        self.best = Best(**known["best"]) if known["best"] is not None else None
        self.owed = self._episodes > 0 and (known["owed"] or (done and known["episodes"] < self._episodes))

    def make(self, *, final: bool = False) -> EvaluationFinished:
        """Evaluate the policy as it is, and change nothing else.

        Raises `EnvironmentFailedError`, and what `heartbeat` raises: it is owed then.
        """
        self.owed = True
        started = time.perf_counter()
        try:
            with untouched(self._model):
                played = evaluate(Policy(self._model), self._arm, self._episodes, self._heartbeat)
        except EnvironmentFailedError as error:
            raise EnvironmentFailedError(f"{error} (eval_episodes: 0 trains without evaluations)") from error.__cause__
        seconds = time.perf_counter() - started
        self._last = as_event(self._model.num_timesteps, played, final=final, seconds=seconds)
        self.begin_at(self._last.step)
        self.owed = False
        return self._last

    def improved(self) -> bool:
        """Whether the last one is the best so far, which it then is from now on; a mean of fewer or more episodes is forgotten.

        One that came to no number never is, and no best can be told by one at the end that has none before it.
        """
        if self._last is None or math.isnan(self._last.mean_return):
            return False
        before, episodes, mean = self.best, len(self._last.returns), self._last.mean_return
        if before is not None and before.episodes == episodes and mean <= before.mean_return:
            return False
        alone = before is None and self._last.final
        self.best = Best(self._last.step, episodes, mean, None if alone else "")
        return not alone


def _known(state: Tree) -> Tree:
    """What `take` gave; a checkpoint of an earlier version has at most a best mean, and nobody knows of how many episodes."""
    mean = state.get("best_evaluation")
    best = Best(0, 0, mean)._asdict() if mean is not None else None
    return state.get("evaluations") or {"episodes": 0, "owed": False, "best": best}


@contextlib.contextmanager
def untouched(model: BaseAlgorithm) -> Iterator[None]:
    """Whatever is drawn inside, and however the networks are switched, everything is as before afterwards."""
    generators = [(part, part.capture(model)) for part in _GENERATORS]
    gpus = torch.cuda.get_rng_state_all() if _on_gpus() else ()
    training = model.policy.training
    try:
        yield
    finally:
        model.policy.set_training_mode(training)
        for part, state in generators:
            part.restore(model, state)
        torch.cuda.set_rng_state_all(gpus)


def as_metrics(evaluation: EvaluationFinished) -> dict[str, float]:
    """The names under which `EvalCallback` of Stable-Baselines3 logs the same."""
    lengths = evaluation.lengths
    return {"eval/mean_reward": evaluation.mean_return, "eval/mean_ep_length": sum(lengths) / len(lengths)}
