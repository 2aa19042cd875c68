"""Draws the rooms of the package from its imports, into `docs/architecture.md`: `python docs/rooms.py`.

A room stands on a floor above every room that it imports. With `--check` nothing is written, and a drawing that is out of date
is an error.
"""

import sys
from pathlib import Path
from typing import Final

import grimp

PAGE: Final = Path(__file__).parent / "architecture.md"
BEGIN, END = "<!-- rooms: drawn by docs/rooms.py -->\n```text\n", "```\n<!-- end of rooms -->"


def arrows(package: str) -> dict[str, set[str]]:
    """Each child of a package with the children that it imports directly."""
    graph = grimp.build_graph("lander")
    found: dict[str, set[str]] = {child: set() for child in sorted(graph.find_children(package))}
    for child in found:
        for other in found:
            if child != other and graph.direct_import_exists(importer=child, imported=other, as_packages=True):
                found[child].add(other)
    return {child: others for child, others in found.items() if others or any(child in each for each in found.values())}


def floors(rooms: dict[str, set[str]]) -> list[list[str]]:
    """The rooms floor by floor, the ground first; raises `RecursionError` where there is a circle."""

    def floor(room: str) -> int:
        return 1 + max((floor(other) for other in rooms[room]), default=-1)

    levels = {room: floor(room) for room in rooms}
    return [[room for room in rooms if levels[room] == level] for level in range(max(levels.values(), default=-1) + 1)]


def drawn(package: str, indent: str = "") -> list[str]:
    """The lines of a package's drawing, the top floor first."""
    rooms = arrows(package)
    width = max((len(_name(room)) for room in rooms), default=0)
    lines = []
    for floor in reversed(floors(rooms)):
        for room in floor:
            below = ", ".join(_name(other) for other in sorted(rooms[room]))
            lines.append(f"{indent}{_name(room):{width}} {'──▶ ' + below if below else ''}".rstrip())
    return lines


def _name(room: str) -> str:
    return room.rpartition(".")[2]


def drawing() -> str:
    """The whole block: the rooms, and what is inside those that have rooms of their own."""
    graph = grimp.build_graph("lander")
    lines = drawn("lander")
    for room in sorted(graph.find_children("lander")):
        if any(graph.find_children(child) for child in graph.find_children(room)):
            lines += ["", f"{_name(room)}:", *drawn(room, "  ")]
    return BEGIN + "\n".join(lines) + "\n" + END


def main() -> int:
    """Writes the drawing, or checks it."""
    text = PAGE.read_text("utf-8")
    begin, end = text.index(BEGIN.partition("\n")[0]), text.index("<!-- end of rooms -->") + len("<!-- end of rooms -->")
    new = text[:begin] + drawing() + text[end:]
    if "--check" in sys.argv:
        return 0 if new == text else print("docs/architecture.md: the rooms are others by now: run python docs/rooms.py") or 1
    PAGE.write_text(new, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
