"""How the environments of a run are brought back to where a checkpoint left them, and what shows that it is exact.

There are three ways, and each is compared bit for bit:
- by its **own state**, if the environment hands it out (`own_state.py`);
- by its current **episode**, if it is shown to forget at a reset (`forgetting.py`);
- from its **construction**, all others (`construction_replay.py`): what they were given travels with the checkpoints.

Nothing of this is part of a checkpoint's digest: it says how the state is restored, not what it is.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import gymnasium

from lander.actors.environment.attributes import attributes, first_difference
from lander.actors.environment.history import History
from lander.actors.environment.outside import Outside, declares_side_effects
from lander.actors.environment.outside import outside as ways_out
from lander.actors.environment.recording import RecordedEnvironment, Recording
from lander.actors.state import construction_replay, environment_replay, own_state_replay
from lander.actors.state.construction_replay import Progress
from lander.actors.state.forgetting import Finding, by_current_episode, by_own_state, try_restore
from lander.actors.state.history_pages import HistoryPages
from lander.actors.state.tree import StoredTree, Tree
from lander.protocol.wire import MAX_SHORT_ARRAY

Way = Literal["own state", "episode", "construction"]

LEAST_RESETS: Final = 4
"""An environment that has been reset less often has too little behind it for a trial to say anything."""
STEPS_TO_NEXT_TRIAL: Final = 10_000
"""The least number of timesteps until the next trial of an environment that was shown to forget."""
_DECLARED: Final = "it says that it has side effects, so it is not played again"


@dataclass(frozen=True)
class Trials:
    """What the trials need: how to make a fresh environment, what this process had open before, and how to speak meanwhile.

    While `stopping`, none is made: a stop waits for its checkpoint, and only so long. None is made of environments in processes
    of their own (`fresh` is None): they are played again from their construction.
    """

    fresh: Callable[[], gymnasium.Env[Any, Any]] | None
    outside: Outside
    heartbeat: Callable[[], object] = lambda: None
    warn: Callable[[str], object] = lambda message: None
    stopping: Callable[[], bool] = lambda: False


class EnvironmentStates:
    """Captures and restores the environments of one run. `limit` bounds the timesteps that are played again; None: no bound."""

    def __init__(self, recording: Recording, home: Path, trials: Trials | None, limit: int | None) -> None:
        self._recording = recording
        self._trials = trials
        self._limit = limit
        self._pages = HistoryPages(recording.n_envs, home)
        self._loaded: History | None = None
        self._way: Way = "construction"
        elsewhere = trials is not None and trials.fresh is None
        self._why = "it has a process of its own, and is not tried out" if elsewhere else "it was not tried out yet"
        self._volatile: frozenset[str] = frozenset()
        self._globals_before = self._globals()
        self._next_trial: int | None = 0
        """The timestep of the next trial; None if none is needed."""

    @property
    def written_bytes(self) -> int:
        """Total bytes of the pages written so far."""
        return self._pages.written_bytes

    # ------------------------------------------------------------------------------------------------ capturing

    def capture(self, step: int) -> tuple[Tree, Tree, tuple[str, ...]]:
        """The current episodes, how to restore the environments, and the names of the pages. Raises `OSError`."""
        environments = self._recording.environments
        if self._next_trial is not None and step >= self._next_trial and self._may_try:
            self._try(max(environments, key=lambda each: each.resets), step)
        history, pages = self._capture_history()
        restoring: dict[str, Tree] = {
            "way": self._way,
            "why": self._why,
            "volatile": sorted(self._volatile),
            "next_trial": self._next_trial,
            "attributes": _in_one_table([each.do(_attributes) for each in environments]),
            "globals": self._globals(),
            "own": [own_state_replay.capture(each) for each in environments] if self._way == "own state" else None,
            "history": history,
        }
        return [each.do(environment_replay.capture) for each in environments], restoring, pages

    def _capture_history(self) -> tuple[Tree, tuple[str, ...]]:
        history = self._recording.history
        if history is None:
            return None, ()
        if self._limit is not None and history.steps * self._recording.n_envs > self._limit:
            self._drop_history(f"it has more than {self._limit:,} steps behind it (replay_limit)")
            return None, ()
        if not self._pages.hold(history):
            self._drop_history(f"what it was given fills more than {MAX_SHORT_ARRAY} pages, which no checkpoint can name")
            return None, ()
        captured = self._pages.capture(history)
        if captured is None:
            self._drop_history("a page of what it was given is gone")
            return None, ()
        return captured

    def _drop_history(self, why: str) -> None:
        self._recording.history = None
        self._pages.forget()
        if self._way == "construction":
            self._why = f"{self._why}, and {why}"
            self._warn(f"the environment cannot be restored exactly from here on: {self._why}")

    # ------------------------------------------------------------------------------------------------ trials

    def _try(self, environment: RecordedEnvironment, step: int) -> None:
        if self._trials is None:
            return
        if environment.resets < LEAST_RESETS or self._trials.stopping():
            return
        finding, way = self._finding(environment, self._trials)
        if finding.same is None and self._trials.stopping():
            return  # what was known before still is
        self._volatile = finding.volatile
        if finding.same:
            self._way, self._why = way, ""
            self._recording.history = None
            self._pages.forget()
        else:
            self._remembers(finding)
        known = finding.same is False
        self._next_trial = None if known else max(4 * step, step + STEPS_TO_NEXT_TRIAL)

    @property
    def _may_try(self) -> bool:
        return self._trials is not None and self._trials.fresh is not None

    def _finding(self, environment: RecordedEnvironment, trials: Trials) -> tuple[Finding, Way]:
        if declares_side_effects(environment):
            self._recording.history = None  # it would not be played again
            return Finding(None, _DECLARED), "construction"
        if opened := ways_out().opened_since(trials.outside):
            return Finding(None, f"{opened}, so it is not tried out"), "construction"
        own = by_own_state(environment)
        if changed := first_difference(self._globals_before, self._globals(), frozenset()):
            return Finding(False, f"{changed}, which is of its module, has changed since its construction"), "construction"
        if trials.fresh is None:
            return Finding(None, self._why), "construction"
        how = (trials.fresh, trials.heartbeat, trials.stopping)
        if own is not None and (finding := try_restore(environment, own, *how)).same:
            return finding, "own state"
        return try_restore(environment, by_current_episode(environment), *how), "episode"

    def _remembers(self, finding: Finding) -> None:
        new = self._why != finding.why
        self._way, self._why = "construction", finding.why
        if not new:
            return
        if self._recording.history is None:
            self._warn(f"the environment cannot be restored exactly from here on: {finding.why}")
        elif finding.same is False:
            bound = "" if self._limit is None else f", up to {self._limit:,} (replay_limit)"
            self._warn(f"the environment does not forget at a reset: {finding.why}; a resume plays all its steps again{bound}")

    def _warn(self, message: str) -> None:
        if self._trials is not None:
            self._trials.warn(message)

    # ------------------------------------------------------------------------------------------------ restoring

    def load(self, restoring: StoredTree | None, pages: tuple[str, ...]) -> None:
        """Read what the environments were given; raises `OSError` or `ValueError` if a page is missing or damaged."""
        stored = None if restoring is None else restoring["history"]
        self._loaded = None if stored is None else self._pages.load(stored, pages)

    def restore(self, episodes: StoredTree, restoring: StoredTree | None, progress: Progress) -> list[str]:
        """Restore the environments; returns what differs, for each environment. Raises what `progress` raises."""
        history, self._loaded, self._recording.history = self._loaded, None, None
        if restoring is None:  # a checkpoint of an earlier version
            problems = self._each(episodes, environment_replay.restore)
        else:
            problems = self._restore(episodes, restoring, history, progress)
        for environment, tree in zip(self._recording.environments, episodes, strict=True):
            environment.begin_at(tree["steps"], tree["episode_start"], tree["episode_return"])
        return problems

    def _restore(self, episodes: StoredTree, restoring: StoredTree, history: History | None, progress: Progress) -> list[str]:
        self._way, self._why = restoring["way"], restoring["why"]
        self._volatile, self._next_trial = frozenset(restoring["volatile"]), restoring["next_trial"]
        environments = self._recording.environments
        if any(each.do(declares_side_effects) for each in environments):
            return [f"environment 0: {_DECLARED}"]
        if self._way == "construction":
            problems = self._from_construction(episodes, history, progress)
        elif self._way == "episode":
            problems = self._each(episodes, environment_replay.restore)
        else:
            own = dict(enumerate(restoring["own"]))
            problems = self._each(episodes, lambda each, tree: own_state_replay.restore(each, tree, own[each.index]))
        problems = problems or self._differing_attributes(restoring["attributes"]) or self._differing_globals(restoring)
        if problems and self._way != "construction":
            self._way, self._why, self._next_trial = "construction", problems[0], None
        return problems

    def _from_construction(self, episodes: StoredTree, history: History | None, progress: Progress) -> list[str]:
        if history is None:
            return [f"environment 0: {self._why}; what it was given since its construction is not kept"]
        environments, steps = self._recording.environments, history.steps * self._recording.n_envs
        if self._limit is not None and steps > self._limit:
            return [f"environment 0: it has {steps:,} steps behind it, and replay_limit is {self._limit:,}"]
        if problem := construction_replay.play(environments, history, progress):
            return [f"environment 0: {problem}"]
        self._pages.drop_paged(history)
        self._recording.history = history
        return self._each(episodes, environment_replay.difference)

    def _each(self, episodes: StoredTree, act: Callable[[RecordedEnvironment, StoredTree], str | None]) -> list[str]:
        return [
            f"environment {environment.index}: {problem}"
            for environment, tree in zip(self._recording.environments, episodes, strict=True)
            if (problem := environment.do(act, tree)) is not None
        ]

    def _differing_attributes(self, table: StoredTree) -> list[str]:
        return [
            f"environment {environment.index}: {name} differs when it is played again"
            for environment, before in zip(self._recording.environments, _from_table(table), strict=True)
            if (name := first_difference(before, environment.do(_attributes), self._volatile)) is not None
        ]

    def _differing_globals(self, restoring: StoredTree) -> list[str]:
        """The environments share their modules' globals, so these are compared once all environments are restored."""
        name = first_difference(restoring["globals"], self._globals(), self._volatile) if "globals" in restoring else None
        return [f"environment 0: {name}, which is of its module, differs when it is played again"] if name else []

    def _globals(self) -> dict[str, bytes]:
        return self._recording.module_globals()

    def abandon(self, episodes: StoredTree) -> None:
        """Count on from the checkpoint, without its episodes and without what was given to the environments before it."""
        self._loaded = None
        self._pages.forget()
        for environment, tree in zip(self._recording.environments, episodes, strict=True):
            environment.begin_at(tree["steps"], tree["steps"], 0.0)


def _attributes(environment: RecordedEnvironment) -> dict[str, bytes]:
    return attributes(environment.env)


def _in_one_table(found: list[dict[str, bytes]]) -> Tree:
    """The digests of every environment; the names, which mostly are the same in all, only once."""
    names = list(dict.fromkeys(tuple(each) for each in found))
    return {
        "names": [list(each) for each in names],
        "named": [names.index(tuple(each)) for each in found],
        "digests": [b"".join(each.values()) for each in found],
    }


def _from_table(table: StoredTree) -> list[Mapping[str, bytes]]:
    return [
        {name: digests[8 * place : 8 * place + 8] for place, name in enumerate(table["names"][named])}
        for named, digests in zip(table["named"], table["digests"], strict=True)
    ]
