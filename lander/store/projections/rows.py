"""The rows of the projection tables, and the SQL that reads and writes them."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any

from lander.protocol.states import KnownState, RunState


@dataclass(slots=True)
class ExperimentRow:
    """A row of `experiments`."""

    id: str
    state: KnownState
    hypothesis: str
    submitted: int
    submitted_at: int
    ended_at: int | None = None
    environments: str = ""
    tags: str = ""
    archived_at: int | None = None
    results_at: int | None = None


@dataclass(slots=True)
class ProgressRow:
    """A row of `progress`: the current state of one run."""

    id: int
    run: str
    experiment: str
    arm: str
    seed: int
    total_steps: int
    state: RunState = "queued"
    cause: str | None = None
    detail: str | None = None
    why: str | None = None
    attempt: int = 0
    trained: int = 0
    resume: str | None = None
    host: str | None = None
    device: str | None = None
    pid: int | None = None
    step: int = 0
    episodes: int = 0
    started_at: int | None = None
    started_step: int = 0
    last_at: int | None = None
    evaluating: int | None = None
    model: str | None = None
    model_sha256: str | None = None


@dataclass(slots=True)
class ResourcesRow:
    """A row of `resources`: a run's latest measurement, and its highest measured memory."""

    run: int
    at: int
    cpu_percent: float
    memory_mb: float
    gpu_percent: float | None
    peak_memory_mb: float


def _columns(row_type: type[Any]) -> list[str]:
    return [field.name for field in fields(row_type)]


def values_of(row_type: type[Any]) -> Callable[[Any], tuple[Any, ...]]:
    """Reads the values of such a row in the order of its columns; `dataclasses.astuple` copies each of them, and is slow."""
    return attrgetter(*_columns(row_type))


def upsert(table: str, row_type: type[Any], key: str) -> str:
    names = _columns(row_type)
    update = ", ".join(f"{name} = excluded.{name}" for name in names if name != key)
    marks = ", ".join("?" * len(names))
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks}) ON CONFLICT ({key}) DO UPDATE SET {update}"


def select(table: str, row_type: type[Any]) -> str:
    """The query that reads a table in the order of its row type's fields."""
    return f"SELECT {', '.join(_columns(row_type))} FROM {table}"
