"""The slots of all hosts, and the attempts that take them: an index into the state, so that placement need not look at each.

An immutable value. A change replaces the slots of one host and one bit for it in each set of hosts, so that neither taking a
slot nor finding a free one costs more with a thousand hosts than with one.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Self

from lander.supervisor.core.catalogue import Catalogue
from lander.supervisor.core.standing import RunStanding


class Taken(NamedTuple):
    """A slot that is taken, and by which attempt."""

    run: str
    epoch: int
    cpu: int
    gpu: int | None


@dataclass(frozen=True, slots=True)
class HostSlots:
    """What a host offers, nothing while it is gone, and what is taken there, in the order in which it was.

    `place` is its position among all hosts, in the order in which they became known.
    """

    name: str
    place: int
    cpus: tuple[int, ...] = ()
    gpus: int = 0
    taken: tuple[Taken, ...] = ()

    @property
    def free_cpus(self) -> list[int]:
        """The cores that no attempt has, in the order in which the host names them."""
        taken = {each.cpu for each in self.taken}
        return [cpu for cpu in self.cpus if cpu not in taken]

    @property
    def free_gpus(self) -> list[int]:
        """The numbers of the GPUs that no attempt has."""
        taken = {each.gpu for each in self.taken}
        return [gpu for gpu in range(self.gpus) if gpu not in taken]


@dataclass(frozen=True, slots=True)
class Slots:
    """The slots of every host. A set of hosts is an integer with one bit per place."""

    hosts: Catalogue[HostSlots] = field(default_factory=Catalogue)
    with_cpu: int = 0
    """The hosts with a free core."""
    with_gpu: int = 0
    """Those that also have a free GPU."""

    def offered(self, host: str, cpus: tuple[int, ...], gpus: int) -> Self:
        """After a host has said what it offers."""
        return self._put(replace(self._of(host), cpus=cpus, gpus=gpus))

    def moved(self, before: RunStanding, run: RunStanding) -> Self:
        """After a run got an attempt, or after its attempt is over."""
        slots = self
        if before.attempt is not None:
            slots = slots._freed(before.attempt.host, frozenset([run.id]))
        if (attempt := run.attempt) is not None:
            host = slots._of(attempt.host)
            slot = Taken(run.id, attempt.epoch, attempt.cpu, attempt.gpu)
            slots = slots._put(replace(host, taken=(*host.taken, slot)))
        return slots

    def without(self, runs: frozenset[str]) -> Self:
        """After these runs are gone, wherever their attempts were."""
        slots = self
        for host in self.hosts.values():
            if any(each.run in runs for each in host.taken):
                slots = slots._freed(host.name, runs)
        return slots

    def here(self, host: str) -> tuple[Taken, ...]:
        """What is taken at a host."""
        return self._of(host).taken

    def all_taken(self) -> Iterator[Taken]:
        """What is taken anywhere, host by host."""
        for host in self.hosts.values():
            yield from host.taken

    def changed_since(self, before: "Slots") -> Iterator[tuple[tuple[Taken, ...], tuple[Taken, ...]]]:
        """What was taken and what is taken, of each host of which that may differ."""
        for old, new in self.hosts.changed_since(before.hosts):
            yield old.taken if old is not None else (), new.taken

    def open_hosts(self, apart_from: Iterable[str], *, with_gpu: bool) -> Iterator[HostSlots]:
        """The hosts with a free core (and a GPU), in their order, without some."""
        left = self.with_gpu if with_gpu else self.with_cpu
        for name in apart_from:
            left &= ~(1 << self._of(name).place)
        while left:
            first = left & -left
            yield self.hosts.at(first.bit_length() - 1)
            left ^= first

    def _freed(self, host: str, runs: frozenset[str]) -> Self:
        before = self._of(host)
        return self._put(replace(before, taken=tuple(each for each in before.taken if each.run not in runs)))

    def _of(self, host: str) -> HostSlots:
        return self.hosts.get(host) or HostSlots(host, place=len(self.hosts))

    def _put(self, host: HostSlots) -> Self:
        known = host.name in self.hosts
        cpu = bool(host.free_cpus)
        return replace(
            self,
            hosts=self.hosts.put(host.name, host) if known else self.hosts.extended([(host.name, host)]),
            with_cpu=_set(self.with_cpu, host.place, cpu),
            with_gpu=_set(self.with_gpu, host.place, cpu and bool(host.free_gpus)),
        )


def _set(places: int, place: int, member: bool) -> int:
    """A set with or without a place."""
    return places | 1 << place if member else places & ~(1 << place)
