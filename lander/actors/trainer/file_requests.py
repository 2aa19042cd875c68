"""How a trainer asks its host's agent to send files to the supervisor's machine, and to fetch files from there.

A request is a file in the worker's home, which the agent deletes when it has been carried out, or renames when it cannot be.
So nobody waits for a message, and neither a trainer nor an agent that is killed leaves the other in doubt.
"""

import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lander.home.durable_files import unfinished

_DIRECTORY: Final = "requests"
_NAME: Final = re.compile(r"\d+-\d+-\d+\.json")
_REFUSED: Final = ".refused"
_REASON_CHARACTERS: Final = 500


@dataclass(frozen=True, slots=True)
class Request:
    """One request: files to send, by the SHA-256 of their content, and files to fetch, by theirs."""

    file: Path
    send: Mapping[str, Path]
    fetch: Sequence[str]

    def done(self) -> None:
        """Say that it has been carried out."""
        self.file.unlink(missing_ok=True)

    def refuse(self, reason: str) -> None:
        """Say that it cannot be carried out."""
        with unfinished(self.file) as written:
            written.write_text(reason[:_REASON_CHARACTERS], "utf-8", "replace")
            written.replace(self.file.with_suffix(_REFUSED))
        self.file.unlink(missing_ok=True)


class Requests:
    """The requests of this process."""

    def __init__(self, home: Path) -> None:
        self._directory = home / _DIRECTORY
        self._made = 0

    def ask(self, *, send: Mapping[str, Path] | None = None, fetch: Sequence[str] = ()) -> Path:
        """Ask the agent; returns the file that is gone when it has done that."""
        self._made += 1
        self._directory.mkdir(exist_ok=True)
        # With the time, since a process may have the number of one whose request still waits.
        file = self._directory / f"{time.time_ns()}-{os.getpid()}-{self._made}.json"
        files = {sha256: str(path) for sha256, path in (send or {}).items()}
        with unfinished(file) as written:
            written.write_text(json.dumps({"send": files, "fetch": list(fetch)}), "utf-8")
            written.replace(file)
        return file


def refusal(file: Path) -> str | None:
    """Why a request that is gone was not carried out; None if it was. It is then forgotten."""
    refused = file.with_suffix(_REFUSED)
    try:
        reason = refused.read_text("utf-8", "replace")
    except FileNotFoundError:
        return None
    refused.unlink()
    return reason


class Waiting:
    """The requests of all trainers of a host that are not carried out. A request does not change, so each is read once."""

    def __init__(self, home: Path) -> None:
        self._directory = home / _DIRECTORY
        self._known: dict[tuple[str, int], Request] = {}
        """By name and inode."""

    def look(self) -> list[Request]:
        """Those that wait now, in the order in which they were made; raises `OSError` if that cannot be found out."""
        there = sorted(self._there(), key=lambda each: _age(each[0]))
        self._known = {each: self._known[each] for each in there if each in self._known}
        for each in there:
            if each not in self._known and (request := _read(self._directory / each[0])) is not None:
                self._known[each] = request
        return [self._known[each] for each in there if each in self._known]

    def _there(self) -> list[tuple[str, int]]:
        try:
            with os.scandir(self._directory) as found:
                return [(each.name, each.inode()) for each in found if _NAME.fullmatch(each.name)]
        except FileNotFoundError:
            return []


def _read(file: Path) -> Request | None:
    """The request in a file; None if it is gone by now."""
    try:
        asked = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return None
    return Request(file, {sha256: Path(path) for sha256, path in asked["send"].items()}, tuple(asked["fetch"]))


def _age(name: str) -> tuple[int, ...]:
    return tuple(map(int, name.removesuffix(".json").split("-")))


def clear(home: Path) -> None:
    """Forget what trainers have asked that died with an earlier agent."""
    directory = home / _DIRECTORY
    if directory.is_dir():
        for file in directory.iterdir():
            file.unlink()
