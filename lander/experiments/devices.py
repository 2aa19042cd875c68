"""Devices as people write them, and as they are recorded: `cpu` or `cuda`. Which GPU a run gets is decided when it starts."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

AUTO: Final = "auto"
NUMBERED: Final = r"cuda:[0-9]{1,3}"


def record_devices(normal: Mapping[str, Any], automatic: Callable[[], str] | None) -> Iterator[str]:
    """Replace `auto` and `cuda:N` in every arm of the normal form, and yield a notice for each.

    `automatic` says what `auto` is on this machine; without it, `auto` stays, and is refused.
    """
    for arm in normal["arms"]:
        written = arm.get("device")
        if written == AUTO and automatic is not None:
            arm["device"] = automatic()
            yield f"device: auto is recorded as {arm['device']}, which is what this machine has"
        elif isinstance(written, str) and re.fullmatch(NUMBERED, written):
            arm["device"] = "cuda"
            number = written.partition(":")[2]
            keep = f"CUDA_VISIBLE_DEVICES={number} lander-ctl up keeps it to that one"
            yield f"device: {written} is recorded as cuda: a run gets the GPU that is free; {keep}"
