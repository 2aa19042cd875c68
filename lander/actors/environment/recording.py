"""Records every step of every environment: a wrapper keeps the steps, and a recording makes events of them.

The wrapper goes around SB3's `Monitor`, inside the vector environment. There it sees the action as the environment receives
it. It sees the reward in float64, before `DummyVecEnv` rounds it to float32 and `VecNormalize` scales it. It changes no value,
so a recorded run has the same bits as an unrecorded one.
"""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, Final, Self

import gymnasium
import numpy as np
import numpy.typing as npt
import torch

from lander.actors.environment import generators
from lander.actors.environment.attributes import module_globals
from lander.actors.environment.history import History, in_smallest_type
from lander.protocol.arrays import pack
from lander.protocol.events import EpisodeFinished, StepsRecorded

TERMINATED: Final = 1
TRUNCATED: Final = 2


OUT_OF_MEMORY: Final = (MemoryError, torch.OutOfMemoryError)
"""Failures of the machine, even when an environment raises them: the next attempt may succeed."""


class EnvironmentFailedError(Exception):
    """The environment raised an exception, which is this one's `__cause__`."""

    @classmethod
    def of(cls, name: str, where: str, error: Exception) -> Self:
        """The error for the environment with this name; `where` is the call that failed."""
        return cls(f"{name} failed in {where}: {type(error).__name__}: {error}")


class ErrorAttributingWrapper(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Raises `EnvironmentFailedError` with the environment's name when the environment raises; lets `OUT_OF_MEMORY` through."""

    def __init__(self, env: gymnasium.Env[Any, Any], name: str) -> None:
        super().__init__(env)
        self._name = name

    def step(self, action: Any) -> Any:
        try:
            return self.env.step(action)
        except OUT_OF_MEMORY:
            raise
        except Exception as error:
            raise EnvironmentFailedError.of(self._name, "step()", error) from error

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        try:
            return self.env.reset(seed=seed, options=options)
        except OUT_OF_MEMORY:
            raise
        except Exception as error:
            raise EnvironmentFailedError.of(self._name, "reset()", error) from error

    def close(self) -> None:
        with contextlib.suppress(Exception):  # no more steps follow, so its failure here changes no result
            self.env.close()


class RecordedEnvironment(ErrorAttributingWrapper):
    """Appends each step to plain lists and does nothing else per step, because it runs in the inner loop of training."""

    def __init__(self, env: gymnasium.Env[Any, Any], recording: "Recording") -> None:
        super().__init__(env, f"environment {len(recording.environments)}")
        self.action_space = env.action_space  # the one that was seeded, also where a reset gives the environment another
        self.recording = recording
        self.index = recording.add(self)
        self.actions: list[Any] = []
        self.rewards: list[float] = []
        self.endings: list[tuple[int, int]] = []
        self.steps = 0
        """How many steps come before those in the lists."""
        self.episode_start = 0
        self.episode_return = 0.0
        self.reset_seed: int | None = None
        self.reset_rng = b""
        self.since_reset: list[Any] = []
        """The actions of the current episode: a restore from a checkpoint replays them."""
        self.observation: Any = None
        self.resets = 0
        """How many resets this object has seen, played again or not."""
        self.first_seed: int | None = None
        """The seed of the first of them."""
        self._copies_actions = not isinstance(env.action_space, gymnasium.spaces.Discrete)

    def step(self, action: Any) -> Any:
        # An environment may change the array it receives. A single integer cannot be changed, so it is not copied.
        action_kept = action.copy() if self._copies_actions else action
        result = super().step(action)
        self.actions.append(action_kept)
        self.since_reset.append(action_kept)
        self.observation = result[0]
        reward = float(result[1])
        self.rewards.append(reward)
        self.episode_return += reward
        if result[2] or result[3]:
            self._finish_episode(terminated=bool(result[2]), truncated=bool(result[3]))
        return result

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        self.reset_seed = seed
        self.reset_rng = generators.pack(getattr(self.env.unwrapped, "np_random", None)) if seed is None else b""
        self.episode_start = self.steps + len(self.rewards)
        self.episode_return = 0.0
        self.since_reset = []
        if not self.resets:
            self.first_seed = seed
        self.resets += 1
        if self.recording.history is not None:
            self.recording.history.add_reset(self.index, len(self.rewards), seed)
        result = super().reset(seed=seed, options=options)
        self.observation = result[0]
        return result

    def take_place(self, index: int) -> None:
        """Be the environment with this index, in a process of its own that has no others and its own recording."""
        history = None if self.recording.history is None else History()
        self.recording = Recording(self.recording.n_envs, history)
        self.recording.add(self)
        self.index, self._name = index, f"environment {index}"

    def do(self, act: Callable[..., Any], *arguments: Any) -> Any:
        """What `act` returns for this environment; one in another process does it there."""
        return act(self, *arguments)

    def put_back_action_generator(self, packed: bytes) -> None:
        """Set the generator of random actions."""
        self.action_space._np_random = generators.unpack(packed)

    def replay(self, action: Any) -> bool:
        """Take a step that is already recorded, without recording it again; returns whether the episode has ended."""
        self.since_reset.append(action)
        result = self.env.step(np.copy(action) if self._copies_actions else action)
        self.observation = result[0]
        self.episode_return += float(result[1])
        return bool(result[2] or result[3])

    def adopt(self, reset_seed: int | None, reset_rng: bytes, actions: list[Any], observation: Any) -> None:
        """Take over the record of a current episode that was restored without being played again."""
        self.reset_seed, self.reset_rng = reset_seed, reset_rng
        self.since_reset, self.observation = actions, observation

    def begin_at(self, steps: int, episode_start: int, episode_return: float) -> None:
        """Empty the lists and set the counts: `steps` are recorded; the current episode began after `episode_start` of them."""
        self.actions, self.rewards, self.endings = [], [], []
        self.steps, self.episode_start, self.episode_return = steps, episode_start, episode_return

    def _finish_episode(self, *, terminated: bool, truncated: bool) -> None:
        self.endings.append((len(self.rewards) - 1, TERMINATED * terminated + TRUNCATED * truncated))
        end = self.steps + len(self.rewards)
        n_envs = self.recording.n_envs
        self.recording.episodes.append(
            EpisodeFinished(
                env=self.index,
                first_step=self.episode_start * n_envs,
                last_step=end * n_envs,
                length=end - self.episode_start,
                episode_return=self.episode_return,
                truncated=truncated,
                reset_seed=self.reset_seed,
                reset_rng=self.reset_rng,
            )
        )

    def drop_recorded(self, count: int) -> None:
        """Drop the first `count` steps from the lists, because an event holds them now."""
        self.steps += count
        del self.actions[:count]
        del self.rewards[:count]
        self.endings = [(step - count, ending) for step, ending in self.endings if step >= count]


class Recording:
    """What the environments of one run did since the last `drain`; with a `history`, also what they were given since then."""

    def __init__(self, n_envs: int, history: History | None = None) -> None:
        self.n_envs = n_envs
        self.history = history
        self.episodes: list[EpisodeFinished] = []
        self.environments: list[RecordedEnvironment] = []

    def add(self, environment: RecordedEnvironment) -> int:
        """Add an environment; returns its index in the vector environment."""
        self.environments.append(environment)
        return len(self.environments) - 1

    def drain(self) -> list[StepsRecorded | EpisodeFinished]:
        """The events since the last call; an episode comes after its steps.

        Takes only whole vector steps: if an environment raised, those before it in the vector are one step ahead.
        """
        steps = self._steps()
        done = self.environments[0].steps * self.n_envs
        episodes = [episode for episode in self.episodes if episode.last_step <= done]
        self.episodes = [episode for episode in self.episodes if episode.last_step > done]
        return [*steps, *episodes]

    def module_globals(self) -> dict[str, bytes]:
        """Digests of the globals of the environments' modules, which all environments of a process share."""
        return module_globals(each.env for each in self.environments)

    def _steps(self) -> list[StepsRecorded]:
        environments = self.environments
        count = min(len(environment.rewards) for environment in environments)
        if count == 0:
            return []
        endings = np.zeros((count, self.n_envs), np.uint8)
        for environment in environments:
            for step, ending in environment.endings:
                if step < count:
                    endings[step, environment.index] = ending
        actions = _stack([environment.actions[:count] for environment in environments])
        if self.history is not None:
            self.history.add_steps(actions)
        event = StepsRecorded(
            first_step=environments[0].steps * self.n_envs,
            actions=pack(in_smallest_type(actions)),
            rewards=pack(_stack([environment.rewards[:count] for environment in environments]).astype(np.float64, copy=False)),
            endings=pack(endings),
        )
        for environment in environments:
            environment.drop_recorded(count)
        return [event]


def _stack(columns: Sequence[Sequence[Any]]) -> npt.NDArray[Any]:
    """From one list per environment to an array indexed [vector step, environment, …]."""
    return np.stack([np.asarray(column) for column in columns], axis=1)
