"""The readable journal: writes every decision to the supervisor's log and to its experiment's log."""

import contextlib
import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from lander.home.layout import experiment_log
from lander.protocol.events import Event
from lander.protocol.text import cut, one_line

LOG: Final = logging.getLogger(__name__)


def write(home: Path, events: Iterable[tuple[str, Event]]) -> None:
    """Log the events of a decision, one line each with its stream."""
    for stream, event in events:
        line = one_line(cut(f"{stream}: {_describe(event)}"))
        LOG.info("%s", line)
        if ":" not in stream:  # a host's stream (`host:local`) belongs to no experiment
            _append(experiment_log(home, stream.partition("/")[0]), line)


def _append(path: Path, line: str) -> None:
    with contextlib.suppress(OSError):  # a full disk must not prevent the decision
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as log:
            log.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {line}\n")


def _describe(event: Event) -> str:
    fields = event.model_dump(exclude_defaults=True, exclude={"experiment", "manifest", "detail"})
    return " ".join([event.kind, *(f"{name}={value}" for name, value in fields.items())])
