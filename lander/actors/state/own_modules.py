"""What the networks of a user's own classes keep besides parameters and buffers, of which a checkpoint holds nothing.

A policy, features extractor or layer may count its calls, or draw from a generator of its own. So a checkpoint has digests of
the plain attributes of such modules, and a resume is not exact if one that was just built has others.
"""

import hashlib
from collections.abc import Iterator
from typing import Any, Final

import torch
from stable_baselines3.common.base_class import BaseAlgorithm

from lander.actors.environment.attributes import encode
from lander.actors.state.tree import StoredTree, Tree

_LIBRARIES: Final = frozenset(("abc", "builtins", "lander", "sb3_contrib", "stable_baselines3", "torch", "typing"))
_OF_EVERY_MODULE: Final = frozenset(vars(torch.nn.Module()))
_OF_SHORTCUTS: Final = ("_cached_parameters",)


def capture_own_modules(model: BaseAlgorithm) -> Tree:
    """The digests by `path.attribute`; None if no module is of a class of somebody's own."""
    return dict(_digests(model)) or None


def changed_attributes(model: BaseAlgorithm, tree: StoredTree | None) -> list[str]:
    """Why a model that was just built and restored may not go on as the one of which this was captured."""
    now, then = dict(_digests(model)), tree or {}
    names = [name for name in dict.fromkeys((*then, *now)) if then.get(name) != now.get(name)]
    return [f"{name} of the policy is in no state dict, and has changed since it was built" for name in names]


def _digests(model: BaseAlgorithm) -> Iterator[tuple[str, bytes]]:
    for path, module in model.policy.named_modules():
        if any(base.__module__.partition(".")[0] not in _LIBRARIES for base in type(module).__mro__):
            for name, value in _attributes(module):
                if (encoded := encode(value)) is not None:
                    yield ".".join(filter(None, (path, name))), hashlib.blake2b(encoded, digest_size=8).digest()


def _attributes(module: torch.nn.Module) -> Iterator[tuple[str, Any]]:
    """Those of the object itself; not what its state dict has, nor objects of libraries, such as a distribution."""
    held = {id(tensor) for tensor in module.state_dict(keep_vars=True).values()}
    yield from ((name, each) for name, each in module.named_buffers(recurse=False) if id(each) not in held)
    for name, value in vars(module).items():
        if name in _OF_EVERY_MODULE or name in _OF_SHORTCUTS or id(value) in held:
            continue
        if isinstance(value, torch.nn.Module | torch.optim.Optimizer):  # each has a state dict of its own
            continue
        if isinstance(value, torch.Tensor) or type(value).__module__.partition(".")[0] not in _LIBRARIES - {"builtins"}:
            yield name, value
