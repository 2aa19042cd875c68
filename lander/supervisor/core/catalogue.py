"""A mapping that is never changed in place and yet costs little to change: another one shares all but a page with it.

The state holds ten thousand runs and is replaced at every event; copying a dictionary of that size each time would make a
submission take as many seconds.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Generic, Self, TypeVar

PAGE: Final = 64
"""Values in a page: with ten thousand of them, putting one copies 64 values and 157 pages."""
Value = TypeVar("Value")


class Catalogue(Mapping[str, Value], Generic[Value]):
    """Values by name, in the order in which their names came."""

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
        """The catalogue with this value in the place of the one there; raises `KeyError` for a name it does not hold."""
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

    def extended(self, values: Iterable[tuple[str, Value]]) -> Self:
        """The catalogue with more values at its end; this one costs what it holds."""
        return self.__class__([*self.items(), *values])


def _paged(values: tuple[Value, ...]) -> tuple[tuple[Value, ...], ...]:
    return tuple(values[first : first + PAGE] for first in range(0, len(values), PAGE))
