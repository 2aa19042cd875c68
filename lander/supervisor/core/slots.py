"""The slots of all hosts, and the attempts that take them: an index into the state, so that placement need not look at each.

An immutable value. A change replaces the slots of one host and one bit for it in each set of hosts, so that neither taking a
slot nor finding a free one costs more with a thousand hosts than with one.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Self

from lander.supervisor.core.catalogue import Catalogue
from lander.supervisor.core.gpu_shares import Gpu, Rooms, best_fit, fitting, left_of, most_left
from lander.supervisor.core.needs import Need, label_key
from lander.supervisor.core.standing import RunStanding


class Taken(NamedTuple):
    """A slot that is taken, and by which attempt; without a GPU, the share is 0."""

    run: str
    epoch: int
    cpu: int
    gpu: str = ""
    share: int = 0


@dataclass(frozen=True, slots=True)
class HostSlots:
    """What a host offers, nothing while it is gone, and what is taken there, in the order in which it was.

    `place` is its position among all hosts, in the order in which they became known.
    """

    name: str
    place: int
    cpus: tuple[int, ...] = ()
    gpus: tuple[Gpu, ...] = ()
    groups: tuple[str, ...] = ()
    """The keys of the sets of hosts that it belongs to, also while it is gone."""
    taken: tuple[Taken, ...] = ()

    @property
    def free_cpus(self) -> list[int]:
        """The cores that no attempt has, in the order in which the host names them."""
        taken = {each.cpu for each in self.taken}
        return [cpu for cpu in self.cpus if cpu not in taken]

    @property
    def left(self) -> Mapping[Gpu, int]:
        """The hundredths of each GPU that no attempt has."""
        return left_of(self.gpus, self.taken)

    def gpu_for(self, need: Need) -> Gpu | None:
        """The GPU for a run with this need, of the class that it is to train on if there is room on one; None for none."""
        left = self.left if need.cuda else {}
        return best_fit(left, need.share, need.bits) or best_fit(left, need.share)

    def rooms(self, need: Need, key: str) -> int:
        """How many runs with this need fit here, on GPUs of a class if the key is of one; each GPU counts once."""
        cpus = len(self.free_cpus)
        return min(cpus, sum(1 for _ in fitting(self.left, need.share, key))) if need.cuda else cpus


@dataclass(frozen=True, slots=True)
class Slots:
    """The slots of every host. A set of hosts is an integer with one bit per place."""

    hosts: Catalogue[HostSlots] = field(default_factory=Catalogue)
    with_cpu: int = 0
    """The hosts with a free core."""
    rooms: Rooms = field(default_factory=Rooms)
    """The hosts with room on a GPU, whether they have a free core or not."""
    there: int = 0
    """The hosts that offer a core, free or taken."""
    there_with_gpu: int = 0
    """Those that also offer a GPU."""
    groups: Mapping[str, int] = field(default_factory=dict)
    """The sets of hosts with one class of bits or one label, by key."""

    def offered(self, host: str, cpus: tuple[int, ...], gpus: tuple[Gpu, ...] = (), groups: tuple[str, ...] = ()) -> Self:
        """After a host has said what it offers, and which sets of hosts it belongs to."""
        before = self._of(host)
        slots = self._put(replace(before, cpus=cpus, gpus=gpus, groups=groups))
        if groups == before.groups:
            return slots
        changed = {key: _set(self.groups.get(key, 0), before.place, key in groups) for key in {*before.groups, *groups}}
        return replace(slots, groups={**self.groups, **changed})

    def moved(self, before: RunStanding, run: RunStanding) -> Self:
        """After a run got an attempt, or after its attempt is over."""
        slots = self
        if before.attempt is not None:
            slots = slots._freed(before.attempt.host, frozenset([run.id]))
        if (attempt := run.attempt) is not None:
            host = slots._of(attempt.host)
            slot = Taken(run.id, attempt.epoch, attempt.cpu, attempt.gpu_id, attempt.share)
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

    def free(self, need: Need) -> int:
        """The hosts with a free slot for a need, whatever bits they compute."""
        return self._wished(self.with_cpu & self._with_room(need), need)

    def free_of_class(self, need: Need) -> int:
        """Those of them that compute the bits that are needed, with a GPU that does if one is needed."""
        return self._wished(self.with_cpu & self.group(need.bits) & self._with_room(need, need.bits), need)

    def present(self, need: Need) -> int:
        """The hosts that offer a slot for a need, free or taken, whatever bits they compute."""
        return self._wished(self.there_with_gpu if need.cuda else self.there, need)

    def group(self, key: str) -> int:
        """The hosts of a class of bits or with a label, whether they are there or not."""
        return self.groups.get(key, 0)

    def named(self, names: Iterable[str]) -> int:
        """The hosts with these names, as far as they are known."""
        return sum(1 << self.hosts[name].place for name in set(names) if name in self.hosts)

    def members(self, places: int) -> Iterator[HostSlots]:
        """The hosts of a set, in their order."""
        while places:
            first = places & -places
            yield self.hosts.at(first.bit_length() - 1)
            places ^= first

    def _with_room(self, need: Need, key: str = "") -> int:
        """The hosts with room on a GPU, of a class if the key is of one; all hosts for a need of none."""
        return self.rooms.with_room(need.share, key) if need.cuda else -1

    def _wished(self, places: int, need: Need) -> int:
        if need.gpu:
            places &= self.there_with_gpu
        for label in need.labels:
            places &= self.group(label_key(label))
        return places

    def _freed(self, host: str, runs: frozenset[str]) -> Self:
        before = self._of(host)
        return self._put(replace(before, taken=tuple(each for each in before.taken if each.run not in runs)))

    def _of(self, host: str) -> HostSlots:
        return self.hosts.get(host) or HostSlots(host, place=len(self.hosts))

    def _put(self, host: HostSlots) -> Self:
        before = self.hosts.get(host.name)
        left = {} if before is None else most_left(before.left)
        return replace(
            self,
            hosts=self.hosts.put(host.name, host) if before is not None else self.hosts.extended([(host.name, host)]),
            with_cpu=_set(self.with_cpu, host.place, bool(host.free_cpus)),
            rooms=self.rooms.moved(host.place, left, most_left(host.left)),
            there=_set(self.there, host.place, bool(host.cpus)),
            there_with_gpu=_set(self.there_with_gpu, host.place, bool(host.cpus) and bool(host.gpus)),
        )


def _set(places: int, place: int, member: bool) -> int:
    """A set with or without a place."""
    return places | 1 << place if member else places & ~(1 << place)
