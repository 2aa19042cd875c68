"""The caller's side of the checks in `requirements.py`: code of users runs in a child process with bounds, and not here.

The environments that Gymnasium itself has are looked at in this process, because a process of its own takes longer than that.
Building everything, with torch, always has one.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lander.actors.host.bounded_process import Bounds, Ending, run_bounded
from lander.actors.host.linux_process import available_memory_mb, signal_name
from lander.protocol.error_text import error_line
from lander.protocol.errors import ConfigurationError
from lander.protocol.experiment import Experiment
from lander.protocol.named_code import names_classes

if TYPE_CHECKING:
    from lander.actors.host.requirements import Built

SECONDS: Final = 60.0
"""Seconds for each environment and each model, if the experiment does not give its trainers another `stall_timeout`."""
SHARE_OF_MEMORY: Final = 0.9
"""Of the memory that is free, what the child may use."""
_PROGRAM: Final = "lander.actors.host.requirements_program"
_LONGEST: Final = 300
"""Characters kept of a line that the child wrote."""


def check(experiment: Experiment, source: str, directories: Sequence[str] = (), home: Path | None = None) -> None:
    """`requirements.check`, with environments of other packages and of users built in a child process."""
    if _is_gymnasiums_own(experiment):
        from lander.actors.host import requirements

        requirements.check(experiment, source, directories, home)
    else:
        _in_child(experiment, source, directories, home, build=False)


def build_everything(
    experiment: Experiment, source: str, directories: Sequence[str] = (), home: Path | None = None
) -> "tuple[Built, ...]":
    """`requirements.build_everything` in a child process; raises `ConfigurationError` also for how that ended."""
    from lander.actors.host.requirements import Built

    found = _in_child(experiment, source, directories, home, build=True)
    return tuple(Built(**{**each, "warnings": tuple(each["warnings"])}) for each in found)


def _is_gymnasiums_own(experiment: Experiment) -> bool:
    """Whether every environment is one that Gymnasium has; a name that nobody knows runs no code, and counts as one."""
    if any(map(names_classes, experiment.arms)):
        return False
    common = experiment.evaluation_environment
    names = {arm.environment for arm in experiment.arms} | ({common.environment} if common else set())
    if any(":" in name for name in names):
        return False
    from gymnasium import registry

    entries = [registry[name].entry_point for name in names if name in registry]
    return all(isinstance(entry, str) and entry.startswith("gymnasium.envs.") for entry in entries)


def _in_child(
    experiment: Experiment, source: str, directories: Sequence[str], home: Path | None, *, build: bool
) -> list[dict[str, Any]]:
    """What was built; raises `ConfigurationError` for what the child refuses, and for how it ended."""
    bounds = Bounds(_seconds(experiment), SHARE_OF_MEMORY * available_memory_mb())
    task = {"experiment": experiment.model_dump_json(), "source": source, "directories": [*directories], "build": build}
    task["home"] = None if home is None else str(home)
    ending = run_bounded(_PROGRAM, json.dumps(task).encode(), bounds)
    where = ""
    for answer in ending.answers:
        match answer:
            case {"arm": str(arm), "doing": str(what)}:
                where = f"{arm}.{what}"
            case {"refused": str(words)}:
                raise ConfigurationError(words)
            case {"built": list(built)} if ending.exceeded is None:
                return built
    raise ConfigurationError(": ".join(filter(None, (source, where, _how_it_ended(ending, bounds)))))


def _seconds(experiment: Experiment) -> float:
    """The bound of time. A trainer that takes longer than `stall_timeout` would be ended, too."""
    return SECONDS if "stall_timeout" in experiment.defaulted else float(experiment.stall_timeout)


def _how_it_ended(ending: Ending, bounds: Bounds) -> str:
    match ending.exceeded:
        case "time":
            return f"cannot be built within {bounds.seconds:g} s; stall_timeout: SECONDS in the file gives it more"
        case "memory":
            return f"cannot be built with the {bounds.memory_mb:,.0f} MB of memory that are free here"
        case "answer":
            return "cannot be built: the process that built it wrote more than an answer can hold"
    said = _said(ending.output.decode(errors="replace"))
    if ending.exit_code < 0:
        return f"cannot be built: the process that built it was ended by {signal_name(-ending.exit_code)}{said}"
    return f"cannot be built: its code ended the process that built it, with exit status {ending.exit_code}{said}"


def _said(output: str) -> str:
    """What of the child's output says why it ended; else its last line, named as that, for it is in no log."""
    if why := error_line(output):
        return f": {_shown(why)}"
    lines = output.strip().splitlines()
    return f"; it printed last: {_shown(lines[-1])}" if lines else ""


def _shown(line: str) -> str:
    """The line without what no terminal can show."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in line)[:_LONGEST]
