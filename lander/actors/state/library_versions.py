"""The versions of the libraries on which a training's bits depend."""

from functools import cache
from importlib.metadata import packages_distributions, version
from typing import Final

from stable_baselines3.common.base_class import BaseAlgorithm

LIBRARY_VERSIONS: Final = {name: version(name) for name in ("torch", "stable-baselines3", "gymnasium", "numpy")}
"""Those of every training. Read once, in the zygote, because the lookup reads files."""
_NEVER: Final = frozenset({"abc", "builtins", "lander", "stable_baselines3", "typing"})
_KNOWN: Final = {"sb3_contrib": ("sb3-contrib",)}
"""The distributions of packages, where no search is needed."""


def versions_of(model: BaseAlgorithm) -> dict[str, str]:
    """Those of every training, and of the packages that the algorithm's class and its bases are from."""
    return LIBRARY_VERSIONS | _of_algorithm(type(model))


@cache
def _of_algorithm(kind: type[BaseAlgorithm]) -> dict[str, str]:
    packages = {base.__module__.partition(".")[0] for base in kind.__mro__} - _NEVER
    return {name: version(name) for package in sorted(packages) for name in _distributions(package)}


def _distributions(package: str) -> tuple[str, ...]:
    return _KNOWN.get(package) or tuple(sorted(set(packages_distributions().get(package, ()))))
