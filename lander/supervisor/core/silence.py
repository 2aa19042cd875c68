"""The silence of hosts, in two stages: nothing is placed on a host that is suspect, and a host is lost only much later.

Pure: the shell passes in the time, of a clock that nobody can set, in seconds. Silence is recorded nowhere: for a supervisor
that starts, the silence of all hosts begins, and each is suspect until it is heard. It may have gone, or find no way here any
more.
"""

from collections.abc import Iterable
from typing import Final

SUSPECT_SECONDS: Final = 8.0
"""Silence after which a host is suspect: four of its reports are missing. Its runs stay, and it gets no others."""
LOST_SECONDS: Final = 120.0
"""Silence after which a host may be given up, with its runs, if the supervisor was told no other time: longer than a freeze of
a laptop or the restart of a switch."""
LEASE_MARGIN_SECONDS: Final = 20.0
"""By how much the lease of a host ends before the host may be given up."""


class Silence:
    """When each online host was last heard, and which are `suspects` and `overdue` since the last look.

    A host that is heard again is neither, at once.
    """

    def __init__(self, lost_seconds: float = LOST_SECONDS) -> None:
        self.lost_seconds = lost_seconds
        self.lease_seconds = lost_seconds - LEASE_MARGIN_SECONDS
        self._heard: dict[str, float] = {}
        self.suspects: frozenset[str] = frozenset()
        self.overdue: frozenset[str] = frozenset()
        self._watches = False
        self._known: set[str] = set()
        """The hosts that were heard, or have joined, since the supervisor started."""

    def watch(self, hosts: Iterable[str], now: float) -> None:
        """Watch these hosts and no others; one that is new counts as heard now, but those of the first call are suspect."""
        before, self._heard = self._heard, {host: self._heard.get(host, now) for host in hosts}
        if self._watches:
            self._known |= self._heard.keys() - before.keys()
        self._watches = True
        self.suspects = self.suspects & self._heard.keys() | self._heard.keys() - self._known
        self.overdue &= self._heard.keys()

    def heard(self, host: str, now: float) -> None:
        """Note a message from a host. One that is not watched is not known to be online, and has to join first."""
        self._known.add(host)
        if host in self._heard:
            self._heard[host] = now
            self.suspects -= {host}
            self.overdue -= {host}

    def seconds(self, host: str, now: float) -> float:
        """For how long a host has been silent; 0 if it is not watched."""
        return max(0.0, now - self._heard.get(host, now))

    def skip(self, seconds: float, now: float) -> None:
        """Do not count the last `seconds`: nothing could be received."""
        self._heard = {host: min(now, at + seconds) for host, at in self._heard.items()}

    def look(self, now: float) -> None:
        """Find out which hosts have been silent for too long."""
        silent = frozenset(host for host, at in self._heard.items() if now - at > SUSPECT_SECONDS)
        self.suspects = silent | self._heard.keys() - self._known
        self.overdue = frozenset(host for host in silent if now - self._heard[host] > self.lost_seconds)
