"""What people say about an experiment: recorded by its supervisor, or right here if none serves the home."""

from collections.abc import Callable, Iterable
from pathlib import Path

from pydantic_core import PydanticCustomError

from lander.app.client import operator
from lander.app.conversation import accepted
from lander.app.home_decision import decided
from lander.protocol import annotations
from lander.protocol.commands import (
    AddNote,
    AmendHypothesis,
    ArchiveExperiment,
    ChangeTags,
    UnarchiveExperiment,
)
from lander.protocol.errors import UsageError
from lander.protocol.text import named
from lander.store.log.reader import Reader
from lander.store.projections.remarks import Remark, remarks
from lander.supervisor.single_decision import decide_alone

Annotation = ArchiveExperiment | UnarchiveExperiment | AddNote | ChangeTags | AmendHypothesis


def archive(home: Path, experiment: str) -> str:
    """Leave an experiment out of overviews; returns what holds now, in words.

    Raises `NotFoundError` for an unknown one, and `ConflictError` while it is under way.
    """
    return _record(home, ArchiveExperiment(experiment=_known(home, experiment), operator=operator()))


def unarchive(home: Path, experiment: str) -> str:
    """Show an experiment in overviews again; returns and raises as `archive` does."""
    return _record(home, UnarchiveExperiment(experiment=_known(home, experiment), operator=operator()))


def note(home: Path, experiment: str, text: str) -> str:
    """Write something down about an experiment; raises `UsageError` for a text that is too long, or cannot be shown."""
    said = _checked("note", annotations.remark, _normal(text))
    return _record(home, AddNote(experiment=_known(home, experiment), text=said, operator=operator()))


def tag(home: Path, experiment: str, add: Iterable[str], remove: Iterable[str] = ()) -> str:
    """Add and remove tags of an experiment; raises `UsageError` for what cannot be a tag, or is not there to be removed."""
    added, removed = (tuple(_checked("tag", annotations.tag, each) for each in tags) for tags in (add, remove))
    if not added and not removed:
        raise UsageError("tag: found no tag; name at least one")
    return _record(home, ChangeTags(experiment=_known(home, experiment), add=added, remove=removed, operator=operator()))


def amend_hypothesis(home: Path, experiment: str, text: str) -> str:
    """Word an experiment's hypothesis otherwise; the original stays on record. Raises as `note` does."""
    said = _checked("hypothesis", annotations.remark, _normal(text))
    before = _last_amendment(home, _known(home, experiment))
    answer = _record(home, AmendHypothesis(experiment=experiment, hypothesis=said, operator=operator()))
    now = _last_amendment(home, experiment)
    if now is None or now == before:
        return answer
    when = "after results could be seen" if now.after_results else "before results could be seen"
    return f"{answer}, {when}; the original stays in the report"


def _normal(text: str) -> str:
    return text.replace("\r\n", "\n").strip()


def _checked(name: str, check: Callable[[str], str], text: str) -> str:
    try:
        return check(text)
    except PydanticCustomError as problem:
        raise UsageError(f"{name}: {problem.message()}") from problem


def _known(home: Path, experiment: str) -> str:
    """The id, if it is that of an experiment; raises `UsageError` for a part of one, else as `Reader.require` does."""
    if "/" in experiment:
        name = experiment.partition("/")[0]
        raise UsageError(f"{named(experiment)}: this is about a whole experiment; name {named(name)}")
    with Reader(home) as reader:
        reader.require(experiment)
    return experiment


def _last_amendment(home: Path, experiment: str) -> Remark | None:
    with Reader(home) as reader:
        amendments = remarks(reader, experiment).amendments
    return amendments[-1] if amendments else None


def _record(home: Path, command: Annotation) -> str:
    """The supervisor's answer, or our own where there is none."""
    return decided(
        home, lambda supervisor: supervisor.ask(command).detail, lambda: accepted(decide_alone(home, command)).detail
    )
