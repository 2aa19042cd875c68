"""Room on the disks of hosts: no run begins on a host that reports too little, nor soon after one could not begin there.

Pure: the shell passes in the time, of a clock that nobody can set, in seconds. A supervisor that starts knows no report, and
gets one of each host within seconds.
"""

from collections.abc import Mapping
from typing import Final

from lander.protocol.disk import MIN_FREE_MB
from lander.supervisor.core.standing import LOCAL_HOST

AGAIN_SECONDS: Final = 60.0
"""How long a host gets no runs after it had no room for one: it reports what the disk has, and may have less, by a quota."""


class DiskRoom:
    """What each host has last reported, and how long each gets no runs. `lacking` are those without room at the last look."""

    def __init__(self) -> None:
        self._free_mb: dict[str, float] = {}
        self._until: dict[str, float] = {}
        self._refusals: Mapping[str, int] = {}
        self.lacking: frozenset[str] = frozenset()

    def reported(self, host: str, free_mb: float) -> None:
        """Note a report. The supervisor's own machine has its log on the same disk, and waits as a whole when that is full."""
        if host != LOCAL_HOST:
            self._free_mb[host] = free_mb

    def unobserved(self, refusals: Mapping[str, int]) -> frozenset[str]:
        """The hosts that could not begin a run since the last look."""
        if refusals is self._refusals:
            return frozenset()
        return frozenset(host for host, times in refusals.items() if times != self._refusals.get(host))

    def look(self, refusals: Mapping[str, int], now: float) -> None:
        """Find out which hosts lack room; `refusals` counts how often each host could not begin a run."""
        new = dict.fromkeys(self.unobserved(refusals), now + AGAIN_SECONDS)
        self._until = {host: until for host, until in (self._until | new).items() if host in refusals}
        self._refusals = refusals
        refused = {host for host, until in self._until.items() if until > now}
        self.lacking = frozenset(refused | {host for host, free in self._free_mb.items() if free < MIN_FREE_MB})
