"""How what people say about an experiment changes its row, and adds a remark. Part of the fold of `projections.py`."""

from typing import Any, Final

from lander.protocol import events as e
from lander.protocol.annotations import tags_after
from lander.store.projections.rows import ExperimentRow

Annotating = e.ExperimentArchived | e.ExperimentUnarchived | e.TagsChanged | e.NoteAdded | e.HypothesisAmended
ADD_REMARK: Final = (
    "INSERT INTO remarks (position, experiment, kind, at, operator, text, after_results) VALUES (?, ?, ?, ?, ?, ?, ?)"
)


def annotate(row: ExperimentRow, recorded: e.Recorded, event: Annotating) -> tuple[Any, ...] | None:
    """Change the row as the event says; returns the parameters of `ADD_REMARK` if it adds a remark."""
    match event:
        case e.ExperimentArchived():
            row.archived_at = recorded.at
        case e.ExperimentUnarchived():
            row.archived_at = None
        case e.TagsChanged():
            row.tags = " ".join(tags_after(row.tags.split(), event.added, event.removed))
        case e.NoteAdded():
            return _remark(row, recorded, "note", event.operator, event.text)
        case e.HypothesisAmended():
            row.hypothesis = event.hypothesis
            return _remark(row, recorded, "hypothesis", event.operator, event.hypothesis)
    return None


def _remark(row: ExperimentRow, recorded: e.Recorded, kind: str, operator: str, text: str) -> tuple[Any, ...]:
    return (recorded.position, row.id, kind, recorded.at, operator, text, int(row.results_at is not None))
