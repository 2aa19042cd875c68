"""What stands in braces in the commands of an engine, and is filled in for each job: `{name}`, `{head}`, `{token_file}` …

A command is a list of arguments, and a placeholder never makes two of one, so that no text of ours is read by a shell.
"""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from lander.supervisor.launchers.launcher import WorkerCommand

WORKER: Final = "{worker}"
"""As an argument of its own: the worker's command, one argument for each of its own."""
FOR_LAUNCH: Final = frozenset({"name", "batch", "head", "token_file", "slots", "walltime", "worker", "worker_line"})
FOR_CANCEL: Final = frozenset({"name"})
FOR_ALIVE: Final = frozenset({"prefix"})
_PLACEHOLDER: Final = re.compile(r"(?<![${])\{([a-z_]+)\}")
"""A word in braces. What shells (`${name}`) and templates (`{.items}`) have in braces is something else, and stays."""
_LITERAL: Final = re.compile(r"\{\{([a-z_]+)\}\}")
"""A word in doubled braces stands for the same in single ones."""


def problem(words: Sequence[str], allowed: frozenset[str]) -> str:
    """What is wrong with the placeholders of a command; empty if nothing is."""
    if not words or not words[0]:
        return "an empty command; it is a list of arguments, the program first"
    for word in words:
        for name in _PLACEHOLDER.findall(word):
            if name == "token":
                return "{token}: a secret is no argument; name {token_file}, or read the token from standard input"
            if name not in allowed:
                known = ", ".join(f"{{{each}}}" for each in sorted(allowed))
                return f"{{{name}}}: is no placeholder here; there are {known}; {{{{{name}}}}} stands for itself"
            if name == "worker" and word != WORKER:
                return "{worker}: stands for several arguments, so it is one by itself; {worker_line} is a line for a shell"
    return ""


def filled(words: Sequence[str], values: Mapping[str, str], worker: Sequence[str] = ()) -> tuple[str, ...]:
    """The command with the placeholders filled in."""
    return tuple(_filled(words, values, worker))


def _filled(words: Sequence[str], values: Mapping[str, str], worker: Sequence[str]) -> Iterator[str]:
    for word in words:
        if word == WORKER:
            yield from worker
        else:
            yield _LITERAL.sub(r"{\1}", _PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), word))


def of_job(name: str, command: WorkerCommand) -> Mapping[str, str]:
    """The values for the job of this name."""
    return {
        "name": name,
        "batch": command.batch,
        "head": command.head,
        "token_file": str(command.token_file),
        "slots": "" if command.slots is None else str(command.slots),
        "walltime": "" if command.walltime is None else f"{command.walltime:.0f}",
        "worker_line": shlex.join(command.arguments(name)),
    }
