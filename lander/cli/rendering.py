"""Events as lines: in full as JSON for programs, in short for people."""

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel

from lander.protocol.arrays import unpack
from lander.protocol.events import PackedArray
from lander.store.reader import StoredEvent

_SHORT = 60


def json_line(stored: StoredEvent) -> str:
    """An event as one JSON object: its place in the log, then its fields, nothing left out.

    What JSON has no number for is text: "NaN", "Infinity", "-Infinity".
    """
    place = {name: getattr(stored, name) for name in ("position", "stream", "producer", "seq", "kind")}
    at = datetime.fromtimestamp(stored.at / 1e6, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    fields = {name: _full(value) for name, value in stored.decode()}
    return json.dumps({**place, "at": at, **fields}, ensure_ascii=False, allow_nan=False)


def _full(value: Any) -> Any:
    match value:
        case PackedArray():
            return _full(unpack(value).tolist())
        case BaseModel():
            return _full(value.model_dump())
        case bytes():
            return value.hex()
        case float() if not math.isfinite(value):
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        case Mapping():
            return {name: _full(each) for name, each in value.items()}
        case list() | tuple():
            return [_full(each) for each in value]
    return value


def plain_line(stored: StoredEvent) -> str:
    """An event in one line: position, time of day, stream, kind, and the fields that fit."""
    at = datetime.fromtimestamp(stored.at / 1e6).astimezone().strftime("%H:%M:%S.%f")[:-3]
    fields = [f"{name}={short}" for name, value in stored.decode() if (short := _short(value))]
    return f"{stored.position:>8}  {at}  {stored.stream}  {stored.kind}  {' '.join(fields)}".rstrip()


def _short(value: Any) -> str:
    """A value in a few characters; nothing for what takes more than a line to say."""
    match value:
        case PackedArray():
            return f"{value.dtype}{list(value.shape)}"
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
