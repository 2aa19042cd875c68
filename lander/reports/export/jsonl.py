"""The events themselves, one JSON object per line, without superseded ones."""

import json
from pathlib import Path

from lander.protocol.events import SUPERVISOR, Event, Unreadable
from lander.protocol.text import printable
from lander.reports.export.plain import moment, plain
from lander.store.log.reader import Reader
from lander.store.log.stored_events import StoredEvent
from lander.store.records.run_record import Record


def write(reader: Reader, target: str, directory: Path) -> None:
    """Write `events.jsonl`: the events of a target in the order of the log, without superseded ones."""
    lineages = {run: Record(reader, run).lineage for run in reader.runs(target)}
    with (directory / "events.jsonl").open("w", encoding="utf-8") as file:
        for stored in reader.events(target):
            event = stored.decode()
            if stored.producer == SUPERVISOR or lineages[stored.stream].counts_event(stored.producer, event):
                file.write(_line(stored, event) + "\n")


def json_line(stored: StoredEvent) -> str:
    """An event as one JSON object: its place in the log, then all its fields.

    Numbers that JSON cannot represent are text: "NaN", "Infinity", "-Infinity". In place of the fields of an event that cannot
    be read, `unreadable` says why.
    """
    return printable(_line(stored, stored.read()))


def _line(stored: StoredEvent, event: Event | Unreadable) -> str:
    place = {name: getattr(stored, name) for name in ("position", "stream", "producer", "seq", "kind")}
    known = {"unreadable": event.problem} if isinstance(event, Unreadable) else dict(event)
    fields = {name: plain(value) for name, value in known.items()}
    return json.dumps({**place, "at": moment(stored.at), **fields}, ensure_ascii=False, allow_nan=False)
