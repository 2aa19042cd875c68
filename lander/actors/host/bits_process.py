"""The caller's side of `bits.py`: it imports torch in a process of its own, so that its caller does not have to."""

from collections.abc import Callable
from typing import Final

from pydantic import ValidationError

from lander.actors.host.bounded_process import Bounds, run_bounded
from lander.actors.host.linux_process import available_memory_mb
from lander.protocol.errors import LanderError, TooSlowError
from lander.protocol.model import Model
from lander.protocol.text import cut_start, one_line

SECONDS: Final = 60.0
SHARE_OF_MEMORY: Final = 0.9
"""Of the memory that is free, what the process may use."""
_PROGRAM: Final = "lander.actors.host.bits"
_LONGEST: Final = 300
"""Characters kept of what the process said before it failed."""


class ComputedBits(Model):
    """The digest of each operation, and what computed them: `cuda` is the version that torch was built for, None for none."""

    versions: dict[str, str]
    machine: str
    processor: str
    digests: dict[str, str]
    cuda: str | None = None


def compute_bits(given_up: Callable[[], bool] = lambda: False) -> ComputedBits:
    """Compute the operations, which takes seconds, unless that is `given_up` meanwhile.

    Raises `LanderError` if it fails, with the last words of the process, or is given up, and `TooSlowError` if it is slow.
    """
    ending = run_bounded(_PROGRAM, b"", Bounds(SECONDS, SHARE_OF_MEMORY * available_memory_mb()), given_up)
    for answer in ending.answers:
        try:
            return ComputedBits.model_validate(answer)
        except ValidationError:
            break
    lines = ending.output.decode(errors="replace").strip().splitlines()
    why = (
        f"it took more than {SECONDS:.0f} seconds, perhaps because other programs keep this machine busy"
        if ending.exceeded == "time"
        else f"it took more {ending.exceeded} than it may"
        if ending.exceeded
        else one_line(lines[-1])
        if lines
        else "it said nothing"
    )
    if ending.exceeded == "time":
        raise TooSlowError(f"the operations that training is made of were not computed: {why}")
    raise LanderError(f"the operations that training is made of fail here: {cut_start(why, _LONGEST)}")
