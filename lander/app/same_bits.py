"""Do the supervisor's machine and a worker's compute the same bits? Looked at before the worker is let in."""

from pathlib import Path
from typing import Final

from lander.actors.host.bits_process import ComputedBits, compute_bits
from lander.app import known_bits
from lander.protocol.errors import UsageError

_FILE: Final = "bits.json"


def record(home: Path) -> None:
    """Keep what this machine computes in the home, for its workers to compare with; takes some seconds."""
    (home / _FILE).unlink(missing_ok=True)  # what another machine computed, or other libraries
    known_bits.record(home / _FILE, compute_bits())


def require(home: Path) -> None:
    """Raise `UsageError` unless this machine computes what that of the home's supervisor does, naming what differs."""
    try:
        (theirs,) = known_bits.read(home / _FILE).classes
    except (OSError, ValueError) as error:
        how = "lander-ctl up --listen on the supervisor's machine records it"
        raise UsageError(f"{home}: does not say what the supervisor's machine computes; {how}") from error
    mine = compute_bits()
    if differing := _packages(mine, theirs):
        raise UsageError(f"this machine has other libraries than the supervisor's: {'; '.join(differing)}")
    compared = known_bits.compare(mine, known_bits.KnownBits(classes=(theirs,)))
    if compared.level != "ok":
        raise UsageError(f"this machine has other bits than the supervisor's: {compared.detail}; {compared.advice}")


def _packages(mine: ComputedBits, theirs: known_bits.MachineClass) -> list[str]:
    names = mine.versions.keys() | theirs.versions.keys()
    return [
        f"{name} {mine.versions.get(name, 'missing')} here, {theirs.versions.get(name, 'missing')} there"
        for name in sorted(names)
        if mine.versions.get(name) != theirs.versions.get(name)
    ]
