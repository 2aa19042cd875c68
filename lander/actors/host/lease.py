"""The lease of a host: until when its trainers of exclusive runs may go on without another word from the supervisor.

An exclusive run has effects outside, on a robot or a licence, and must never train twice at once. The supervisor gives such a
run to another host only when this one has been silent for longer than its lease. A lease counts from when it was asked for, so
a slow answer makes it shorter, and never longer.

Pure: the agent passes in the time, in seconds, of a clock that nobody can set, and that goes on while the machine is suspended.
"""

from typing import Final

from lander.protocol.commands import LeaseRenewed, RenewLease, TrainerKey

ASK_SECONDS: Final = 5.0
"""How often a lease is renewed."""
_REMEMBERED: Final = 100
"""Questions whose answer may still come."""


class Lease:
    """The trainers that need a lease, and until when each has one."""

    def __init__(self) -> None:
        self._until: dict[TrainerKey, float] = {}
        self._asked: dict[int, float] = {}
        self._number = 0

    def __bool__(self) -> bool:
        return bool(self._until)

    def need(self, key: TrainerKey) -> None:
        """From now on this trainer needs a lease, and has none yet."""
        self._until.setdefault(key, float("-inf"))

    def forget(self, key: TrainerKey) -> None:
        """It has ended."""
        self._until.pop(key, None)

    def ask(self, now: float) -> RenewLease:
        """What to ask the supervisor now."""
        self._number += 1
        self._asked[self._number] = now
        self._asked.pop(self._number - _REMEMBERED, None)
        return RenewLease(number=self._number, trainers=tuple(self._until))

    def renewed(self, answer: LeaseRenewed) -> None:
        """Note an answer; one to a question that was never asked, or long ago, says nothing."""
        asked = self._asked.get(answer.number)
        if asked is not None:
            for key in answer.trainers:
                if key in self._until:
                    self._until[key] = max(self._until[key], asked + answer.seconds)

    def holds(self, key: TrainerKey, now: float) -> bool:
        """Whether a trainer may act now; one that needs no lease may."""
        return self._until.get(key, float("inf")) > now
