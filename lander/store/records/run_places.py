"""On which hosts, and with which bits, the runs of an experiment have trained."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from lander.protocol.events import AttemptStarted
from lander.protocol.experiment import RunKey
from lander.protocol.wire import read_event
from lander.store.log.reader import Reader
from lander.store.log.schema import CONSEQUENTIAL

_ATTEMPTS: Final = (
    "SELECT s.name, e.kind, e.body"
    " FROM progress p CROSS JOIN streams s ON s.name = p.run CROSS JOIN events e ON e.stream = s.id"
    f" WHERE p.experiment = ? AND e.producer = 0 AND e.{CONSEQUENTIAL} AND e.kind = '{AttemptStarted.kind}'"
    " ORDER BY e.position"
)

_TRAINED: Final = "SELECT run, trained, resume FROM progress WHERE experiment = ?"


class RunPlace(NamedTuple):
    """Where an attempt was placed: the host, and the classes of bits of it and of its GPU; empty if it was not compared."""

    host: str
    bits: str
    gpu_bits: str = ""

    def same_bits(self, other: "RunPlace") -> bool:
        """Whether both are known to compute the same: one machine does, and so does one class; and so do GPUs of one class."""
        same = self.host == other.host if not (self.bits and other.bits) else self.bits == other.bits
        return same and (not (self.gpu_bits and other.gpu_bits) or self.gpu_bits == other.gpu_bits)


def attempts(reader: Reader, experiment: str) -> dict[tuple[str, int], RunPlace]:
    """The place of each attempt of an experiment, by run and number, in the order in which they started."""
    found = {}
    for run, kind, body in reader.connection.execute(_ATTEMPTS, (experiment,)).fetchall():
        event = read_event(kind, body)
        if isinstance(event, AttemptStarted):
            found[run, event.epoch] = RunPlace(event.host, event.bits, event.gpu_bits)
    return found


def seeds_apart(reader: Reader, experiment: str) -> list[int]:
    """The seeds of which runs have trained with different bits: each on its own class, or one on more than one."""
    rows = reader.connection.execute(_TRAINED, (experiment,)).fetchall()
    trained = {(run, epoch): resume == "other_bits" for run, epoch, resume in rows}
    found: dict[tuple[int, str], list[tuple[RunPlace, bool]]] = {}
    for attempt, place in attempts(reader, experiment).items():
        if attempt in trained:
            key = RunKey.parse(attempt[0])
            found.setdefault((key.seed, key.task), []).append((place, trained[attempt]))
    return sorted({seed for (seed, _), places in found.items() if _are_apart(places)})


def _are_apart(places: Sequence[tuple[RunPlace, bool]]) -> bool:
    """Whether runs that are compared differ in their bits; each is where it trained last, and whether it came from others."""
    first, _ = places[0]
    return len(places) > 1 and any(moved or not place.same_bits(first) for place, moved in places)
