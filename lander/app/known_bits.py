"""Which bits are known of which kinds of machine: a table of digests, and how this machine's compare with it.

Only machines with the same libraries can be compared. Among them, the digests say what is the same, and nothing else does:
neither the name of a processor nor what it is capable of.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from lander.actors.host.bits import CHANGING
from lander.actors.host.bits_process import ComputedBits
from lander.app.diagnosis import Diagnosis
from lander.home.durable_files import publish, unfinished
from lander.protocol.errors import ConfigurationError
from lander.protocol.model import Model

SHIPPED: Final = Path(__file__).with_name("known_bits.json")
"""The table that comes with lander-ctl."""
MAX_BYTES: Final = 1 << 20


class MachineClass(Model):
    """A kind of machine: the libraries, what torch sees of the processor, and the digest of each operation."""

    versions: dict[str, str]
    machine: str
    processor: str
    digests: dict[str, str]

    @property
    def words(self) -> str:
        """The class for people."""
        return f"{self.machine} with {self.processor}"


class KnownBits(Model):
    """The table."""

    classes: tuple[MachineClass, ...]


def read(path: Path) -> KnownBits:
    """A table from a file; raises `ConfigurationError` if it is none, and `OSError` if it cannot be read."""
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    try:
        if len(content) > MAX_BYTES:
            raise ConfigurationError(f"{path}: larger than a table of known bits can be ({MAX_BYTES >> 20} MB)")
        return KnownBits.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "content"
        raise ConfigurationError(
            f"{path}: {where}: {first['msg'].lower()}; lander-ctl doctor --record-bits FILE makes such a table"
        ) from error


def record(path: Path, bits: ComputedBits) -> None:
    """Add what this machine computes to the table in a file, which is made if there is none; raises as `read` does."""
    known = read(path) if path.exists() else KnownBits(classes=())
    mine = MachineClass(**bits.model_dump(exclude={"cuda"}))
    if mine not in known.classes:
        with unfinished(path) as file:
            file.write_text(KnownBits(classes=(*known.classes, mine)).model_dump_json(indent=1) + "\n", "utf-8")
            publish(file, path)


def compare(bits: ComputedBits, known: KnownBits) -> Diagnosis:
    """Whether these bits agree with those of known machines, differ from them, or nothing is known."""
    comparable = [each for each in known.classes if _comparable(bits, each)]
    if not comparable:
        with_what = ", ".join(f"{name} {version}" for name, version in bits.versions.items())
        return Diagnosis(
            "bits",
            "warning",
            f"unknown: no {bits.machine} machine with {with_what} is known, so others may have other bits than this one",
            "--record-bits FILE here and --known-bits FILE there tell whether two machines have the same",
        )
    nearest = min(comparable, key=lambda each: len(_differing(bits, each)))
    differing = _differing(bits, nearest)
    if not differing:
        detail = f"agree with {nearest.words} in all {len(bits.digests)} operations: runs have the same bits here and there"
        return Diagnosis("bits", "ok", detail)
    return Diagnosis(
        "bits",
        "warning",
        f"differ from {nearest.words} in {', '.join(differing)}: runs are exact here, but not the same as there",
        _advice(),
    )


def _comparable(bits: ComputedBits, known: MachineClass) -> bool:
    same = bits.versions == known.versions and bits.machine == known.machine
    return same and bits.digests.keys() == known.digests.keys()


def _differing(bits: ComputedBits, known: MachineClass) -> Sequence[str]:
    return [name for name, digest in bits.digests.items() if digest != known.digests[name]]


def _advice() -> str:
    given = [name for name in CHANGING if os.environ.get(name)]
    if given:
        return f"unset {' '.join(given)}: it makes the libraries compute otherwise than they would here"
    return "train all runs of an experiment on machines of one kind"
