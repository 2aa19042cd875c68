"""The GPUs that a host offers, and what is left of each while attempts have shares of it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from lander.supervisor.core.needs import WHOLE, names_gpu


class Gpu(NamedTuple):
    """A GPU of a host: its place there, what CUDA knows it by, and its class with the key of that, empty if it has none."""

    place: int
    id: str
    bits: str = ""
    key: str = ""


class GpuUse(Protocol):
    """An attempt's use of a GPU; of none if the share is 0."""

    @property
    def gpu(self) -> str:
        """What CUDA knows the GPU by."""

    @property
    def share(self) -> int:
        """How many hundredths of it."""


def left_of(gpus: Sequence[Gpu], taken: Iterable[GpuUse]) -> Mapping[Gpu, int]:
    """The hundredths of each GPU that no attempt has; less than none where a host offers its GPUs otherwise than before."""
    used: dict[str, int] = {}
    for each in taken if gpus else ():
        used[each.gpu] = used.get(each.gpu, 0) + each.share
    return {gpu: WHOLE - used.get(gpu.id, 0) for gpu in gpus}


def fitting(left: Mapping[Gpu, int], share: int, key: str = "") -> Iterator[Gpu]:
    """The GPUs with room for a share: those of a class, if the key is of one; else any."""
    return (gpu for gpu, room in left.items() if room >= share and (not names_gpu(key) or gpu.key == key))


def best_fit(left: Mapping[Gpu, int], share: int, key: str = "") -> Gpu | None:
    """The fullest GPU with room for a share, so that others stay whole for runs that need all of one."""
    return min(fitting(left, share, key), key=lambda gpu: left[gpu], default=None)


def most_left(left: Mapping[Gpu, int]) -> Mapping[str, int]:
    """By key of a class, what is left of the GPU of it with the most room; under the empty key, of any GPU. Never nothing."""
    found: dict[str, int] = {}
    for gpu, room in left.items():
        for key in ("", gpu.key) if room > 0 else ():
            found[key] = max(room, found.get(key, 0))
    return found


class Rooms(dict[str, Mapping[int, int]]):
    """By key of a class of GPUs: the sets of hosts, by the hundredths that the GPU with the most room has left."""

    def moved(self, place: int, before: Mapping[str, int], now: Mapping[str, int]) -> "Rooms":
        """After a host has changed what `most_left` says of it."""
        changed = {key: dict(self.get(key, {})) for key in {*before, *now} if before.get(key) != now.get(key)}
        for key, levels in changed.items():
            if key in before:
                levels[before[key]] &= ~(1 << place)
                if not levels[before[key]]:
                    del levels[before[key]]
            if key in now:
                levels[now[key]] = levels.get(now[key], 0) | 1 << place
        return Rooms({key: levels for key, levels in {**self, **changed}.items() if levels}) if changed else self

    def with_room(self, share: int, key: str = "") -> int:
        """The hosts with a GPU that has room for a share, of a class if the key is of one."""
        places = 0
        for level, hosts in self.get(key if names_gpu(key) else "", {}).items():
            places |= hosts if level >= share else 0
        return places
