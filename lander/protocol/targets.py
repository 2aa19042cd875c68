"""TARGETs, `EXPERIMENT[/ARM[/SEED]]`: what they match, and what is said of one that was deleted or never was."""

from collections.abc import Iterable, Iterator
from typing import Final

MOST_NEAR: Final = 3
"""Names that are suggested for one that is unknown."""


def matches(target: str, name: str) -> bool:
    """Whether the experiment or run `name` is the target, or lies below it."""
    return name == target or name.startswith(f"{target}/")


def was_deleted(target: str, at: int) -> str:
    """That the experiment of a target was deleted, at a time in microseconds since 1970."""
    from datetime import UTC, datetime  # `status` imports this module, and rarely needs it

    return f"{target.partition('/')[0]}: was deleted on {datetime.fromtimestamp(at / 1e6, UTC):%Y-%m-%d %H:%M} UTC"


def targets_of(runs: Iterable[str]) -> list[str]:
    """Every target that there is, given all runs: each experiment, arm and run once."""
    return list(dict.fromkeys(target for run in runs for target in _levels(run)))


def _levels(run: str) -> Iterator[str]:
    parts = run.split("/")
    return ("/".join(parts[:depth]) for depth in range(1, len(parts) + 1))


def nearest(target: str, known: Iterable[str]) -> list[str]:
    """At most `MOST_NEAR` known targets that may be meant, the closest first.

    For `small/v` where there is a `small`: those arms of it that are like `v`, or else any, or `small` if only experiments are
    known. Where there is none: what is like it and of the same depth, or else what it lies below, what is called so within
    another, and what is like it at all.
    """
    known, target = list(known), target.rstrip("/")
    parent, _, last = target.rpartition("/")
    if parent in known:
        below = [name for name in known if name.rpartition("/")[0] == parent]
        near = [f"{parent}/{name}" for name in _alike(last, [name.rpartition("/")[2] for name in below])] or below or [parent]
    else:
        same = [name for name in known if name.count("/") == target.count("/")]
        above = [name for name in reversed(known) if matches(name, target)]
        within = [name for name in known if name.endswith(f"/{target}")]
        near = _alike(target, same) or [*above, *within, *_alike(target, known)]
    return list(dict.fromkeys(near))[:MOST_NEAR]


def _alike(text: str, names: list[str]) -> list[str]:
    """The names that begin with the text, the shortest first, then those that resemble it, the most similar first."""
    from difflib import get_close_matches

    begun = sorted((name for name in names if text and name.startswith(text)), key=len)
    return [*begun, *get_close_matches(text, names, n=MOST_NEAR)]


def meant(target: str, known: Iterable[str]) -> str:
    """`; did you mean …?` with the nearest known targets; empty if none is near."""
    near = nearest(target, known)
    return f"; did you mean {', '.join(near)}?" if near else ""
