"""Events as lines of text, for people."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from lander.protocol.events import Event, PackedArray, TriedEnvironment, Unreadable
from lander.protocol.experiment import Arm
from lander.protocol.text import one_line
from lander.store.log.stored_events import StoredEvent

_SHORT = 60


def plain_line(stored: StoredEvent) -> str:
    """An event in one line: position, time of day, stream, kind, and the fields that fit."""
    at = datetime.fromtimestamp(stored.at / 1e6).astimezone().strftime("%H:%M:%S.%f")[:-3]
    line = f"{stored.position:>8}  {at}  {stored.stream}  {stored.kind}  {_fields(stored.read())}"
    return one_line(line).rstrip()


def _fields(event: Event | Unreadable) -> str:
    if isinstance(event, Unreadable):
        return f"cannot be read: {event.problem}"
    return " ".join(f"{name}={short}" for name, value in event if (short := _short(value)))


def _short(value: Any) -> str:
    """A value in a few characters; empty for a value that does not fit in a line."""
    match value:
        case PackedArray():
            return f"{value.dtype}{list(value.shape)}"
        case Arm():
            return value.name
        case TriedEnvironment():
            return value.environment
        case BaseModel() | bytes() | None | "" | ():
            return ""
        case float():
            return f"{value:.6g}"
        case Mapping():
            return "{" + ", ".join(f"{name}: {_short(each)}" for name, each in value.items())[:_SHORT] + "}"
        case str():
            last = value.strip().rpartition("\n")[2]
            return last if len(last) <= 2 * _SHORT else f"{last[: 2 * _SHORT]}…"
        case list() | tuple():
            return f"[{', '.join(map(_short, value))}]"
    return str(value)
