"""What is said of an experiment in a line: its state, its phase, what it waits for, and a summary.

All of it follows from the activities of its runs, by the tables of this file. Only how an experiment ended is recorded. Pure.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final, Literal, NamedTuple, TypedDict

from lander.protocol.states import LIVE, UNDER_WAY, RunState, ShownState

Phase = Literal["training", "evaluating", "finishing", "replaying", "unsupervised", "owes an evaluation"]

STATES: Final[Mapping[RunState, str]] = {
    "running": "a run trains",
    "starting": "none trains yet, and one is about to",
    "stopping": "what trained has been asked to end",
    "queued": "nothing trains, and a run will by itself",
    "paused": "no run goes on by itself, and one does after `lander-ctl resume`",
    "failed": "a run failed",
    "stopped": "a run was stopped",
    "completed": "every run completed, or was skipped",
    "skipped": "every run was skipped",
}
"""An experiment under way is in the first of these states that one of its runs is in, and this is what it means then."""
PHASES: Final[Mapping[Phase, str]] = {
    "training": "it trains",
    "evaluating": "its policy is evaluated, and training waits",
    "finishing": "all its steps are done, and it writes its last checkpoint and its model",
    "replaying": "its environments are played again, before training goes on",
    "unsupervised": "no supervisor is running: the state is the last that was recorded, and whether it trains is not known",
    "owes an evaluation": "it is not there while one is to be made: its next attempt makes that first",
}
"""What a run does, where its state does not say it. An experiment is in the first of these that one of its runs is in."""
A_SUPERVISOR: Final = "a supervisor"
FIT_HOST: Final = "a host that can train it"
"""What is waited for where the last attempt of a run could not begin."""
NOTABLE: Final[tuple[RunState, ...]] = ("paused", "stopped", "failed", "skipped")
"""What a summary counts besides: the runs that do not go on by themselves."""


class Activity(NamedTuple):
    """What a run does; `retried` if it is queued after an attempt that failed, `unfit` if after one that its host could not
    begin.
    """

    state: RunState
    phase: Phase | None
    retried: bool = False
    unfit: bool = False


class Headline(TypedDict):
    """What is said of an experiment; `waiting_for` is set only while nothing of it can start."""

    state: ShownState
    phase: Phase | None
    waiting_for: str | None
    summary: str


def headline(
    recorded: ShownState,
    runs: Sequence[Activity],
    holders: Sequence[str] = (),
    hosts: Collection[str] = (),
    *,
    supervised: bool = True,
    archived: bool = False,
) -> Headline:
    """The headline of an experiment of which this state is recorded; `holders` are the other experiments that hold slots.

    `hosts` says in words for which host each queued run waits, if all of them wait for one. Without a supervisor all wait for
    that.
    """
    states, phases = {run.state for run in runs}, {run.phase for run in runs}
    state = next((each for each in STATES if each in states), recorded) if recorded in UNDER_WAY else recorded
    phase = next((each for each in PHASES if each in phases), None)
    waiting_for = None
    if state == "queued":
        waiting_for = _waiting_for(runs, holders, hosts) if supervised else A_SUPERVISOR
    summary = ", ".join([_lead(state, phase, waiting_for, runs), *_besides(state, runs), *["archived"] * archived])
    return {"state": state, "phase": phase, "waiting_for": waiting_for, "summary": summary}


def _waiting_for(runs: Sequence[Activity], holders: Sequence[str], hosts: Collection[str]) -> str:
    """What the queued runs wait for: hosts, the delay before another attempt, the experiments that hold the slots, a host that
    can train one that had none, or a slot.
    """
    if hosts:
        return next(iter(hosts)) if len(set(hosts)) == 1 else "hosts that fit"
    if runs and all(run.retried for run in runs if run.state == "queued"):
        return "its next attempt"
    return counted_names(holders) or (FIT_HOST if any(run.unfit for run in runs if run.state == "queued") else "a slot")


def counted_names(names: Sequence[str]) -> str:
    """The first of the names, and how many there are besides; empty if there is none."""
    return f"{names[0]} and {len(names) - 1} more" if len(names) > 1 else "".join(names)


def _lead(state: ShownState, phase: Phase | None, waiting_for: str | None, runs: Sequence[Activity]) -> str:
    """What the experiment does, and how many of its runs do it if not all of them."""
    words: str = f"waiting for {waiting_for}" if waiting_for else state
    count = sum(run.state == state for run in runs)
    if state in LIVE and phase not in (None, "training", "owes an evaluation"):
        words, count = str(phase), sum(run.phase == phase for run in runs)
    return f"{words} ({count} of {len(runs)})" if 0 < count < len(runs) else words


def _besides(state: ShownState, runs: Sequence[Activity]) -> list[str]:
    counts = {name: sum(run.state == name for run in runs) for name in NOTABLE if name != state}
    owing = sum(run.phase == "owes an evaluation" for run in runs)
    alone = "" if len(runs) == 1 else f"{owing} "
    owed = [f"{alone}owe{'s' if owing == 1 else ''} an evaluation"] if owing else []
    return [f"{count} {name}" for name, count in counts.items() if count] + owed
