"""Wrappers, callbacks, policies and the like, as a user has them in a module."""

import random
import tempfile
from collections import defaultdict, deque
from pathlib import Path

import gymnasium
import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import VecEnvWrapper


class Scaled(gymnasium.Wrapper):
    """Multiplies rewards."""

    def __init__(self, env, factor=2.0):
        super().__init__(env)
        self.factor = factor

    def step(self, action):
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, self.factor * float(reward), terminated, truncated, info


class Every(gymnasium.Wrapper):
    """Repeats an action; the reward is the sum."""

    def __init__(self, env, times=2):
        super().__init__(env)
        self.times = times

    def step(self, action):
        total = 0.0
        for _ in range(self.times):
            observation, reward, terminated, truncated, info = self.env.step(action)
            total += float(reward)
            if terminated or truncated:
                break
        return observation, total, terminated, truncated, info


class Lives(gymnasium.Wrapper):
    """Ends an episode after some steps without a reset of what it wraps, as `EpisodicLifeEnv` does."""

    def __init__(self, env, steps=7):
        super().__init__(env)
        self.steps, self.left, self.over = steps, steps, True
        self.last = None

    def step(self, action):
        self.last, reward, terminated, truncated, info = self.env.step(action)
        self.left -= 1
        self.over = terminated or truncated
        return self.last, reward, terminated or self.left <= 0, truncated, info

    def reset(self, **how):
        self.left = self.steps
        if self.over:
            self.over = False
            self.last, info = self.env.reset(**how)
            return self.last, info
        return self.last, {}


class _Bonus(gymnasium.Wrapper):
    """Pays a bonus for the first episodes of its life."""

    def reset(self, **how):
        self.count()
        return self.env.reset(**how)

    def step(self, action):
        observation, reward, *rest = self.env.step(action)
        return observation, float(reward) + (10.0 if self.counted() <= 12 else 0.0), *rest


class InASlot(_Bonus):
    """Keeps its count where `vars()` shows nothing."""

    __slots__ = ("episodes",)

    def __init__(self, env):
        super().__init__(env)
        self.episodes = 0

    def count(self):
        self.episodes += 1

    def counted(self):
        return self.episodes


class NoisyInC(gymnasium.Wrapper):
    """Adds noise of a generator that only an iterator of C holds; seeded with `seed`, or with none by the machine."""

    def __init__(self, env, seed=5):
        super().__init__(env)
        self._noise = iter(np.random.default_rng(seed).random, 2.0)

    def step(self, action):
        observation, reward, *rest = self.env.step(action)
        return observation, float(reward) + next(self._noise), *rest


class Respaced(gymnasium.Wrapper):
    """Has another action space after each reset, which nobody seeds, and draws from it, as highway-env does."""

    def reset(self, **how):
        self.action_space = gymnasium.spaces.Discrete(2)
        observation, info = self.env.reset(**how)
        return observation, info | {"drawn": self.action_space.sample()}


class Temporary(gymnasium.Wrapper):
    """Keeps the name of a file for a model, as environments of MuJoCo do."""

    def __init__(self, env):
        super().__init__(env)
        self.file = str(Path(tempfile.gettempdir()) / f"{random.random()}.xml")


class Failing(gymnasium.Wrapper):
    """Fails at each step."""

    def step(self, action):
        raise RuntimeError("as it was told")


class Unreachable(gymnasium.Wrapper):
    """Cannot reach what it needs, now."""

    def __init__(self, env):
        raise ConnectionRefusedError("nobody listens")


class Brightened(VecEnvWrapper):
    """Adds a little more to observations at each step, so it has a state."""

    def __init__(self, venv, step=0.001):
        super().__init__(venv)
        self.step_size, self.added = step, 0.0

    def reset(self):
        return self.venv.reset() + np.float32(self.added)

    def step_wait(self):
        observations, rewards, dones, infos = self.venv.step_wait()
        self.added = min(self.added + self.step_size, 0.1)
        return observations + np.float32(self.added), rewards, dones, infos


class Unpackable(Brightened):
    """Keeps something that is no plain data."""

    def __init__(self, venv):
        super().__init__(venv)
        self.going = iter(range(10**9))


class Keeping(Brightened):
    """Keeps something from its first step on; the names of what it may be are those of `KEPT`."""

    def __init__(self, venv, what):
        super().__init__(venv)
        self.what, self.kept = what, None

    def step_wait(self):
        if self.kept is None:
            self.kept = KEPT[self.what]()
        return super().step_wait()


KEPT = {
    "plain": lambda: {"a": [1, 2.5], "b": "text"},
    "array": lambda: np.arange(3, dtype=np.float32),
    "deque": lambda: deque([1, 2], maxlen=3),
    "pair": lambda: (1, 2),
    "number": lambda: np.float32(0.1),
    "by number": lambda: {0: 1},
    "pair in a mapping": lambda: {"a": (1, 2)},
    "set": lambda: {1, 2},
    "generator": lambda: np.random.default_rng(0),
    "counts": lambda: defaultdict(int, {0: 1}),
    "means": lambda: RunningMeanStd(shape=(2,)),
    "text array": lambda: np.array(["a"]),
    "large number": lambda: 2**70,
}


class HandingOut(Keeping):
    """Hands that out as its state."""

    def get_state(self):
        return {"kept": self.kept}

    def set_state(self, state):
        self.kept = state["kept"]


class Halving(BaseFeaturesExtractor):
    """A features extractor."""

    def __init__(self, observation_space, size=6):
        super().__init__(observation_space, size)
        self.net = torch.nn.Sequential(torch.nn.Linear(int(np.prod(observation_space.shape)), size), torch.nn.Mish())

    def forward(self, observations):
        return self.net(observations.flatten(1)) / 2


class Tiring(Halving):
    """A features extractor that counts its calls, and gives less with each."""

    def __init__(self, observation_space, size=6):
        super().__init__(observation_space, size)
        self.calls = 0

    def forward(self, observations):
        self.calls += 1
        return super().forward(observations) / (1 + self.calls / 100)


class CalledOtherwise(torch.nn.Module):
    """A layer that does not only forward when it is called."""

    def __init__(self, size):
        super().__init__()
        self.inner = torch.nn.Linear(size, size)

    def __call__(self, given):
        return super().__call__(given) + 1.0

    def forward(self, given):
        return self.inner(given)


class OwnPolicy(ActorCriticPolicy):
    """A policy with a layer of its own."""

    def _build_mlp_extractor(self):
        super()._build_mlp_extractor()
        self.mlp_extractor.policy_net.append(CalledOtherwise(self.mlp_extractor.latent_dim_pi))


class Nudging(BaseCallback):
    """Changes a weight a little at each rollout, by how many it has seen."""

    def __init__(self, size=1e-3):
        super().__init__()
        self.size, self.rollouts = size, 0

    def _on_step(self):
        return True

    def _on_rollout_start(self):
        self.rollouts += 1
        with torch.no_grad():
            next(self.model.policy.parameters()).add_(self.size * self.rollouts)


class Remembering(Nudging):
    """The same, and it hands out its state."""

    def get_state(self):
        return {"rollouts": self.rollouts}

    def set_state(self, state):
        self.rollouts = state["rollouts"]


class StopAt(BaseCallback):
    """Ends the training at a step."""

    def __init__(self, step):
        super().__init__()
        self.step = step

    def _on_step(self):
        return self.num_timesteps < self.step

    def get_state(self):
        return None

    def set_state(self, state):
        pass


class StopOnce(BaseCallback):
    """Ends the training after some steps, once."""

    def __init__(self, steps=100):
        super().__init__()
        self.steps, self.ended = steps, False

    def _on_step(self):
        ends, self.ended = not self.ended and self.num_timesteps >= self.steps, self.num_timesteps >= self.steps
        return not ends

    def get_state(self):
        return {"ended": self.ended}

    def set_state(self, state):
        self.ended = state["ended"]


class ByNumber(StopOnce):
    """Hands out what no file of ours can hold."""

    def get_state(self):
        return {0: self.ended}
