"""Values for text formats: times as ISO 8601, and names for the numbers that JSON cannot represent."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
from pydantic import BaseModel

from lander.protocol.arrays import unpack
from lander.protocol.events import PackedArray


def moment(at: int) -> str:
    """A time in microseconds since the Unix epoch, in UTC: `2026-03-01T12:00:00.250000Z`."""
    return datetime.fromtimestamp(at / 1e6, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def plain(value: Any) -> Any:
    """A value that `json` can write without loss: arrays as lists, bytes as hexadecimal; "NaN", "Infinity", "-Infinity"."""
    match value:
        case PackedArray():
            array = unpack(value)
            return array.tolist() if np.isfinite(array).all() else plain(array.tolist())
        case BaseModel():
            return plain(value.model_dump())
        case bytes():
            return value.hex()
        case float() if not math.isfinite(value):
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        case Mapping():
            return {name: plain(each) for name, each in value.items()}
        case list() | tuple():
            return [plain(each) for each in value]
    return value
