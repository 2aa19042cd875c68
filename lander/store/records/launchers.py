"""The launchers, as the log has them: which engine starts workers, which of its jobs are there, and what it last said."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from lander.protocol import events as e
from lander.protocol.text import one_line
from lander.protocol.wire import read_event
from lander.store.log.reader import Reader

_EVENTS: Final = (
    "SELECT s.name, e.kind, e.body FROM streams s JOIN events e ON e.stream = s.id"
    " WHERE s.name >= 'launcher:' AND s.name < 'launcher;' ORDER BY e.position"
)
_HOSTS: Final = "SELECT name FROM streams WHERE name >= 'host:' AND name < 'host;'"


@dataclass(frozen=True, kw_only=True, slots=True)
class LauncherRecord:
    """A launcher: its engine, the most workers it may have, and its jobs by name, each with what the engine calls it.

    `ended` are the jobs that are over. Of the others, `starting` have no worker yet, of which `waiting` wait in the engine.
    `detail` is what the engine last said, in its own words.
    """

    name: str
    engine: str = ""
    max_workers: int = 0
    jobs: Mapping[str, str] = field(default_factory=dict)
    ended: frozenset[str] = frozenset()
    starting: int = 0
    waiting: int = 0
    detail: str = ""
    given_up: bool = False
    retired: bool = False

    @property
    def in_use(self) -> bool:
        """It may start workers."""
        return not self.retired and self.max_workers > 0

    @property
    def remark(self) -> str:
        """What there is to say of it in one line; empty if all is well."""
        words = f": {one_line(self.detail)}" if self.detail else ""
        if self.given_up:
            return f"launcher {self.name} is given up{words}; --on {self.name} tries it again"
        if self.waiting:
            return f"launcher {self.name}: {self.waiting} job{'s wait' if self.waiting != 1 else ' waits'}{words}"
        if not words and self.starting:
            words = f": {self.starting} worker{'s start' if self.starting != 1 else ' starts'}"
        return f"launcher {self.name}{words}" if words and self.in_use else ""


def launchers(reader: Reader) -> list[LauncherRecord]:
    """Every launcher that was ever in use, in that order."""
    found: dict[str, LauncherRecord] = {}
    over: dict[str, set[str]] = {}  # beside the records, as a copy of so many for each event would take ever longer
    for stream, kind, body in reader.connection.execute(_EVENTS):
        name, event = stream.partition(":")[2], read_event(kind, body)
        found[name] = _after(found.get(name) or LauncherRecord(name=name), event)
        if isinstance(event, e.WorkerJobEnded):
            over.setdefault(name, set()).add(event.job)
    hosts = {name.partition(":")[2] for (name,) in reader.connection.execute(_HOSTS)} if found else set()
    return [  # older logs have a name more than once: it is over only if no job has it now
        replace(each, starting=len(each.jobs.keys() - hosts), ended=frozenset(over.get(name, ())) - each.jobs.keys())
        for name, each in found.items()
    ]


def _after(record: LauncherRecord, event: Any) -> LauncherRecord:
    """The record after an event, but for the jobs that are over."""
    match event:
        case e.LauncherConfigured(engine=engine, max_workers=most):
            return replace(record, engine=engine, max_workers=most, detail="", given_up=False, retired=False)
        case e.LauncherRetired():
            return replace(record, retired=True, detail="", waiting=0)
        case e.WorkersLaunched(names=names, ids=ids):
            return replace(record, jobs={**record.jobs, **dict(zip(names, ids, strict=True))})
        case e.LaunchFailed(detail=detail):
            return replace(record, detail=detail)
        case e.LauncherGivenUp():
            return replace(record, given_up=True)
        case e.WorkerJobEnded(job=job, detail=detail, failed=failed):
            left = {name: id for name, id in record.jobs.items() if name != job}
            said = detail if failed else record.detail
            return replace(record, jobs=left, detail=said)
        case e.EngineReported(waiting=waiting, detail=detail):
            return replace(record, waiting=waiting, detail=detail)
        case _:
            return record
