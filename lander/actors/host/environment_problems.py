"""Why an environment could not be made, in words for who wrote the experiment file: the field, and what may stand there."""

import contextlib
import inspect
import re
import sysconfig
import traceback
from pathlib import Path
from typing import Final

import gymnasium

from lander.actors.environment.gymnasium_names import unknown_name
from lander.protocol.experiment import Arm
from lander.protocol.refusals import did_you_mean, shown

_LANDER: Final = Path(__file__).parents[2]
Problem = tuple[str, str]
"""A field of an arm, and the problem with it."""


def build_problem(arm: Arm, error: Exception) -> Problem:
    """The field that made `gymnasium.make` fail, and why."""
    if isinstance(error, ModuleNotFoundError) and isinstance(error.__cause__, ModuleNotFoundError):
        error = error.__cause__  # Gymnasium's own says neither which module nor where
    place = getattr(error, "place", None)
    if isinstance(place, str):  # of a class that is named by a hyperparameter
        return f"hyperparameters.{place}", str(error)
    unexpected = re.search(r"unexpected keyword argument '(\w+)'", str(error))
    match error:
        case gymnasium.error.DependencyNotInstalled():
            return "environment", f"found {shown(arm.environment)}, which needs more than is installed: {one_line(error)}"
        case gymnasium.error.UnregisteredEnv() | gymnasium.error.DeprecatedEnv():
            return "environment", _unknown_environment(arm.environment, error)
        case ModuleNotFoundError() if arm.environment.partition(":")[0] == error.name:
            return "environment", _unknown_environment(arm.environment, error)
        case TypeError() if unexpected and unexpected[1] in arm.environment_kwargs:
            known = constructor_arguments(arm.environment)
            hint = did_you_mean(unexpected[1], known) or (f"; must be one of {', '.join(known)}" if known else "")
            return f"environment_kwargs.{unexpected[1]}", f"unknown argument of {arm.environment}{hint}"
    field = "environment" if _is_of_its_code(arm, error) else "environment_kwargs"
    return field, f"cannot be built: {one_line(error)}{_place(error)}{_next_step(arm, error)}"


def _is_of_its_code(arm: Arm, error: Exception) -> bool:
    """Whether the arguments have nothing to do with it: it failed at an import, or lacks a file that they do not name."""
    called = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    while_imported = "<module>" in called or called[-1:] == ["load_env_creator"]
    return not arm.environment_kwargs or while_imported or _lacks(arm, error)


def _lacks(arm: Arm, error: Exception) -> bool:
    """Whether there is no module or no file that the code of the environment, and no argument, asks for."""
    asked = str(getattr(error, "filename", None) or "")
    named = any(value and value in asked for value in arm.environment_kwargs.values() if isinstance(value, str))
    return isinstance(error, ImportError | FileNotFoundError) and not named


def _place(error: Exception) -> str:
    """The last line of code that is not of an installed package, ` (FILE, line N)`; empty if there is none."""
    installed = [*(Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")), _LANDER]
    frames = [each for each in traceback.extract_tb(error.__traceback__) if Path(each.filename).is_absolute()]
    own = [each for each in frames if not any(Path(each.filename).is_relative_to(directory) for directory in installed)]
    return f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""


def _next_step(arm: Arm, error: Exception) -> str:
    match error:
        case ModuleNotFoundError():
            return f"; install {error.name}, or put it beside the module of the environment"
        case FileNotFoundError() if _lacks(arm, error):
            return "; it must be where that line looks for it"
    return ""


def _unknown_environment(name: str, error: Exception) -> str:
    """The message for an unknown environment: the nearest names, or how to register one's own."""
    if ":" in name:
        reason = one_line(error).partition(". ")[0]
        return f"found {shown(name)}: {reason}; must be MODULE:ENV_ID, a module that can be imported here and registers the id"
    return unknown_name(name, gymnasium.registry)


def constructor_arguments(name: str) -> tuple[str, ...]:
    """The named arguments of an environment's constructor; empty if they cannot be read."""
    with contextlib.suppress(Exception):
        entry = gymnasium.spec(name.rpartition(":")[2]).entry_point
        creator = gymnasium.envs.registration.load_env_creator(entry) if isinstance(entry, str) else entry
        if creator is not None:
            named = inspect.signature(creator).parameters.values()
            return tuple(each.name for each in named if each.kind != each.VAR_KEYWORD and each.name != "render_mode")
    return ()


def one_line(error: Exception) -> str:
    """An exception in one line of at most 500 characters, without the colour codes that some libraries add."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    return f"{type(error).__name__}: {' '.join(text.split())}"[:500]
