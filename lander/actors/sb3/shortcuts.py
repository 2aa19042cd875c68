"""The same training with less around it: each shortcut leaves out work that changes no bit of what is learned.

Stable-Baselines3 steps few environments with small networks, so much of the time goes not into arithmetic but into what Python
and PyTorch do before each operation. Nothing here computes anything in another way: the same kernels run on the same numbers in
the same order, and tests compare both ways bit by bit. Only for training on the CPU: a GPU has other costs, and other kernels.
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

from lander.actors.state.state_parts import optimizers


def take_shortcuts(model: BaseAlgorithm) -> None:
    """Have a model learn faster; call it when the model is built, and before it learns."""
    if model.device.type != "cpu":
        return
    for module in model.policy.modules():
        keep_parts_at_hand(module)
    call_directly(model.policy)
    for network in (model.policy, *model.policy.children()):
        remember_parameters(network)
    if isinstance(model, OnPolicyAlgorithm):
        gather_log_prob(model.policy.action_dist)
        if not model.use_sde:
            act_without_gradients(model.policy)
    for _, optimizer in optimizers(model):
        step_all_at_once(optimizer)
    if model.env is not None:
        shallow_copy_infos(model.env.unwrapped)


def _give(object_: Any, **methods: Any) -> None:
    """Give an object methods of its own, in a class of its own: there Python looks for `__call__`, and copies have them too."""
    base: Any = type(object_)
    object_.__class__ = _kind(base, tuple(methods.items()))


@cache
def _kind(base: Any, methods: tuple[tuple[str, Any], ...]) -> Any:
    """One class for all of a kind: what Python learns of the first, it knows of the others."""
    kind = type(base.__name__, (base,), dict(methods))
    _KINDS.append(kind)
    return kind


_KINDS: Final[list[Any]] = []


def _take_back(*names: str) -> None:
    """Leave every object, copies included, with the methods that its class was written with; what comes later has new kinds."""
    for kind in _KINDS:
        for name in vars(kind).keys() & names:
            delattr(kind, name)
    _kind.cache_clear()


# --- networks ---------------------------------------------------------------------------------------------------------


# A network may be changed, or get a hook, after that. To ask before each call whether it was would cost what is saved here, so
# the dictionaries in which PyTorch keeps modules, parameters and hooks notice it, and end the shortcut.


def keep_parts_at_hand(module: torch.nn.Module) -> None:
    """Make attributes of what a module is made of, which `__getattr__` finds only after Python has looked everywhere else."""
    at_hand = vars(module)
    for kept in ("_parameters", "_modules"):
        at_hand.update(at_hand[kept])
        at_hand[kept] = _Parts(module, at_hand[kept])


class _Parts(dict[str, Any]):
    """The parameters or the modules that a module is made of: before they change, what was remembered of them is forgotten."""

    def __init__(self, owner: torch.nn.Module, parts: dict[str, Any]) -> None:
        super().__init__(parts)
        self._owner = owner

    def forget(self) -> None:
        at_hand = vars(self._owner)
        for name, part in self.items():
            if at_hand.get(name, self) is part:
                del at_hand[name]
        _take_back("parameters")

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Parts":
        return _Parts(deepcopy(self._owner, memo), deepcopy(dict(self), memo))


def _forgetting(change: Callable[..., Any]) -> Callable[..., Any]:
    def method(parts: _Parts, *args: Any, **kwargs: Any) -> Any:
        parts.forget()
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
    setattr(_Parts, _change.__name__, _forgetting(_change))


def call_directly(network: torch.nn.Module) -> None:
    """Let a call be a call of `forward`: a module looks for hooks first, which takes longer than a small layer.

    A network with hooks, or with a module that is called otherwise, stays as it is; one that gets them later is as it was.
    """
    if _is_called_specially(network):
        return
    for name in _GLOBAL_HOOKS:
        setattr(torch.nn.modules.module, name, _Hooks())
    for module in network.modules():
        vars(module).update({name: _Hooks() for name in _HOOKS})
        forward = type(module).forward
        _give(module, __call__=forward, forward=_Replaceable(forward), compile=_compile)


_HOOKS: Final = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_GLOBAL_HOOKS: Final = (
    "_global_forward_hooks",
    "_global_forward_pre_hooks",
    "_global_backward_hooks",
    "_global_backward_pre_hooks",
)


def _is_called_specially(network: torch.nn.Module) -> bool:
    special = (*_HOOKS, "forward", "_compiled_call_impl")
    return any(getattr(torch.nn.modules.module, name) for name in _GLOBAL_HOOKS) or any(
        vars(module).get(name) for module in network.modules() for name in special
    )


def _call_in_full() -> None:
    _take_back("__call__", "forward", "compile")


class _Hooks(OrderedDict[int, Any]):
    """The hooks of a module, or those of all modules: before there is one, every call is a full one again."""

    def __setitem__(self, key: int, hook: Any) -> None:
        _call_in_full()
        super().__setitem__(key, hook)


@dataclass(frozen=True)
class _Replaceable:
    """The `forward` of a class, until a module is given one of its own."""

    of_class: Any

    def __get__(self, module: Any, kind: Any) -> Any:
        return self.of_class.__get__(module, kind)

    def __set__(self, module: torch.nn.Module, forward: Any) -> None:
        _call_in_full()
        module.forward = forward


def _compile(module: torch.nn.Module, *args: Any, **kwargs: Any) -> None:
    _call_in_full()
    module.compile(*args, **kwargs)


def remember_parameters(network: torch.nn.Module) -> None:
    """Answer `parameters()` from memory: every update clips the gradients, and would search all modules for them.

    Loading a state writes into those that are there. `_Parts` notices others, so call `keep_parts_at_hand` before.
    """
    vars(network)["_known_parameters"] = tuple(network.parameters())
    _give(network, parameters=_known_parameters)


def _known_parameters(network: Any, recurse: bool = True) -> Iterator[torch.nn.Parameter]:
    return iter(network._known_parameters) if recurse else torch.nn.Module.parameters(network, recurse=False)


def act_without_gradients(policy: torch.nn.Module) -> None:
    """Let rollouts choose their actions in inference mode: Stable-Baselines3 forbids gradients, but keeps account of versions.

    Training calls `evaluate_actions`, which is left alone. Not for generalised state-dependent exploration, whose noise
    outlives the call, and not where hooks may keep what they see.
    """
    if not _is_called_specially(policy):
        _give(policy, __call__=torch.inference_mode()(type(policy).forward))


def gather_log_prob(distribution: Any) -> None:
    """Read the probability of a choice from its place, without first fitting together shapes that do fit."""
    if type(distribution) is CategoricalDistribution:
        _give(distribution, log_prob=_looked_up)


def _looked_up(distribution: CategoricalDistribution, actions: torch.Tensor) -> Any:
    return distribution.distribution.logits.gather(-1, actions.unsqueeze(-1)).squeeze(-1)


# --- optimizers -------------------------------------------------------------------------------------------------------


def step_all_at_once(optimizer: torch.optim.Optimizer) -> None:
    """Let Adam hand PyTorch all its tensors together, operation by operation, as it does by itself on a GPU only.

    Just while it steps, so that no checkpoint and no saved model knows of it. One that was told how to step obeys. Adam's fused
    kernel would be faster still, but rounds differently.
    """
    if type(optimizer) is torch.optim.Adam and not any(_is_told(group) for group in optimizer.param_groups):
        optimizer.register_step_pre_hook(_together)
        optimizer.register_step_post_hook(_as_before)


def _is_told(group: dict[str, Any]) -> bool:
    return group["foreach"] is not None or group["fused"] is not None or group["differentiable"]


def _together(optimizer: torch.optim.Optimizer, *_: Any) -> None:
    for group in optimizer.param_groups:
        group["foreach"] = True


def _as_before(optimizer: torch.optim.Optimizer, *_: Any) -> None:
    for group in optimizer.param_groups:
        group["foreach"] = None


# --- environments -----------------------------------------------------------------------------------------------------


def shallow_copy_infos(env: Any) -> None:
    """Copy what a step answers without `deepcopy`'s search for what may be shared, where there is nothing to share."""
    if type(env) is DummyVecEnv:
        env.buf_infos = _Infos(env.buf_infos)
        if env.keys == [None]:  # its observations are one array, and no Dict or Tuple of them
            _give(env, _obs_from_buf=_copied)


def _copied(env: Any) -> np.ndarray[Any, Any]:
    observations: np.ndarray[Any, Any] = env.buf_obs[None]
    return observations.copy(order="K")


class _Infos(list[dict[str, Any]]):
    """What each environment of a vector says beside its observation: hardly ever more than a few words and numbers."""

    def __deepcopy__(self, memo: dict[int, Any]) -> list[dict[str, Any]]:
        return [info.copy() if _is_plain(info) else deepcopy(info, memo) for info in self]


_PLAIN: Final = frozenset({bool, int, float, str, type(None)})


def _is_plain(info: dict[str, Any]) -> bool:
    """Whether nothing in it could be changed from elsewhere."""
    return type(info) is dict and all(type(value) in _PLAIN for value in info.values())
