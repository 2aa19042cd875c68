"""The integrity of a home: file, schema, hash chain, sequences, events, deletions, projections, artifacts.

It never writes. The log is read in one transaction, so that a supervisor may continue meanwhile; files are hashed afterwards.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import zip_longest
from pathlib import Path
from typing import Final, NamedTuple

from lander.home.layout import artifact_path
from lander.home.regular_file import NotRegularError, sha256_of
from lander.protocol.errors import HomeError, LanderError
from lander.protocol.events import TELEMETRY_KINDS, Unreadable, experiment_of
from lander.store.log import chain, schema
from lander.store.log.reader import Reader
from lander.store.projections.projections import TABLES
from lander.store.projections.rebuild import rebuild
from lander.store.records.checkpoint_record import checkpoints_by_run
from lander.store.records.run_code import archives
from lander.store.records.run_record import Record
from lander.store.upkeep.erased_events import verify_erased
from lander.store.upkeep.retention import expected_missing

_MAX_NAMED: Final = 3


class Finding(NamedTuple):
    """The result for one part; `detail` says what was checked, or what is wrong."""

    part: str
    ok: bool
    detail: str


class Reference(NamedTuple):
    """A file that the log names, the SHA-256 it must have, and the owner that names it."""

    path: Path
    sha256: str
    of: str


CheckProgress = Callable[[str, int, int], object]
"""Called with (part, units done, units in all), to show the progress of a long check."""


class _PartError(Exception):
    """A part is wrong."""


def check(home: Path, progress: CheckProgress = lambda part, done, of: None) -> Iterator[Finding]:
    """Yield a finding for each part as soon as it is checked; raises `NotFoundError` if there is no log."""
    try:
        opened = Reader(home)
    except HomeError as error:
        yield Finding("file", False, str(error))
        return
    with opened as reader:
        reader.connection.execute("BEGIN")
        parts: dict[str, Callable[[], str]] = {
            "file": lambda: _file(reader.connection),
            "schema": lambda: _schema(reader.connection),
            "hash chain": lambda: _chain(reader.connection),
            "sequences": lambda: _sequences(reader.connection),
            "events": lambda: _events(reader),
            "deletions": lambda: verify_erased(reader.connection),
            "projections": lambda: _projections(reader, progress),
        }
        for part, check_part in parts.items():
            yield _finding(part, check_part)
        try:
            artifacts, models = _artifacts(reader), completed_models(reader)
            reader.connection.execute("COMMIT")
        except Exception as error:  # as in `_finding`
            yield Finding("artifacts", False, _describe(error))
            return
        yield _finding("artifacts", lambda: _files("artifacts", artifacts, lambda: _artifacts(reader), progress))
        yield _finding("models", lambda: _files("models", models, lambda: completed_models(reader), progress))


def _finding(part: str, check_part: Callable[[], str]) -> Finding:
    try:
        return Finding(part, True, check_part())
    except Exception as error:  # a damaged file can raise anything: invalid text, references to missing rows
        return Finding(part, False, _describe(error))


def _describe(error: Exception) -> str:
    expected = isinstance(error, (_PartError, LanderError, sqlite3.Error, OSError))
    return str(error) if expected else f"cannot be read: {type(error).__name__}: {error}"


# --- the log ----------------------------------------------------------------------------------------------------------


def _file(connection: sqlite3.Connection) -> str:
    problems = [text for (text,) in connection.execute("PRAGMA integrity_check(3)")]
    if problems != ["ok"]:
        raise _PartError(f"SQLite finds it damaged: {'; '.join(problems)}")
    (pages,), (size,) = (connection.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "page_size"))
    return f"{pages * size / 1e6:,.1f} MB, read without an error"


def _schema(connection: sqlite3.Connection) -> str:
    found = schema.definitions(connection)
    with closing(sqlite3.connect(":memory:")) as fresh:
        fresh.executescript(schema.script())
        wanted = schema.definitions(fresh)
    missing, added = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
    changed = sorted(key for key in wanted.keys() & found.keys() if wanted[key] != found[key])
    for word, keys in (("missing", missing), ("not ours", added), ("changed", changed)):
        if keys:
            raise _PartError(f"{word}: {', '.join(f'{kind} {name}' for kind, name, _ in keys)}")
    return f"{len(found)} tables, indexes and triggers as they should be"


def _chain(connection: sqlite3.Connection) -> str:
    sealed = chain.verify(connection)
    (bookmark,) = connection.execute("SELECT position FROM bookmark").fetchone()
    if bookmark != sealed:
        raise _PartError(f"the log ends at position {sealed}, but position {bookmark} was reached: its end was cut off")
    (commits,) = connection.execute("SELECT count(*) FROM commits").fetchone()
    anchor = chain.reanchored(connection)
    anew = f"; re-anchored once, up to position {anchor.last_position:,}" if anchor is not None else ""
    return f"{sealed:,} events in {commits:,} commits, each as it was sealed{anew}"


def _sequences(connection: sqlite3.Connection) -> str:
    rows = connection.execute(
        "SELECT s.name, e.producer, min(e.seq), max(e.seq), count(*)"
        " FROM events e LEFT JOIN streams s ON s.id = e.stream GROUP BY e.stream, e.producer"
    ).fetchall()
    for name, producer, first, last, count in rows:
        if name is None:
            raise _PartError("events belong to a stream that has no name")
        if (first, last) != (1, count):
            raise _PartError(f"{name}: of producer {producer} there are {count} events, numbered {first} to {last}")
    return f"{len(rows):,} producers, every event numbered 1, 2, 3 …"


def _events(reader: Reader) -> str:
    """Every event is read, telemetry too. One that cannot be, of consequence, puts its experiment in quarantine."""
    unreadable: dict[str, str] = {}
    read = 0
    for stored in reader.events():
        read += 1
        if isinstance(event := stored.read(), Unreadable):
            subject = experiment_of(stored.stream) or stored.stream
            effect = "" if event.kind in TELEMETRY_KINDS else "is quarantined: "
            unreadable.setdefault(subject, f"{subject} {effect}event {stored.position} ({event.kind}): {event.problem}")
    if unreadable:
        raise _PartError("; ".join(unreadable.values()))
    return f"{read:,} events, each can be read"


def _projections(reader: Reader, progress: CheckProgress) -> str:
    with rebuild(reader, progress=lambda done, of: progress("projections", done, of)) as fresh:
        rows = sum(_compare(table, reader.connection, fresh.connection) for table in TABLES)
    return f"{rows:,} rows equal a rebuild from event 1"


def _compare(table: str, kept: sqlite3.Connection, fresh: sqlite3.Connection) -> int:
    """The number of rows of the table; the first one or two columns are its key."""
    names = [name for _, name, *_ in fresh.execute(f"PRAGMA table_info({table})")]
    query = "SELECT {} FROM {} ORDER BY 1, 2".format(", ".join(f'"{name}"' for name in names), table)
    rows = 0
    for ours, rebuilt in zip_longest(kept.execute(query), fresh.execute(query)):
        if ours != rebuilt:
            key = (ours or rebuilt)[:2]
            differing = [name for name, a, b in zip(names, ours or (), rebuilt or (), strict=False) if a != b]
            how = f"differs in {', '.join(differing)}" if differing else "is missing" if rebuilt else "does not belong there"
            raise _PartError(f"{table}: row {key} {how}; the events say otherwise")
        rows += 1
    return rows


# --- the files it names -----------------------------------------------------------------------------------------------


def _artifacts(reader: Reader) -> dict[Path, Reference]:
    code = {artifact_path(reader.home, sha256): (sha256, name) for sha256, name in archives(reader).items()}
    references = {path: Reference(path, sha256, f"the captured code of {name}") for path, (sha256, name) in code.items()}
    return references | _checkpoint_files(reader)


def _checkpoint_files(reader: Reader) -> dict[Path, Reference]:
    runs = checkpoints_by_run(reader)
    gone = expected_missing(reader.home, runs)
    return {
        path: Reference(path, sha256, f"the checkpoint of {run} at step {checkpoint.step}")
        for run, found in runs.items()
        for checkpoint in found.named
        for sha256 in checkpoint.files
        if (path := artifact_path(reader.home, sha256)).exists() or sha256 not in gone
    }


def completed_models(reader: Reader) -> dict[Path, Reference]:
    """The models of completed runs; a run that continues may replace its models during the check."""
    rows = reader.connection.execute("SELECT run FROM progress WHERE state = 'completed' ORDER BY id")
    return {
        path: Reference(path, saved.sha256, f"the {saved.which} model of {run}")
        for (run,) in rows
        for saved in Record(reader, run).models()
        for path in (reader.home / saved.path,)
    }


def _files(part: str, named: dict[Path, Reference], again: Callable[[], dict[Path, Reference]], progress: CheckProgress) -> str:
    """Hash every file. The wrong ones are looked up `again`, since log and files may both have changed meanwhile."""
    wrong = []
    for done, reference in enumerate(named.values()):
        progress(part, done, len(named))
        if _problem(reference):
            wrong.append(reference.path)
    now = again() if wrong else {}
    problems = [problem for path in wrong if path in now and (problem := _problem(now[path]))]
    if problems:
        rest = f" and {len(problems) - _MAX_NAMED} more" if len(problems) > _MAX_NAMED else ""
        raise _PartError("; ".join(problems[:_MAX_NAMED]) + rest)
    size = sum(path.stat().st_size for path in named if path.exists())
    return f"{len(named):,} files, {size / 1e6:,.1f} MB, each as its name or the log says"


def _problem(reference: Reference) -> str:
    try:
        content = sha256_of(reference.path)
    except FileNotFoundError:
        return f"{reference.path} is missing: {reference.of}"
    except NotRegularError as error:
        return f"{error}: {reference.of}"
    return "" if content == reference.sha256 else f"{reference.path} is damaged: {reference.of}"


def is_intact(path: Path, sha256: str) -> bool:
    """Whether this is a regular file with this content."""
    try:
        return sha256_of(path) == sha256
    except OSError:
        return False
