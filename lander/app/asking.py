"""What a person asks for a target, and what comes of it in words: from Python as on the command line."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from lander.app import client, service
from lander.protocol.commands import PauseTarget, ResumeTarget, SkipTarget, StopTarget

_DONE: Final[Mapping[str, str]] = {
    StopTarget.kind: "stops",
    PauseTarget.kind: "pauses",
    SkipTarget.kind: "is skipped",
    ResumeTarget.kind: "goes on",
}
"""What is said where the supervisor accepts without a word."""


def ask(home: Path, kind: str, target: str) -> str:
    """Ask the home's supervisor; returns what follows, which may be that there is nothing to do, and why.

    Returns before it is done. Raises `NotFoundError` for an unknown target, and where no supervisor is running.
    """
    return client.operate(home, kind, target).detail or _DONE[kind]


def resume(home: Path, target: str) -> str:
    """Have a target go on; returns as `ask` does. Starts a supervisor if none runs."""
    return service.go_on(home, ResumeTarget.kind, target).detail or _DONE[ResumeTarget.kind]
