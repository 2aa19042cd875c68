"""The manifest of an experiment: the package versions, the machine and the git commit with which it was submitted."""

import contextlib
import os
import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import psutil

from lander.protocol.text import cut

PACKAGES: Final = ("lander-ctl", "torch", "stable-baselines3", "gymnasium", "numpy")
"""Packages whose version can change a run's bits, or what is recorded of it."""
MAX_WORDS: Final = 100
"""Words of the command line that are recorded."""
MAX_WORD: Final = 500
"""Characters of each that are recorded."""
_GIT_SECONDS: Final = 5.0


def manifest(source: str, argv: Sequence[str], gpus: Sequence[str]) -> dict[str, Any]:
    """The manifest of this process, as plain data; a fact that cannot be found out is left empty and is no error."""
    return {
        "source": cut(source, MAX_WORD),
        "argv": [cut(word, MAX_WORD) for word in argv[:MAX_WORDS]],
        "versions": _versions(),
        "machine": _machine(gpus),
        "git": _git(),
    }


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def _machine(gpus: Sequence[str]) -> dict[str, Any]:
    return {
        "platform": platform.platform(),
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mb": psutil.virtual_memory().total >> 20,
        "gpus": list(gpus),
    }


def _cpu_model() -> str:
    """The processor's name; it matters for floating-point results, since libraries choose their kernels by it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _git() -> dict[str, Any] | None:
    """The commit of the working directory and whether tracked files differ from it; None outside a repository."""
    commit = _run_git("rev-parse", "HEAD")
    if not commit:
        return None
    return {"commit": commit, "dirty": bool(_run_git("status", "--porcelain", "--untracked-files=no"))}


def _run_git(*arguments: str) -> str:
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        command = ["git", "--no-optional-locks", *arguments]
        result = subprocess.run(command, capture_output=True, text=True, timeout=_GIT_SECONDS, check=False)
        return result.stdout.strip() if result.returncode == 0 else ""
    return ""
