"""What people said about an experiment: its tags, notes and amended hypotheses, from the projections."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from lander.store.log.reader import Reader


@dataclass(frozen=True, kw_only=True, slots=True)
class Remark:
    """A note or an amended hypothesis: when (ISO 8601, UTC), by whom, and whether training steps had been recorded by then."""

    at: str
    operator: str
    text: str
    after_results: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Remarks:
    """What was said about an experiment, the oldest first; `archived` is since when, None unless it is archived."""

    archived: str | None = None
    tags: tuple[str, ...] = ()
    notes: tuple[Remark, ...] = ()
    amendments: tuple[Remark, ...] = ()


_OF_ALL: Final = """
    SELECT x.id, x.archived_at, x.tags, r.kind, r.at, r.operator, r.text, r.after_results
    FROM experiments x LEFT JOIN remarks r ON r.experiment = x.id
"""
_OF_ONE: Final = f"{_OF_ALL} WHERE x.id = ? ORDER BY r.position"


def remarks(reader: Reader, experiment: str) -> Remarks:
    """What was said about an experiment; nothing if it does not exist."""
    return _by_experiment(reader.connection.execute(_OF_ONE, (experiment,))).get(experiment, Remarks())


def remarks_of_all(reader: Reader) -> dict[str, Remarks]:
    """What was said about each experiment, by id."""
    return _by_experiment(reader.connection.execute(f"{_OF_ALL} ORDER BY r.position"))


def archived(reader: Reader) -> int:
    """How many experiments are archived."""
    (count,) = reader.connection.execute("SELECT count(archived_at) FROM experiments").fetchone()
    return int(count)


def _by_experiment(rows: Iterable[tuple[Any, ...]]) -> dict[str, Remarks]:
    found: dict[str, tuple[int | None, str, list[Any]]] = {}
    for experiment, archived_at, tags, *remark in rows:
        found.setdefault(experiment, (archived_at, tags, []))[2].append(remark)
    return {experiment: _remarks(*each) for experiment, each in found.items()}


def _remarks(archived_at: int | None, tags: str, rows: list[Any]) -> Remarks:
    return Remarks(
        archived=None if archived_at is None else moment(archived_at),
        tags=tuple(tags.split()),
        notes=tuple(_remark(*rest) for kind, *rest in rows if kind == "note"),
        amendments=tuple(_remark(*rest) for kind, *rest in rows if kind == "hypothesis"),
    )


def _remark(at: int, operator: str, text: str, after_results: int) -> Remark:
    return Remark(at=moment(at), operator=operator, text=text, after_results=bool(after_results))


def moment(at: int) -> str:
    """A time in microseconds since 1970, in UTC: `2026-03-01T12:00:00Z`."""
    return f"{datetime.fromtimestamp(at // 1_000_000, UTC):%Y-%m-%dT%H:%M:%SZ}"
