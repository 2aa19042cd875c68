"""Shortcuts lead to the same place: with them and without them, a training ends with the same bits."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3 import A2C, DQN, PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecNormalize

import tests.worlds  # noqa: F401 - registers them
from lander.actors import shortcuts
from lander.actors.ingredients import optimizers

SMALL_PPO = {"n_steps": 64, "batch_size": 32, "n_epochs": 2}
OFF_POLICY = {"learning_starts": 40, "buffer_size": 400, "batch_size": 16, "policy_kwargs": {"net_arch": [16, 16]}}
TOLD = {"policy_kwargs": {"optimizer_kwargs": {"weight_decay": 0.1, "amsgrad": True, "maximize": True}}}

# name: algorithm, policy, environment, timesteps, hyperparameters
CASES: dict[str, tuple[type[BaseAlgorithm], str, str, int, dict[str, Any]]] = {
    "discrete": (PPO, "MlpPolicy", "LunarLander-v3", 256, SMALL_PPO),
    "continuous": (PPO, "MlpPolicy", "Pendulum-v1", 512, {**SMALL_PPO, "n_envs": 2}),
    "sde": (PPO, "MlpPolicy", "Pendulum-v1", 256, {**SMALL_PPO, "use_sde": True, "sde_sample_freq": 4}),
    "adam-told-more": (PPO, "MlpPolicy", "CartPole-v1", 256, {**SMALL_PPO, **TOLD}),
    "time-limit-and-statistics": (PPO, "MlpPolicy", "MountainCar-v0", 640, {**SMALL_PPO, "n_envs": 2, "normalize": True}),
    "image": (PPO, "CnnPolicy", "ImageWorld-v0", 48, {"n_steps": 24, "batch_size": 12, "n_epochs": 1}),
    "dict": (PPO, "MultiInputPolicy", "DictWorld-v0", 256, SMALL_PPO),
    "discrete-observations": (PPO, "MlpPolicy", "DiscreteWorld-v0", 256, {**SMALL_PPO, "n_envs": 2}),
    "multi-discrete": (A2C, "MlpPolicy", "MultiWorld-v0", 100, {"n_envs": 2}),
    "a2c": (A2C, "MlpPolicy", "CartPole-v1", 100, {"n_envs": 4}),
    "dqn": (DQN, "MlpPolicy", "CartPole-v1", 200, OFF_POLICY),
    "dict-off-policy": (DQN, "MultiInputPolicy", "DictWorld-v0", 200, OFF_POLICY),
    "sac": (SAC, "MlpPolicy", "Pendulum-v1", 100, OFF_POLICY),
    "td3": (TD3, "MlpPolicy", "Pendulum-v1", 100, OFF_POLICY),
}


def trained(name: str, *, short: bool) -> BaseAlgorithm:
    """A case's model, trained by the shortcuts or by the long way."""
    algorithm, policy, environment, timesteps, given = CASES[name]
    settings = deepcopy(given)
    env = make_vec_env(environment, n_envs=settings.pop("n_envs", 1), seed=3)
    if settings.pop("normalize", False):
        env = VecNormalize(env)
    model: Any = algorithm(policy, env, seed=3, device="cpu", **settings)
    if short:
        shortcuts.take_shortcuts(model)
    model.learn(timesteps)
    return model


def bits(value: Any) -> Any:
    """Tensors and arrays, however deep, as bytes."""
    if isinstance(value, torch.Tensor | np.ndarray):
        return np.asarray(value).tobytes()
    if isinstance(value, dict):
        return {key: bits(each) for key, each in value.items()}
    return [bits(each) for each in value] if isinstance(value, list | tuple) else value


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.mark.parametrize("name", CASES)
def test_short_and_long_way_end_with_the_same_bits(name):
    short, long = trained(name, short=True), trained(name, short=False)
    assert bits(short.policy.state_dict()) == bits(long.policy.state_dict())
    for (where, ours), (_, theirs) in zip(optimizers(short), optimizers(long), strict=True):
        assert bits(ours.state_dict()) == bits(theirs.state_dict()), where
    assert bits(short._last_obs) == bits(long._last_obs)


def test_the_comparison_sees_a_kernel_that_rounds_differently(monkeypatch):
    def set_fused(value: bool | None) -> Callable[..., None]:
        def hook(optimizer: torch.optim.Optimizer, *_: Any) -> None:
            for group in optimizer.param_groups:
                group["fused"] = value

        return hook

    monkeypatch.setattr(shortcuts, "_together", set_fused(True))
    monkeypatch.setattr(shortcuts, "_as_before", set_fused(None))
    short, long = trained("discrete", short=True), trained("discrete", short=False)
    assert bits(short.policy.state_dict()) != bits(long.policy.state_dict())


def test_what_was_trained_by_shortcuts_is_saved_as_ever(tmp_path):
    model = trained("discrete", short=True)
    model.save(tmp_path / "model.zip")
    found = PPO.load(tmp_path / "model.zip", device="cpu")
    assert bits(found.policy.state_dict()) == bits(model.policy.state_dict())
    assert type(found.policy).__module__.startswith("stable_baselines3.")


def test_a_module_with_hooks_stays_as_it_is():
    hooked, plain = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    hooked.register_forward_hook(lambda module, given, result: result * 0)
    shortcuts.call_directly(hooked)
    shortcuts.call_directly(plain)
    assert type(hooked) is torch.nn.Linear
    assert not hooked(torch.ones(2)).any()
    assert type(plain) is not torch.nn.Linear
    assert isinstance(plain, torch.nn.Linear)


def steps_at_once(**settings: Any) -> list[bool | None]:
    """Whether an optimizer goes through all its tensors at once: while it steps, and afterwards."""
    parameter = torch.nn.Parameter(torch.ones(3))
    parameter.grad = torch.ones(3)
    optimizer = torch.optim.Adam([parameter], **settings)
    shortcuts.step_all_at_once(optimizer)
    seen = []
    optimizer.register_step_pre_hook(lambda *_: seen.append(optimizer.param_groups[0]["foreach"]))
    optimizer.step()
    return [*seen, optimizer.param_groups[0]["foreach"]]


def test_adam_steps_all_at_once_unless_it_is_told_how_and_nothing_of_it_is_left():
    assert steps_at_once() == [True, None]
    assert steps_at_once(foreach=False) == [False, False]
    assert steps_at_once(fused=False) == [None, None]
    assert steps_at_once(differentiable=False, fused=True) == [None, None]


def test_no_infos_are_shared_with_an_environment():
    class Talkative(gymnasium.Wrapper[Any, Any, Any, Any]):
        said: dict[str, Any] = {"words": "none", "list": [1]}  # noqa: RUF012

        def step(self, action: Any) -> Any:
            return *self.env.step(action)[:4], self.said

    env: Any = make_vec_env("CartPole-v1", wrapper_class=Talkative)
    shortcuts.copy_plainly(env)
    env.reset()
    observations, _, _, infos = env.step(np.array([0]))
    assert infos[0] == {"words": "none", "list": [1], "TimeLimit.truncated": False}
    infos[0]["list"].append(2)
    infos[0]["words"] = "some"
    assert Talkative.said["list"] == [1]
    assert Talkative.said["words"] == "none"
    before = observations.tobytes()
    env.step(np.array([1]))
    assert observations.tobytes() == before
