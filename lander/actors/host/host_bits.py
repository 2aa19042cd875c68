"""What this machine computes, and its class of bits; kept in a home, as long as nothing changes that could change it."""

import hashlib
import json
import os
import platform
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from lander.actors.host.bits import CHANGING, PACKAGES
from lander.actors.host.bits_process import ComputedBits, compute_bits
from lander.actors.host.gpus import Gpus
from lander.home.durable_files import publish, unfinished
from lander.protocol.errors import LanderError
from lander.protocol.model import Model

_FILE: Final = "bits.json"
_CLASS_DIGITS: Final = 12
_MEASURING: Final = (
    "measuring what this machine computes, to compare it with other hosts: about 10 s, once for each installation"
)
_CPU: Final = ("vendor_id", "model name", "flags", "Features", "CPU implementer", "CPU part")
"""What of a processor decides which code libraries choose, as Linux names it on x86 and on ARM."""


class _Kept(Model):
    """What was computed, and in which circumstances."""

    circumstances: str
    computed: ComputedBits


def said_of_bits(
    home: Path, gpus: Gpus, log: Callable[[str], None], given_up: Callable[[], bool] = lambda: False
) -> dict[str, Any]:
    """What `JoinHost` says of the bits of this machine and its GPUs; nothing, which is a class of its own, if they cannot be
    found out. Who does not want to know it any more gives it up: then it ends at once.
    """
    try:
        found = host_bits(home, log, given_up)
    except (LanderError, OSError) as error:
        if not given_up():
            log(f"this host cannot be compared with others: {error}")
        return {}
    processor = f"{found.machine} with {found.processor}"
    said = {"bits": bits_class(found), "versions": found.versions, "processor": processor}
    return said | {"devices": gpus.devices(found.cuda)}


def host_bits(home: Path, log: Callable[[str], None], given_up: Callable[[], bool] = lambda: False) -> ComputedBits:
    """What this machine computes: as it is kept in the home, or computed, which takes seconds and is said to the log.

    Raises `LanderError` if the operations fail here, or if it is given up.
    """
    now = _circumstances()
    kept = _read(home)
    if kept is not None and kept.circumstances == now:
        return kept.computed
    log(_MEASURING)
    computed = compute_bits(given_up)
    with unfinished(home / _FILE) as file:
        file.write_text(_Kept(circumstances=now, computed=computed).model_dump_json(indent=1) + "\n", "utf-8")
        publish(file, home / _FILE)
    return computed


def are_kept(home: Path) -> bool:
    """Whether the machine of this home was ever compared with others."""
    return (home / _FILE).exists()


def bits_class(computed: ComputedBits) -> str:
    """The class of a machine: a digest of what it computes, and with which libraries."""
    content = json.dumps([computed.digests, computed.versions], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:_CLASS_DIGITS]


def _read(home: Path) -> _Kept | None:
    try:
        return _Kept.model_validate_json((home / _FILE).read_bytes())
    except (OSError, ValidationError):  # none yet, or of an earlier version
        return None


def _circumstances() -> str:
    """A digest of everything known to change the bits: libraries, processor, C library, and what tells libraries to change."""
    return hashlib.sha256("\n".join(_facts()).encode()).hexdigest()


def _facts() -> Iterator[str]:
    yield from (platform.machine(), platform.python_version(), *platform.libc_ver())
    for package in PACKAGES:
        try:
            yield f"{package} {version(package)}"
        except PackageNotFoundError:
            yield f"{package} missing"
    yield from (f"{name}={os.environ.get(name, '')}" for name in CHANGING)
    for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").partition("\n\n")[0].splitlines():
        name, _, value = line.partition(":")
        if name.strip() in _CPU:
            yield f"{name.strip()}: {value.strip()}"
