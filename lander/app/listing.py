"""The experiments that are asked for: by state, environment, age and tag. Imports little, because `list` must start fast."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, get_args

from lander.app.durations import seconds_in
from lander.protocol.errors import UsageError
from lander.protocol.states import QUARANTINED, RunState
from lander.store.projections.listing import ListedExperiment

STATES: Final[tuple[str, ...]] = (*get_args(RunState), QUARANTINED)
_MOST_NAMED: Final = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What is asked for: any of the states and of the environments, all of the tags, an age in seconds since the submission.

    Archived experiments are left out, unless `archived` asks for these alone, or `everything` for all.
    """

    states: Collection[str] = ()
    environments: Collection[str] = ()
    tags: Collection[str] = ()
    newer: float | None = None
    older: float | None = None
    archived: bool = False
    everything: bool = False

    def shows(self, archived: bool) -> bool:
        """Whether one that is archived, or is not, may be among what is asked for."""
        return self.everything or self.archived == archived

    def selects(self, listed: ListedExperiment) -> bool:
        """Whether the experiment is asked for."""
        return (
            self.shows(listed.remarks.archived is not None)
            and (not self.states or listed.headline["state"] in self.states)
            and (not self.environments or not set(self.environments).isdisjoint(listed.environments))
            and set(self.tags) <= set(listed.remarks.tags)
            and (self.newer is None or listed.age_seconds <= self.newer)
            and (self.older is None or listed.age_seconds > self.older)
        )


def chosen(listed: Sequence[ListedExperiment], wanted: Wanted) -> list[ListedExperiment]:
    """Those that are asked for, which may be none; raises `UsageError` for a state that does not exist."""
    for state in wanted.states:
        if state not in STATES:
            from lander.protocol.refusals import did_you_mean, shown

            known = f"must be one of {', '.join(STATES)}"
            raise UsageError(f"--state: found {shown(state)}; {known}{did_you_mean(state, STATES)}")
    return [each for each in listed if wanted.selects(each)]


def absent(listed: Sequence[ListedExperiment], wanted: Wanted) -> list[str]:
    """A sentence for each state, environment and tag that is asked for and that no experiment here has."""
    return [
        *_absent("--state", wanted.states, [each.headline["state"] for each in listed]),
        *_absent("--environment", wanted.environments, [name for each in listed for name in each.environments]),
        *_absent("--tag", wanted.tags, [name for each in listed for name in each.remarks.tags]),
    ]


def _absent(option: str, asked: Collection[str], there: Iterable[str]) -> Iterator[str]:
    from lander.protocol.refusals import did_you_mean, shown

    names = tuple(dict.fromkeys(there))
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    others = f"; they have {', '.join(names[:_MOST_NAMED])}{more}" if names else ""
    for name in asked:
        if name not in names:
            yield f"{option} {shown(name)}: no experiment here has it{others}{did_you_mean(name, names)}"


def seconds_of(option: str, text: str) -> float:
    """An age such as `7d`, in seconds; raises `UsageError` for any other text."""
    found = seconds_in(text, "mhdw")
    if found is None:
        from lander.protocol.refusals import shown

        raise UsageError(f"{option}: found {shown(text)}; must be a number with m, h, d or w, such as 30m, 12h, 7d or 2w")
    return found
