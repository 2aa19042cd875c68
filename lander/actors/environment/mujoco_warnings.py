"""MuJoCo's warnings, printed where everything else of a run is.

MuJoCo itself appends them to a file MUJOCO_LOG.TXT in the working directory, which is the user's. Nor may the children in which
an environment is tried out write to any file.
"""

import contextlib
import sys
from importlib import import_module
from typing import Any

import gymnasium


def print_warnings_of_mujoco(environment: str) -> None:
    """Call it before the environment with this name is built. A handler that somebody has set stays.

    Imports the environment's module, as its construction will, so that MuJoCo is there; does nothing without it.
    """
    with contextlib.suppress(Exception):  # the construction raises it again, and is asked why
        module, _, name = environment.rpartition(":")
        if module:
            import_module(module)
        entry = gymnasium.registry[name].entry_point
        if isinstance(entry, str):
            import_module(entry.partition(":")[0])
    mujoco: Any = sys.modules.get("mujoco")
    if hasattr(mujoco, "set_mju_user_warning") and mujoco.get_mju_user_warning() is None:
        mujoco.set_mju_user_warning(_print)


def _print(message: str) -> None:
    print(f"MuJoCo: {message}", file=sys.stderr, flush=True)
