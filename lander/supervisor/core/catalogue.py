"""A persistent mapping: it is never changed in place, and a changed copy shares all pages but one with the original.

The state may hold ten thousand runs and is replaced at every event. To copy a dictionary of that size each time would make a
submission take seconds.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest
from typing import Final, Generic, Self, TypeVar

PAGE: Final = 64
"""Values in a page: with ten thousand of them, putting one copies 64 values and 157 pages."""
Value = TypeVar("Value")


class Catalogue(Mapping[str, Value], Generic[Value]):
    """Values by name, in the order in which the names were added."""

    __slots__ = ("_pages", "_places")

    def __init__(self, values: Iterable[tuple[str, Value]] = ()) -> None:
        given = dict(values)
        self._places = {name: place for place, name in enumerate(given)}
        self._pages = _paged(tuple(given.values()))

    def __getitem__(self, name: str) -> Value:
        place = self._places[name]
        return self._pages[place // PAGE][place % PAGE]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __repr__(self) -> str:
        return f"Catalogue({dict(self)})"

    def put(self, name: str, value: Value) -> Self:
        """A copy with the value of one name replaced; raises `KeyError` for an unknown name."""
        place = self._places[name]
        number, offset = divmod(place, PAGE)
        page = self._pages[number]
        changed = self.__class__.__new__(self.__class__)
        changed._places = self._places
        changed._pages = (
            *self._pages[:number],
            (*page[:offset], value, *page[offset + 1 :]),
            *self._pages[number + 1 :],
        )
        return changed

    def at(self, place: int) -> Value:
        """The value at a place in the order, from 0."""
        return self._pages[place // PAGE][place % PAGE]

    def changed_since(self, before: "Catalogue[Value]") -> Iterator[tuple[Value | None, Value]]:
        """The old and the new value of each name of which that may differ; None for a name that is new.

        This catalogue must have come from the other by `put` and `extended`. What they share is not looked at.
        """
        for number, page in enumerate(self._pages):
            old = before._pages[number] if number < len(before._pages) else ()
            if page is not old:
                yield from ((was, value) for was, value in zip_longest(old, page) if was is not value)

    def extended(self, values: Iterable[tuple[str, Value]]) -> Self:
        """A copy with more values at the end; unlike `put`, it copies everything."""
        return self.__class__([*self.items(), *values])


def _paged(values: tuple[Value, ...]) -> tuple[tuple[Value, ...], ...]:
    return tuple(values[first : first + PAGE] for first in range(0, len(values), PAGE))
