"""A diagnosis: what one check of a machine or a home found, in one line, and what to do about it."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "problem"]
"""`problem`: training would not work. `warning`: it works, and something is slower or less safe than it could be."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The name of a check, what it found, and what to do; nothing needs to be done if `advice` is empty."""

    name: str
    level: Level
    detail: str
    advice: str = ""
