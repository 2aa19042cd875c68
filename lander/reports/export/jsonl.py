"""The events themselves, one JSON object per line, without superseded ones."""

import json
from pathlib import Path

from lander.protocol.events import SUPERVISOR, Event
from lander.reports.export.plain import moment, plain
from lander.store.log.reader import Reader, StoredEvent
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

    Numbers that JSON cannot represent are text: "NaN", "Infinity", "-Infinity".
    """
    return _line(stored, stored.decode())


def _line(stored: StoredEvent, event: Event) -> str:
    place = {name: getattr(stored, name) for name in ("position", "stream", "producer", "seq", "kind")}
    fields = {name: plain(value) for name, value in event}
    return json.dumps({**place, "at": moment(stored.at), **fields}, ensure_ascii=False, allow_nan=False)
