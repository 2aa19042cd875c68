"""Faster training with the same bits: each shortcut skips work that has no effect on the result.

Stable-Baselines3 usually steps few environments with small networks. Then much of the time is overhead of Python and PyTorch
before each operation. The shortcuts remove only overhead: the same kernels run on the same numbers in the same order, and
tests compare the bits. They apply to training on the CPU only, because a GPU has other costs and other kernels.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.distributions import CategoricalDistribution
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.vec_env import DummyVecEnv

from lander.actors.state.plug_in_part import is_plug_in
from lander.actors.state.state_parts import optimizers


def apply_shortcuts(model: BaseAlgorithm) -> None:
    """Apply all shortcuts to a model; call it after the model is built and before `learn`.

    Does nothing off the CPU, nor to algorithms that other packages add: of those it is not shown that the bits are the same.
    """
    if model.device.type != "cpu" or is_plug_in(model):
        return
    for module in model.policy.modules():
        cache_attributes(module)
    skip_hook_lookup(model.policy)
    for network in (model.policy, *model.policy.children()):
        cache_parameters(network)
    if isinstance(model, OnPolicyAlgorithm):
        gather_log_prob(model.policy.action_dist)
        if not model.use_sde and not hasattr(model, "_last_lstm_states"):
            act_in_inference_mode(model.policy)
    for _, optimizer in optimizers(model):
        use_foreach_adam(optimizer)
    if model.env is not None:
        shallow_copy_infos(model.env.unwrapped)


def _override_methods(object_: Any, **methods: Any) -> None:
    """Override methods of one object by a new subclass: Python looks up `__call__` on the class, and copies keep the class."""
    base: Any = type(object_)
    object_.__class__ = _subclass(base, tuple(methods.items()))


@cache
def _subclass(base: Any, methods: tuple[tuple[str, Any], ...]) -> Any:
    """One subclass for all objects with the same base and overrides, so that they share the interpreter's inline caches."""
    kind = type(base.__name__, (base,), dict(methods))
    _SUBCLASSES.append(kind)
    return kind


_SUBCLASSES: Final[list[Any]] = []


def _remove_overrides(*names: str) -> None:
    """Remove these overrides from all objects, copies included. Later calls of `_override_methods` make new subclasses."""
    for kind in _SUBCLASSES:
        for name in vars(kind).keys() & names:
            delattr(kind, name)
    _subclass.cache_clear()


# --- networks ---------------------------------------------------------------------------------------------------------


# A network may be changed, or get a hook, after its shortcuts are applied. A check before each call would cost as much as the
# shortcut saves. So PyTorch's dictionaries of modules, parameters and hooks are replaced by ones that end it on a change.


def cache_attributes(module: torch.nn.Module) -> None:
    """Make submodules and parameters plain attributes. `Module.__getattr__` finds them only after the normal lookup fails."""
    attributes = vars(module)
    for kept in ("_parameters", "_modules"):
        attributes.update(attributes[kept])
        attributes[kept] = _CachedParts(module, attributes[kept])


class _CachedParts(dict[str, Any]):
    """A module's `_parameters` or `_modules`; before any change, ends `cache_attributes` and `cache_parameters`."""

    def __init__(self, owner: torch.nn.Module, parts: dict[str, Any]) -> None:
        super().__init__(parts)
        self._owner = owner

    def invalidate(self) -> None:
        attributes = vars(self._owner)
        for name, part in self.items():
            if attributes.get(name, self) is part:
                del attributes[name]
        _remove_overrides("parameters")

    def __deepcopy__(self, memo: dict[int, Any]) -> "_CachedParts":
        return _CachedParts(deepcopy(self._owner, memo), deepcopy(dict(self), memo))


def _invalidating(change: Callable[..., Any]) -> Callable[..., Any]:
    def method(parts: _CachedParts, *args: Any, **kwargs: Any) -> Any:
        parts.invalidate()
        return change(parts, *args, **kwargs)

    return method


for _change in (
    dict.__setitem__,
    dict.__delitem__,
    dict.__ior__,
    dict.clear,
    dict.pop,
    dict.popitem,
    dict.setdefault,
    dict.update,
):
    setattr(_CachedParts, _change.__name__, _invalidating(_change))


def skip_hook_lookup(network: torch.nn.Module) -> None:
    """Make a call go straight to `forward`: the search for hooks takes longer than a small layer.

    A network that has hooks, its own `forward` or a compiled call is left unchanged. If it gets one later, the shortcut ends.
    """
    if _has_special_call(network):
        return
    for name in _GLOBAL_HOOKS:
        setattr(torch.nn.modules.module, name, _WatchedHooks())
    for module in network.modules():
        vars(module).update({name: _WatchedHooks() for name in _HOOKS})
        forward = type(module).forward
        _override_methods(module, __call__=forward, forward=_ReplaceableForward(forward), compile=_compile)


_HOOKS: Final = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_GLOBAL_HOOKS: Final = (
    "_global_forward_hooks",
    "_global_forward_pre_hooks",
    "_global_backward_hooks",
    "_global_backward_pre_hooks",
)


def _has_special_call(network: torch.nn.Module) -> bool:
    if any(type(module).__call__ is not torch.nn.Module.__call__ for module in network.modules()):
        return True  # a layer that does more than to forward when it is called
    special = (*_HOOKS, "forward", "_compiled_call_impl")
    return any(getattr(torch.nn.modules.module, name) for name in _GLOBAL_HOOKS) or any(
        vars(module).get(name) for module in network.modules() for name in special
    )


def _restore_full_call() -> None:
    _remove_overrides("__call__", "forward", "compile")


class _WatchedHooks(OrderedDict[int, Any]):
    """The hooks of one module or of all; before the first one is added, `Module.__call__` is restored."""

    def __setitem__(self, key: int, hook: Any) -> None:
        _restore_full_call()
        super().__setitem__(key, hook)


@dataclass(frozen=True)
class _ReplaceableForward:
    """A descriptor for the `forward` of a class; if a module is assigned its own `forward`, `Module.__call__` is restored."""

    of_class: Any

    def __get__(self, module: Any, kind: Any) -> Any:
        return self.of_class.__get__(module, kind)

    def __set__(self, module: torch.nn.Module, forward: Any) -> None:
        _restore_full_call()
        module.forward = forward


def _compile(module: torch.nn.Module, *args: Any, **kwargs: Any) -> None:
    _restore_full_call()
    module.compile(*args, **kwargs)


def cache_parameters(network: torch.nn.Module) -> None:
    """Make `parameters()` return a cached list: each update clips gradients, and would walk all modules to find them.

    Loading a state dict keeps the parameter objects. If they are replaced, `_CachedParts` drops the cache, so call
    `cache_attributes` first.
    """
    vars(network)["_cached_parameters"] = tuple(network.parameters())
    _override_methods(network, parameters=_cached_parameters)


def _cached_parameters(network: Any, recurse: bool = True) -> Iterator[torch.nn.Parameter]:
    return iter(network._cached_parameters) if recurse else torch.nn.Module.parameters(network, recurse=False)


def act_in_inference_mode(policy: torch.nn.Module) -> None:
    """Choose actions in inference mode: SB3 uses `no_grad`, which still tracks the versions of tensors.

    Training calls `evaluate_actions`, which is unchanged. Not for generalised state-dependent exploration, whose noise
    outlives the call, not for recurrent policies, whose state does, and not if there are hooks, which may keep tensors.
    """
    if not _has_special_call(policy):
        _override_methods(policy, __call__=torch.inference_mode()(type(policy).forward))


def gather_log_prob(distribution: Any) -> None:
    """Look the log-probability of an action up in the logits; torch's `Categorical.log_prob` first broadcasts equal shapes."""
    if type(distribution) is CategoricalDistribution:
        _override_methods(distribution, log_prob=_gathered_log_prob)


def _gathered_log_prob(distribution: CategoricalDistribution, actions: torch.Tensor) -> Any:
    return distribution.distribution.logits.gather(-1, actions.unsqueeze(-1)).squeeze(-1)


# --- optimizers -------------------------------------------------------------------------------------------------------


def use_foreach_adam(optimizer: torch.optim.Optimizer) -> None:
    """Have Adam use its `foreach` implementation, as it does on a GPU by default: one call per operation for all tensors.

    The setting is on only during a step, so that no checkpoint or saved model contains it. An optimizer with an explicit choice
    is left unchanged. Adam's fused kernel would be faster but rounds differently.
    """
    if type(optimizer) is torch.optim.Adam and not any(_has_explicit_settings(group) for group in optimizer.param_groups):
        optimizer.register_step_pre_hook(_enable_foreach)
        optimizer.register_step_post_hook(_reset_foreach)


def _has_explicit_settings(group: dict[str, Any]) -> bool:
    return group["foreach"] is not None or group["fused"] is not None or group["differentiable"]


def _enable_foreach(optimizer: torch.optim.Optimizer, *_: Any) -> None:
    for group in optimizer.param_groups:
        group["foreach"] = True


def _reset_foreach(optimizer: torch.optim.Optimizer, *_: Any) -> None:
    for group in optimizer.param_groups:
        group["foreach"] = None


# --- environments -----------------------------------------------------------------------------------------------------


def shallow_copy_infos(env: Any) -> None:
    """Let `DummyVecEnv` copy infos and observations shallowly where nothing is nested; `deepcopy` is slow."""
    if type(env) is DummyVecEnv:
        env.buf_infos = _ShallowCopiedInfos(env.buf_infos)
        if env.keys == [None]:  # one array, not a Dict or Tuple of arrays
            _override_methods(env, _obs_from_buf=_copy_observations)


def _copy_observations(env: Any) -> np.ndarray[Any, Any]:
    observations: np.ndarray[Any, Any] = env.buf_obs[None]
    return observations.copy(order="K")


class _ShallowCopiedInfos(list[dict[str, Any]]):
    """The infos of the last step, one per environment; those that hold only plain values are copied shallowly."""

    def __deepcopy__(self, memo: dict[int, Any]) -> list[dict[str, Any]]:
        return [info.copy() if _is_plain(info) else deepcopy(info, memo) for info in self]


_PLAIN: Final = frozenset({bool, int, float, str, type(None)})


def _is_plain(info: dict[str, Any]) -> bool:
    """Whether all values are immutable, so that a shallow copy is as good as a deep one."""
    return type(info) is dict and all(type(value) in _PLAIN for value in info.values())
