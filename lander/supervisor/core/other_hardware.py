"""What is said of a run that trains on a host which computes other bits than it should."""

from lander.supervisor.core.pairs import paired
from lander.supervisor.core.standing import RunStanding
from lander.supervisor.core.state import State


def on_other_hardware(state: State, run: RunStanding, host: str, key: str) -> str:
    """The warning about a run that starts on a host, although it should on one of the class of this key."""
    first = next(state.slots.members(state.slots.group(key)), None)
    there = "the host before" if first is None else first.name if first.name != host else "another GPU of it"
    if run.continues_on:
        return f"goes on on {host}, which computes other bits than {there}: from here on it is not bit-exact"
    standing = state.experiments[run.experiment]
    other = next((each.id for each in paired(standing, state.runs, run) if each.stands_on == key), run.pair)
    return f"trains on {host}, which computes other bits than {there}, where {other} trained: they differ in more than the arm"
