"""Shortcuts lead to the same place: with them and without them, a training ends with the same bits."""

from collections.abc import Callable
from copy import deepcopy
from operator import attrgetter
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3 import A2C, DQN, PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecNormalize

import tests.support.random_walks  # noqa: F401 - registers them
from lander.actors.sb3 import shortcuts
from lander.actors.state.state_parts import optimizers

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
    "image": (PPO, "CnnPolicy", "ImageWalk-v0", 48, {"n_steps": 24, "batch_size": 12, "n_epochs": 1}),
    "dict": (PPO, "MultiInputPolicy", "DictWalk-v0", 256, SMALL_PPO),
    "discrete-observations": (PPO, "MlpPolicy", "DiscreteWalk-v0", 256, {**SMALL_PPO, "n_envs": 2}),
    "multi-discrete": (A2C, "MlpPolicy", "MultiDiscreteWalk-v0", 100, {"n_envs": 2}),
    "a2c": (A2C, "MlpPolicy", "CartPole-v1", 100, {"n_envs": 4}),
    "dqn": (DQN, "MlpPolicy", "CartPole-v1", 200, OFF_POLICY),
    "dict-off-policy": (DQN, "MultiInputPolicy", "DictWalk-v0", 200, OFF_POLICY),
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
        shortcuts.apply_shortcuts(model)
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

    monkeypatch.setattr(shortcuts, "_enable_foreach", set_fused(True))
    monkeypatch.setattr(shortcuts, "_reset_foreach", set_fused(None))
    short, long = trained("discrete", short=True), trained("discrete", short=False)
    assert bits(short.policy.state_dict()) != bits(long.policy.state_dict())


def test_what_was_trained_by_shortcuts_is_saved_as_ever(tmp_path):
    model = trained("discrete", short=True)
    model.save(tmp_path / "model.zip")
    found = PPO.load(tmp_path / "model.zip", device="cpu")
    assert bits(found.policy.state_dict()) == bits(model.policy.state_dict())
    assert type(found.policy).__module__.startswith("stable_baselines3.")


def test_a_network_with_hooks_stays_as_it_is():
    hooked, plain = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    hooked.register_forward_hook(lambda module, given, result: result * 0)
    shortcuts.skip_hook_lookup(hooked)
    shortcuts.skip_hook_lookup(plain)
    assert type(hooked) is torch.nn.Linear
    assert not hooked(torch.ones(2)).any()
    assert type(plain) is not torch.nn.Linear
    assert isinstance(plain, torch.nn.Linear)


# --- hooks that come later --------------------------------------------------------------------------------------------


def built(*, short: bool) -> Any:
    env = make_vec_env("CartPole-v1", seed=3)
    model = PPO("MlpPolicy", env, seed=3, device="cpu", n_steps=32, batch_size=16, n_epochs=2)
    if short:
        shortcuts.apply_shortcuts(model)
    return model


def goes_directly(policy: Any) -> bool:
    """Whether any call leaves the hooks out."""
    return any(type(module).__call__ is not torch.nn.Module.__call__ for module in policy.modules())


# name: registers, on a network's output layer, a hook that changes what is learned
HOOKS: dict[str, Callable[[Any], Any]] = {
    "forward": lambda layer: layer.register_forward_hook(lambda module, given, result: result * 0.5),
    "forward-with-kwargs": lambda layer: layer.register_forward_hook(
        lambda module, given, named, result: result * 0.5, with_kwargs=True, always_call=True, prepend=True
    ),
    "forward-pre": lambda layer: layer.register_forward_pre_hook(lambda module, given: (given[0] * 0.5,)),
    "backward": lambda layer: layer.register_full_backward_hook(lambda module, given, result: (given[0] * 0.5,)),
    "backward-pre": lambda layer: layer.register_full_backward_pre_hook(lambda module, result: (result[0] * 0.5,)),
    "backward-old": lambda layer: layer.register_backward_hook(lambda module, given, result: _halved(module, given)),
}
MODULES: Any = torch.nn.modules.module
HOOKS_OF_ALL: dict[str, Callable[[], Any]] = {
    "forward": lambda: MODULES.register_module_forward_hook(lambda module, given, result: _halved(module, result)),
    "forward-pre": lambda: MODULES.register_module_forward_pre_hook(lambda module, given: _halved(module, given)),
    "backward": lambda: MODULES.register_module_full_backward_hook(lambda module, given, result: _halved(module, given)),
    "backward-pre": lambda: MODULES.register_module_full_backward_pre_hook(lambda module, result: _halved(module, result)),
}


def _halved(module: Any, value: Any) -> Any:
    if not isinstance(module, torch.nn.Linear):
        return None
    return value * 0.5 if isinstance(value, torch.Tensor) else tuple(each * 0.5 if each is not None else None for each in value)


def hooked_half_way(hook: Callable[[Any], Any], *, short: bool) -> Any:
    """The bits of a policy that got a hook after it had learned for a while, and learned on."""
    model = built(short=short)
    model.learn(32)
    handle = hook(model.policy.action_net)
    try:
        model.learn(32, reset_num_timesteps=False)
    finally:
        handle.remove()
    return bits(model.policy.state_dict())


@pytest.mark.filterwarnings("ignore:Using a non-full backward hook:FutureWarning")
@pytest.mark.parametrize("kind", HOOKS)
def test_a_hook_that_comes_later_is_run(kind):
    learned = hooked_half_way(HOOKS[kind], short=True)
    assert learned == hooked_half_way(HOOKS[kind], short=False)
    assert learned != hooked_half_way(lambda layer: layer.register_forward_hook(lambda *_: None), short=False)


@pytest.mark.filterwarnings("ignore:Full backward hook is firing when gradients are computed with respect to module outputs")
@pytest.mark.parametrize("kind", HOOKS_OF_ALL)
def test_a_hook_for_all_modules_that_comes_later_is_run(kind):
    learned = hooked_half_way(lambda _: HOOKS_OF_ALL[kind](), short=True)
    assert learned == hooked_half_way(lambda _: HOOKS_OF_ALL[kind](), short=False)
    assert learned != hooked_half_way(lambda layer: layer.register_forward_hook(lambda *_: None), short=False)


def test_a_hook_for_all_modules_that_was_there_before_is_run():
    seen = []
    handle = MODULES.register_module_forward_hook(lambda module, given, result: seen.append(module))
    model = built(short=True)
    model.policy.predict_values(torch.ones(1, 4))
    handle.remove()
    assert model.policy.value_net in seen


def test_a_hook_of_the_policy_sees_every_choice_and_may_keep_it():
    """The policy is called in inference mode, whose tensors cannot be trained on: not where a hook could do so."""
    model, seen = built(short=True), []
    model.policy.mlp_extractor.register_forward_hook(lambda module, given, result: seen.append(result[0]))
    model.learn(32)
    assert len(seen) > 32
    assert not any(each.is_inference() for each in seen)


def test_a_hook_on_a_copy_is_run():
    policy = built(short=True).policy
    copy = deepcopy(policy)
    assert goes_directly(copy)
    seen = []
    copy.value_net.register_forward_hook(lambda module, given, result: seen.append(module))
    copy.predict_values(torch.ones(1, 4))
    assert seen == [copy.value_net]


def test_what_is_built_after_a_hook_takes_shortcuts_again():
    hooked = built(short=True).policy
    hooked.value_net.register_forward_hook(lambda *_: None)
    assert not goes_directly(hooked)
    assert goes_directly(built(short=True).policy)
    assert not goes_directly(hooked)


def test_learning_saving_and_loading_end_no_shortcut(tmp_path):
    model = built(short=True)
    model.learn(64)
    model.save(tmp_path / "model.zip")
    model.policy.load_state_dict(PPO.load(tmp_path / "model.zip", device="cpu").policy.state_dict())
    model.policy.set_training_mode(False)
    for module in model.policy.modules():
        assert type(module).__call__ is not torch.nn.Module.__call__
        assert vars(module).items() >= module._parameters.items() | module._modules.items()
    assert type(model.policy).parameters is not torch.nn.Module.parameters


# --- networks that are changed later ----------------------------------------------------------------------------------


def layer(outputs: int = 2) -> torch.nn.Linear:
    made = torch.nn.Linear(64, outputs)
    with torch.no_grad():
        made.weight.fill_(0.1)
        made.bias.copy_(torch.arange(outputs) * 2.0)
    return made


def _add(policy: Any) -> None:
    policy.mlp_extractor.policy_net.append(torch.nn.Linear(64, 64)).append(torch.nn.Tanh())
    policy.load_state_dict({name: torch.full_like(old, 0.01) for name, old in policy.state_dict().items()})


def _update(parts: Any, **new: Any) -> None:
    parts.update(new)


def _assign(policy: Any) -> None:
    policy.load_state_dict({name: old + 1 for name, old in policy.state_dict().items()}, assign=True)


# name: what is done to a policy
CHANGES: dict[str, Callable[[Any], Any]] = {
    "parameter": lambda policy: setattr(policy.action_net, "weight", layer().weight),
    "parameter-registered": lambda policy: policy.action_net.register_parameter("bias", layer().bias),
    "parameter-removed": lambda policy: setattr(policy.action_net, "bias", None),
    "parameter-put-in-place": lambda policy: _update(policy.action_net._parameters, bias=layer().bias),
    "parameter-normalised": lambda policy: torch.nn.utils.parametrizations.weight_norm(policy.value_net),
    "parameters-loaded": _assign,
    "module": lambda policy: setattr(policy, "action_net", layer()),
    "module-added": lambda policy: policy.add_module("value_net", layer(1)),
    "module-of-a-module": lambda policy: policy.mlp_extractor.policy_net.__setitem__(1, torch.nn.ReLU()),
    "module-removed": lambda policy: policy.mlp_extractor.policy_net.__delitem__(1),
    "module-put-in-place": lambda policy: _update(policy._modules, action_net=layer()),
    "modules-appended": _add,
    "forward": lambda policy: setattr(policy.action_net, "forward", layer().forward),
}


@torch.no_grad()
def answers(policy: Any) -> list[Any]:
    """What a policy says of an observation, and the parameters it is made of: by name, as attributes, and for its optimizer."""
    seen = torch.ones(1, 4)
    said = [*policy(seen, deterministic=True), policy.get_distribution(seen).distribution.logits]
    named = dict(policy.named_parameters())
    attributes = [attrgetter(name)(policy) for name in named if not name.rpartition(".")[0].endswith(".parametrizations")]
    return [bits([each.detach() for each in several]) for several in (said, named.values(), attributes, policy.parameters())]


@pytest.mark.parametrize("change", CHANGES)
def test_a_network_that_is_changed_later_is_what_it_was_changed_to(change):
    short, long = built(short=True).policy, built(short=False).policy
    before = answers(short)
    assert before == answers(long)
    copy = deepcopy(short)
    for policy in (copy, long):
        torch.manual_seed(0)
        CHANGES[change](policy)
    assert answers(copy) == answers(long) != before
    assert answers(short) == before
    torch.manual_seed(0)
    CHANGES[change](short)
    assert answers(short) == answers(long)


def test_a_call_with_other_parameters_uses_them():
    policy = built(short=True).policy
    zeros = {name: torch.zeros_like(value) for name, value in policy.value_net.named_parameters()}
    assert torch.func.functional_call(policy.value_net, zeros, torch.ones(1, 64)) == 0
    assert policy.value_net(torch.ones(1, 64)) != 0


def test_a_network_that_is_compiled_is_called_so(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda call, **how: lambda given: given * 0)
    value_net = built(short=True).policy.value_net
    assert value_net(torch.ones(1, 64)).shape == (1, 1)
    value_net.compile()
    assert value_net(torch.ones(1, 64)).shape == (1, 64)


# --- optimizers and environments --------------------------------------------------------------------------------------


def steps_at_once(**settings: Any) -> list[bool | None]:
    """Whether an optimizer goes through all its tensors at once: while it steps, and afterwards."""
    parameter = torch.nn.Parameter(torch.ones(3))
    parameter.grad = torch.ones(3)
    optimizer = torch.optim.Adam([parameter], **settings)
    shortcuts.use_foreach_adam(optimizer)
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
    shortcuts.shallow_copy_infos(env)
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
