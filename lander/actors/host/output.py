"""What trainers print, brought to the supervisor's machine piece by piece, where the home is not shared."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lander.protocol.commands import MAX_OUTPUT, OutputNoted, ReportOutput, TrainerKey

MAX_REST: Final = 1 << 20
"""Bytes that are still brought over when a trainer has ended: the last ones, which say why."""


@dataclass(slots=True)
class _Log:
    path: Path
    start: int
    noted: int = 0
    """Bytes since `start` that are there."""


class Output:
    """The logs of the trainers of one host. Each piece is repeated until it was noted."""

    def __init__(self) -> None:
        self._logs: dict[TrainerKey, _Log] = {}

    def follow(self, key: TrainerKey, path: Path, start: int) -> None:
        """Bring over what this trainer writes into its log, from a byte on."""
        self._logs.setdefault(key, _Log(path, start))

    def forget(self, key: TrainerKey) -> None:
        """Bring nothing more over: its end is recorded."""
        self._logs.pop(key, None)

    def noted(self, message: OutputNoted) -> None:
        """So much of a log is there."""
        if (log := self._logs.get(TrainerKey(run=message.run, epoch=message.epoch))) is not None:
            log.noted = message.offset

    def new(self) -> Iterator[ReportOutput]:
        """The next piece of each log."""
        for key, log in self._logs.items():
            if data := _read(log, log.noted, MAX_OUTPUT):
                yield _piece(key, log.noted, data)

    def rest(self, key: TrainerKey) -> Iterator[ReportOutput]:
        """All that is left of the log of a trainer that has ended, or the end of it if that is long."""
        log = self._logs.get(key)
        if log is None:
            return
        offset = max(log.noted, _size(log) - MAX_REST)
        while data := _read(log, offset, MAX_OUTPUT):
            yield _piece(key, offset, data)
            offset += len(data)


def _piece(key: TrainerKey, offset: int, data: bytes) -> ReportOutput:
    return ReportOutput(run=key.run, epoch=key.epoch, offset=offset, data=data)


def _size(log: _Log) -> int:
    try:
        return log.path.stat().st_size - log.start
    except OSError:
        return 0


def _read(log: _Log, offset: int, size: int) -> bytes:
    try:
        with log.path.open("rb") as file:
            file.seek(log.start + offset)
            return file.read(size)
    except OSError:
        return b""
