"""Keeping many experiments in order: list them, archive them, and say something about them, as the commands do."""

import time
from collections.abc import Iterable
from pathlib import Path

from lander.api.targets import home_of
from lander.app import annotating
from lander.app.listing import Wanted, chosen, seconds_of
from lander.store.log.reader import Reader
from lander.store.projections.listing import ListedExperiment, listing


def list_experiments(
    *,
    state: Iterable[str] = (),
    environment: Iterable[str] = (),
    tag: Iterable[str] = (),
    newer: str | None = None,
    older: str | None = None,
    archived: bool | None = False,
    home: str | Path | None = None,
) -> list[ListedExperiment]:
    """The experiments of a home, the oldest first, as `lander-ctl list` shows them.

    In any of these states and of these environments, with all of these tags, `newer` or `older` than an age such as `"7d"`;
    one name may be given as text. `archived` may be True for archived ones only, None for all. What matches nothing gives an
    empty list. Raises `UsageError` for a state and an age that do not exist.
    """
    wanted = Wanted(
        states=_names(state),
        environments=_names(environment),
        tags=_names(tag),
        newer=None if newer is None else seconds_of("newer", newer),
        older=None if older is None else seconds_of("older", older),
        archived=bool(archived),
        everything=archived is None,
    )
    with Reader(home_of(home)) as reader:
        return chosen(listing(reader, time.time()), wanted)


def _names(given: Iterable[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def archive(experiment: str, *, home: str | Path | None = None) -> None:
    """Leave an experiment out of overviews; everything of it is kept. Raises `ConflictError` while it is under way."""
    annotating.archive(home_of(home), experiment)


def unarchive(experiment: str, *, home: str | Path | None = None) -> None:
    """Show an archived experiment in overviews again."""
    annotating.unarchive(home_of(home), experiment)


def note(experiment: str, text: str, *, home: str | Path | None = None) -> None:
    """Write a note about an experiment; the report shows it. Raises `UsageError` for more than 2,000 characters."""
    annotating.note(home_of(home), experiment, text)


def tag(experiment: str, *tags: str, remove: Iterable[str] = (), home: str | Path | None = None) -> None:
    """Tag an experiment, or remove tags. Raises `UsageError` for what cannot be a tag, or is not there to be removed."""
    annotating.tag(home_of(home), experiment, tags, _names(remove))


def hypothesis(experiment: str, text: str, *, home: str | Path | None = None) -> None:
    """Amend an experiment's hypothesis. The report shows the original, too, and whether results could be seen by then."""
    annotating.amend_hypothesis(home_of(home), experiment, text)
