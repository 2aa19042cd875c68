"""How far the clock of a host on another machine is from the clock of this one, from the measurements that the host sends.

Each says when it was sent, by the host's clock, and the log says when it was received, by ours. The difference is the offset
less the time under way, which is never negative. So the largest difference of several comes closest to the offset, and a round
trip says how far from it that can be. Nothing is decided by it.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from lander.protocol.events import HostJoined, ResourcesSampled, host_stream
from lander.protocol.wire import read_event
from lander.store.log.reader import Reader

WINDOW: Final = 16
"""Measurements that are looked at, one every two seconds: half a minute after a clock was set, the offset is right again."""
_LAST: Final = (
    "SELECT at, kind, body FROM events WHERE producer = 0 AND stream = (SELECT id FROM streams WHERE name = ?)"
    f" AND kind IN ('{ResourcesSampled.kind}', '{HostJoined.kind}') ORDER BY seq DESC LIMIT {WINDOW}"
)


class Passage(NamedTuple):
    """When a message was sent, by its sender's clock, and received, by ours, in seconds; and a round trip, if one is known."""

    sent: float
    received: float
    round_trip: float | None = None


class ClockOffset(NamedTuple):
    """By how many seconds a clock is ahead of ours (negative: behind), within `uncertainty` if that is known."""

    seconds: float
    uncertainty: float | None


def clock_offset(passages: Iterable[Passage]) -> ClockOffset | None:
    """The offset of the sender's clock, None without a message.

    With a round trip, it is right within half of that, if one message took no longer to arrive than the round trip did. Without
    one, it is at most the time under way too small.
    """
    quickest = max(passages, key=lambda each: each.sent - each.received, default=None)
    if quickest is None:
        return None
    least = quickest.sent - quickest.received
    if quickest.round_trip is None:
        return ClockOffset(least, None)
    return ClockOffset(least + quickest.round_trip / 2, quickest.round_trip / 2)


def host_clock(reader: Reader, host: str) -> ClockOffset | None:
    """The offset of a host's clock; None for the supervisor's own host, and for one that has not said the time."""
    return clock_offset(_passages(reader, host))


def _passages(reader: Reader, host: str) -> Iterable[Passage]:
    for at, kind, body in reader.connection.execute(_LAST, (host_stream(host),)).fetchall():
        if kind == HostJoined.kind:  # a worker of this name may have been on another machine before
            return
        sample = read_event(kind, body)
        if isinstance(sample, ResourcesSampled) and sample.sent_at:
            yield Passage(sample.sent_at / 1e6, at / 1e6, sample.round_trip)
