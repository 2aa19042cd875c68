"""Loads and builds the classes that an experiment names, `MODULE:CLASS`, and says in words why one cannot be used."""

import contextlib
import inspect
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from lander.protocol.refusals import did_you_mean, shown

_OPENCV: Final = ("cv2", "pip install opencv-python-headless")
NEEDED: Final[Mapping[str, tuple[str, str]]] = {
    "stable_baselines3.common.atari_wrappers:AtariWrapper": _OPENCV,
    "stable_baselines3.common.atari_wrappers:WarpFrame": _OPENCV,
}
"""Classes that need a package only when they are used, that package, and how to get it."""


class ClassError(Exception):
    """A class that an experiment names cannot be used; `place` is the hyperparameter that names it, the message says why."""

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(problem)
        self.place = place


def load(name: str, place: str) -> Any:
    """What `MODULE:CLASS` names; raises `ClassError` if it is not there, and what its module raises when it is imported."""
    module, _, path = name.partition(":")
    if not path:
        raise ClassError(place, f"found {shown(name)}; must be MODULE:CLASS")
    if (needed := NEEDED.get(name)) and find_spec(needed[0]) is None:
        raise ClassError(place, f"{name} needs {needed[0]}, which is not installed: {needed[1]}")
    try:
        found: Any = import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not (module == error.name or module.startswith(f"{error.name}.")):
            raise
        install = f"pip install {error.name}" if error.name == module.partition(".")[0] else "must be MODULE:CLASS"
        raise ClassError(place, f"found {shown(name)}; there is no module {error.name} here: {install}") from error
    for step in path.split("."):
        if not hasattr(found, step):
            known = tuple(each for each in vars(found) if isinstance(getattr(found, each), type))
            raise ClassError(place, f"found {shown(name)}; {module} has no {step}{did_you_mean(step, known)}")
        found = getattr(found, step)
    if not callable(found):
        raise ClassError(place, f"found {shown(name)}; must be a class, and is {type(found).__name__}")
    return found


def build(name: str, place: str, *given: Any, arguments: Mapping[str, Any]) -> Any:
    """What the class gives for these arguments; raises `ClassError` if it takes others, and else what it raises itself."""
    made = load(name, place)
    try:
        inspect.signature(made).bind(*given, **arguments)
    except TypeError as error:
        raise ClassError(place, f"{name} takes other arguments: {error}{_known(made, len(given))}") from error
    except ValueError:  # of a class without a signature
        pass
    try:
        return made(*given, **arguments)
    except Exception as error:
        raise ClassError(place, f"{name} cannot be built: {type(error).__name__}: {' '.join(str(error).split())}") from error


def _known(made: Any, given: int) -> str:
    with contextlib.suppress(TypeError, ValueError):
        named = list(inspect.signature(made).parameters)[given:]
        return f"; it has {', '.join(named)}" if named else "; it has none"
    return ""
