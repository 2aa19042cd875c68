"""The hash chain over commits: each link covers one whole commit and, through the previous link, all earlier ones.

It reveals a changed, missing, added or reordered event. A link is a SHA-256 over the previous link, the new streams, and each
row with the SHA-256 of its body in place of the body. So a log still verifies after bodies were erased: `erased` keeps their
digests.

A link begins with the number of its rule. Links without it are of the first rule, which covered the bodies themselves: such a
section can only be verified while all its bodies are there. Before the first of them is erased, the section is verified and
`LogReanchored` records the link that the rule of today gives it. From then on the section is verified by that.
"""

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import msgpack

from lander.protocol.errors import StoreError
from lander.protocol.events import LOG_STREAM, LogReanchored
from lander.protocol.wire import decode_event

GENESIS: Final = bytes(32)
"""The link before the first commit."""
_RULE: Final = b"\x02"
_FIRST_RULE_BYTES: Final = 32
"""The length of a link of the first rule, which has no number."""
_MAX_NAMED: Final = 3

Row = tuple[int, int, int, int, str, int, bytes]
"""position, stream, producer, seq, kind, at, body: a row of `events`. In a sealed row the body's digest takes its place."""


class _Commit(NamedTuple):
    """A commit as it is stored: its rows, the same rows sealed, and the streams that appear in it for the first time."""

    first: int
    last: int
    link: bytes
    streams: list[tuple[int, str]]
    rows: list[Row]
    sealed: list[Row]

    @property
    def is_whole(self) -> bool:
        """Whether no position is missing."""
        return len(self.rows) == self.last - self.first + 1

    @property
    def by_first_rule(self) -> bool:
        return len(self.link) == _FIRST_RULE_BYTES

    def follows(self, previous: bytes) -> bool:
        """Whether this is what was sealed after the previous link."""
        rule = _first_link(previous, self.streams, self.rows) if self.by_first_rule else self.link_after(previous)
        return self.is_whole and rule == self.link

    def link_after(self, previous: bytes) -> bytes:
        """The link by the rule of today, whatever the rule of the stored one."""
        return _link(previous, self.streams, self.sealed)


def link(previous: bytes, new_streams: Sequence[tuple[int, str]], rows: Sequence[Row]) -> bytes:
    """The link over these rows, and over the names of the streams that appear in them for the first time."""
    return _link(previous, new_streams, [(*row[:6], hashlib.sha256(row[6]).digest()) for row in rows])


def _link(previous: bytes, new_streams: Sequence[tuple[int, str]], sealed: Sequence[Row]) -> bytes:
    """msgpack writes type and length before every value, so two different contents never give the same bytes."""
    return _RULE + hashlib.sha256(previous + msgpack.packb((new_streams, sealed))).digest()


def _first_link(previous: bytes, new_streams: Sequence[tuple[int, str]], rows: Sequence[Row]) -> bytes:
    return hashlib.sha256(previous + msgpack.packb((new_streams, rows))).digest()


def verify(connection: sqlite3.Connection) -> int:
    """Check the whole chain; returns the last covered position, raises `StoreError` naming the first bad commit."""
    anchor = reanchored(connection)
    previous = section = GENESIS
    last, open_anchor = 0, anchor
    for commit in _commits(connection):
        if anchor is not None and commit.by_first_rule and commit.last <= anchor.last_position:
            section = commit.link_after(section + commit.link)
            if commit.last == anchor.last_position:
                open_anchor = None
                if (commit.link.hex(), _bare(section)) != (anchor.head, anchor.link):
                    raise _broken(1, commit.last, "a part that was re-anchored")
            intact = commit.is_whole
        else:
            intact = commit.follows(previous)
        if not intact:
            raise _broken(commit.first, commit.last, _names(connection, commit))
        previous, last = commit.link, commit.last
    if open_anchor is not None:
        raise _broken(1, open_anchor.last_position, "a part that was re-anchored")
    (events,) = connection.execute("SELECT count(*) FROM events").fetchone()
    if events != last:
        raise StoreError(f"{events - last} events after position {last} are not sealed by the hash chain")
    return last


def reanchored(connection: sqlite3.Connection) -> LogReanchored | None:
    """How the section of the first rule was re-anchored; None if it was not."""
    row = connection.execute(
        "SELECT e.kind, e.body FROM streams s JOIN events e ON e.stream = s.id WHERE s.name = ? AND e.kind = ? ORDER BY e.seq",
        (LOG_STREAM, LogReanchored.kind),
    ).fetchone()
    event = None if row is None else decode_event(*row)
    return event if isinstance(event, LogReanchored) else None


def last_of_first_rule(connection: sqlite3.Connection) -> int:
    """The last position that is covered by a link of the first rule; 0 if there is none."""
    query = "SELECT coalesce(max(last_position), 0) FROM commits WHERE length(chain) = ?"
    return int(connection.execute(query, (_FIRST_RULE_BYTES,)).fetchone()[0])


def reanchor(connection: sqlite3.Connection) -> LogReanchored:
    """Verify the section of the first rule, and give it a link of today's; raises `StoreError` if it was altered.

    The new link covers the links that it replaces, too.
    """
    until = last_of_first_rule(connection)
    previous = section = GENESIS
    for commit in _commits(connection, until):
        if not commit.follows(previous):
            raise _broken(commit.first, commit.last, _names(connection, commit))
        section = commit.link_after(section + commit.link)
        previous = commit.link
    return LogReanchored(last_position=until, head=previous.hex(), link=_bare(section))


def _bare(of_today: bytes) -> str:
    """A link of today's rule in hex, without the number of the rule."""
    return of_today.removeprefix(_RULE).hex()


def _commits(connection: sqlite3.Connection, until: int | None = None) -> Iterator[_Commit]:
    names = dict(connection.execute("SELECT id, name FROM streams"))
    seen: set[int] = set()
    first = 1
    commits = "SELECT last_position, chain FROM commits WHERE ?1 IS NULL OR last_position <= ?1 ORDER BY last_position"
    for last, stored in connection.execute(commits, (until,)):
        found = connection.execute(
            "SELECT e.position, e.stream, e.producer, e.seq, e.kind, e.at, e.body, x.sha256"
            " FROM events e LEFT JOIN erased x ON x.position = e.position"
            " WHERE e.position BETWEEN ? AND ? ORDER BY e.position",
            (first, last),
        ).fetchall()
        appeared = list(dict.fromkeys(row[1] for row in found if row[1] not in seen))
        seen.update(appeared)
        streams = [(stream, names.get(stream, "")) for stream in appeared]
        yield _Commit(first, last, stored, streams, [row[:7] for row in found], [_sealed(row) for row in found])
        first = last + 1


def _sealed(row: tuple[int, int, int, int, str, int, bytes, bytes | None]) -> Row:
    """The row as a link covers it; an erased body has the digest that was kept, and none if that is missing."""
    body, kept = row[6:]
    return (*row[:6], hashlib.sha256(body).digest() if body else kept or b"")


def _names(connection: sqlite3.Connection, commit: _Commit) -> str:
    """The streams of a commit."""
    names = dict(connection.execute("SELECT id, name FROM streams"))
    found = list(dict.fromkeys(str(names.get(row[1], "a stream without a name")) for row in commit.rows))
    return ", ".join(found[:_MAX_NAMED]) + (" …" if len(found) > _MAX_NAMED else "") or "nothing is there"


def _broken(first: int, last: int, what: str) -> StoreError:
    return StoreError(f"the hash chain breaks between positions {first} and {last} ({what}): the log was altered")
