"""Read-only access to the log and its projections through SQLite, without contacting the supervisor.

It uses plain `sqlite3`, not aiosqlite, and loads pydantic only to decode events: readers are short programs that must start
fast.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from lander.protocol.errors import HomeError, NotFoundError, StoreError
from lander.protocol.states import QUARANTINED, TERMINAL, RunState
from lander.protocol.targets import matches, meant, targets_of, was_deleted
from lander.protocol.text import named
from lander.store.log.schema import NOT_ERASED
from lander.store.log.stored_events import OF_TARGET, StoredEvent, consequential
from lander.store.log.tombstones import tombstone

if TYPE_CHECKING:
    from lander.protocol.events import Execution, ExperimentSubmitted
    from lander.protocol.experiment import Experiment
    from lander.store.log.plans import Plan

DATABASE: Final = "events.db"
"""The file name of the event store in the home."""
SCHEMA_VERSION: Final = 6

_PAGE: Final = 1024


class Episode(NamedTuple):
    """A finished episode that counts: the run's timestep at its end, its length in steps, its return."""

    last_step: int
    length: int
    episode_return: float


def open_reader(path: Path) -> sqlite3.Connection:
    """A read-only connection; raises `HomeError` if there is no readable event store at `path`."""
    connection = None
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA busy_timeout = 5000")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        check_version(version, path)
    except (sqlite3.Error, HomeError) as error:
        if connection is not None:
            connection.close()
        if isinstance(error, HomeError):
            raise
        raise HomeError(f"{path}: cannot be read as an event store: {error}") from error
    return connection


def check_version(version: int, path: Path) -> None:
    """Raise `HomeError` if this version cannot use a file with this schema version."""
    if version > SCHEMA_VERSION:
        raise HomeError(f"{path}: written by a newer version (schema {version}, known {SCHEMA_VERSION}); upgrade lander-ctl")
    if version < 1:
        raise HomeError(f"{path}: not an event store")
    if version < SCHEMA_VERSION:
        raise HomeError(f"{path}: written by an older version (schema {version}); lander-ctl up brings it up to date")


class Reader:
    """The current log, read anew at every call; use as a context manager.

    Raises `NotFoundError` if the home has no event store yet. A `connection` replaces the home's file (`rebuild` uses it).
    """

    def __init__(self, home: Path, connection: sqlite3.Connection | None = None) -> None:
        path = home / DATABASE
        if connection is None and not path.exists():
            raise NotFoundError(f"{home}: nothing recorded here yet; is --home right?")
        self.home = home
        self.connection = open_reader(path) if connection is None else connection

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.connection.close()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All reads inside see the same moment."""
        if self.connection.in_transaction:
            yield
            return
        self.connection.execute("BEGIN")
        try:
            yield
        finally:
            self.connection.execute("COMMIT")

    def position(self) -> int:
        """The position of the last event."""
        (position,) = self.connection.execute("SELECT position FROM bookmark").fetchone()
        return int(position)

    def events(
        self, target: str | None = None, kinds: Sequence[str] = (), after: int = 0, until: int | None = None
    ) -> Iterator[StoredEvent]:
        """The events after position `after`, of a target and of kinds if given; fetched page by page.

        Those that were erased are left out.
        """
        from lander.protocol.upcasters import stored_kinds

        streams = self._streams(target)
        if target is not None and not streams:
            raise NotFoundError(self._unknown_target(target))
        condition, values = "", list[object]()
        for column, allowed in (("stream", streams if target is not None else ()), ("kind", stored_kinds(*kinds))):
            if allowed:
                condition += f" AND e.{column} IN ({', '.join('?' * len(allowed))})"
                values.extend(allowed)
        query = (
            "SELECT e.position, s.name, e.producer, e.seq, e.kind, e.at, e.body FROM events e JOIN streams s ON s.id = e.stream"
            f" WHERE e.position > ? AND e.position <= ? AND {NOT_ERASED}{condition} ORDER BY e.position LIMIT {_PAGE}"
        )
        last = until if until is not None else self.position()
        # One statement per page, because an open statement would keep the write-ahead log from shrinking while a caller reads.
        while page := self.connection.execute(query, [after, last, *values]).fetchall():
            yield from (StoredEvent(*row) for row in page)
            after = page[-1][0]

    def experiments(self) -> list[str]:
        """The ids of all experiments, in the order in which they were submitted."""
        return [name for (name,) in self.connection.execute("SELECT id FROM experiments ORDER BY submitted")]

    def quarantined(self) -> list[str]:
        """The ids of the experiments that are quarantined."""
        rows = self.connection.execute("SELECT id FROM experiments WHERE state = ? ORDER BY submitted", (QUARANTINED,))
        return [name for (name,) in rows]

    def quarantine(self, experiment: str) -> str | None:
        """Why an experiment is quarantined: the first of its events that cannot be read; None if it is not."""
        row = self.connection.execute("SELECT state FROM experiments WHERE id = ?", (experiment,)).fetchone()
        if row is None or row[0] != QUARANTINED:
            return None
        return next(self.unreadable(experiment), "an event of it could not be read; lander-ctl up looks again")

    def unreadable(self, target: str | None = None) -> Iterator[str]:
        """What is wrong with each event of consequence, of a target if given, that this version cannot read."""
        return (recorded.problem for recorded in consequential(self.connection, target) if recorded.problem)

    def _refuse_quarantined(self, experiment: str) -> None:
        if why := self.quarantine(experiment):
            raise StoreError(f"{experiment}: quarantined, since {why}")

    def deleted_at(self, target: str) -> int | None:
        """When the experiment of a target was deleted (microseconds since 1970); None if it was not."""
        found = tombstone(self.connection, target.partition("/")[0])
        return None if found is None else found.at

    def plans(self, name: str) -> "list[Plan]":
        """Every plan of the experiment since its submission.

        Raises `NotFoundError` with the nearest ids, and `StoreError` if the experiment is quarantined.
        """
        from lander.store.log.plans import PLANS_OF_ONE, plans

        self._refuse_quarantined(name)
        found = plans(self.connection.execute(PLANS_OF_ONE, (name,)).fetchall()) if self.deleted_at(name) is None else []
        if not found:
            raise NotFoundError(self._unknown_experiment(name))
        return found

    def require(self, experiment: str) -> None:
        """Raise as `plans` does if there is no such experiment."""
        self._refuse_quarantined(experiment)
        if experiment not in self.experiments():
            raise NotFoundError(self._unknown_experiment(experiment))

    def experiment(self, name: str) -> "Experiment":
        """The current experiment, with all changes since its submission; raises as `plans` does."""
        return self.plans(name)[-1].experiment

    def execution(self, name: str) -> "Execution":
        """The current execution of the experiment; raises as `plans` does."""
        return self.plans(name)[-1].execution

    def submission(self, name: str) -> "ExperimentSubmitted":
        """The submission under this id; raises as `plans` does."""
        from lander.protocol.events import ExperimentSubmitted
        from lander.protocol.wire import decode_event

        self._refuse_quarantined(name)
        row = self.connection.execute(
            "SELECT e.kind, e.body FROM experiments x JOIN events e ON e.position = x.submitted WHERE x.id = ?", (name,)
        ).fetchone()
        event = None if row is None else decode_event(*row)
        if not isinstance(event, ExperimentSubmitted):
            raise NotFoundError(self._unknown_experiment(name))
        return event

    def episodes(self, run: str) -> list[Episode]:
        """The run's finished episodes that count, in the order they finished."""
        rows = self.connection.execute(
            'SELECT e.last_step, e.length, e."return" FROM episodes e JOIN progress p ON p.id = e.run'
            " WHERE p.run = ? ORDER BY e.number",
            (run,),
        )
        return [Episode(step, length, float("nan") if value is None else value) for step, length, value in rows]

    def runs(self, target: str) -> list[str]:
        """The ids of the target's runs, in order; raises as `plans` does, with the nearest targets."""
        self._refuse_quarantined(target.split("/", 1)[0])
        rows = self.connection.execute("SELECT run FROM progress WHERE experiment = ? ORDER BY id", (target.split("/", 1)[0],))
        found = [run for (run,) in rows if matches(target, run)]
        if not found:
            raise NotFoundError(self._unknown_target(target))
        return found

    def unfinished(self, target: str | None = None) -> list[str]:
        """The runs of a target, or all runs, that have not ended; empty for a target that does not exist."""
        return [run for run, state in self.states(target).items() if state not in TERMINAL]

    def under_way(self, target: str | None = None) -> list[str]:
        """The unfinished runs that continue without a command: all except the paused."""
        return [run for run, state in self.states(target).items() if state not in TERMINAL and state != "paused"]

    def states(self, target: str | None = None) -> dict[str, RunState]:
        """The state of each run of a target, or of all runs; nothing is known of those of quarantined experiments."""
        rows = self.connection.execute(
            "SELECT p.run, p.state FROM progress p JOIN experiments x ON x.id = p.experiment WHERE x.state <> ? ORDER BY p.id",
            (QUARANTINED,),
        )
        return {run: state for run, state in rows if target is None or matches(target, run)}

    def models(self, experiment: str) -> dict[str, Path]:
        """The final models that an experiment's runs have saved, by run."""
        rows = self.connection.execute(
            "SELECT run, model FROM progress WHERE experiment = ? AND model IS NOT NULL ORDER BY id", (experiment,)
        )
        return {run: self.home / model for run, model in rows}

    def stream(self, name: str) -> int:
        """The number of one stream; raises `NotFoundError` with the nearest names, and for what was deleted."""
        row = self.connection.execute("SELECT id FROM streams WHERE name = ?", (name,)).fetchone()
        if row is None or self.deleted_at(name) is not None:
            raise NotFoundError(self._unknown("run", name, self._runs()))
        return int(row[0])

    def _streams(self, target: str | None) -> list[int]:
        if target is None:
            return []
        rows = self.connection.execute(f"SELECT s.id FROM streams s WHERE {OF_TARGET}", (target,))
        return [number for (number,) in rows]

    def _runs(self) -> list[str]:
        return [run for (run,) in self.connection.execute("SELECT run FROM progress ORDER BY id")]

    def _unknown_experiment(self, name: str) -> str:
        return self._unknown("experiment", name, self.experiments())

    def _unknown_target(self, target: str) -> str:
        return self._unknown("experiment or run", target, [*self.experiments(), *targets_of(self._runs())])

    def _unknown(self, what: str, name: str, known: Sequence[str]) -> str:
        """That there is no such thing, with those that may be meant; or that its experiment was deleted."""
        if (at := self.deleted_at(name)) is not None:
            return was_deleted(name, at)
        return f"{named(name)}: no such {what}{meant(name, known)}"
