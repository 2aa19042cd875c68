"""The files of saved models that are kept by their content, so that a run can go on with them on another machine."""

from lander.protocol.events import ModelSaved
from lander.store.log.reader import Reader


def model_files(reader: Reader) -> set[str]:
    """The SHA-256 of each: of a run that has ended those of its last models, of any other run those of all."""
    unfinished = set(reader.unfinished())
    last: dict[tuple[str, str], set[str]] = {}
    found: set[str] = set()
    for stored in reader.events(kinds=(ModelSaved.kind,)):
        event = stored.decode()
        if isinstance(event, ModelSaved):
            files = {event.sha256, *([event.statistics] if event.statistics is not None else [])}
            last[stored.stream, event.which] = files
            if stored.stream in unfinished:
                found |= files
    return found.union(*last.values())
