"""Why an environment could not be made, in words for who wrote the experiment file: the field, and what may stand there."""

import contextlib
import inspect
import re

import gymnasium

from lander.actors.environment.gymnasium_names import unknown_name
from lander.protocol.experiment import Arm
from lander.protocol.refusals import did_you_mean, shown

Problem = tuple[str, str]
"""A field of an arm, and the problem with it."""


def build_problem(arm: Arm, error: Exception) -> Problem:
    """The field that made `gymnasium.make` fail, and why."""
    unexpected = re.search(r"unexpected keyword argument '(\w+)'", str(error))
    match error:
        case gymnasium.error.DependencyNotInstalled():
            return "environment", f"found {shown(arm.environment)}, which needs more than is installed: {one_line(error)}"
        case gymnasium.error.UnregisteredEnv() | gymnasium.error.DeprecatedEnv() | ModuleNotFoundError():
            return "environment", _unknown_environment(arm.environment, error)
        case TypeError() if unexpected and unexpected[1] in arm.environment_kwargs:
            known = constructor_arguments(arm.environment)
            hint = did_you_mean(unexpected[1], known) or (f"; must be one of {', '.join(known)}" if known else "")
            return f"environment_kwargs.{unexpected[1]}", f"unknown argument of {arm.environment}{hint}"
    return "environment_kwargs" if arm.environment_kwargs else "environment", f"cannot be built: {one_line(error)}"


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
