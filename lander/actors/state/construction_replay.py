"""Plays environments again from their construction: every reset and every action they were given, in the same order."""

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from lander.actors.environment.history import NO_SEED, History, Reset
from lander.actors.environment.recording import OUT_OF_MEMORY, RecordedEnvironment
from lander.actors.state.history_pages import rows

Progress = Callable[[int, int], object]
"""Called between two steps with the timesteps that are played, and with all that are to be."""
_FAILED: Final = "it failed when it was played again from its construction"


def play(environments: list[RecordedEnvironment], history: History, progress: Progress) -> str | None:
    """Play the history; the environments are fresh but for the reset with which it begins. Returns why it cannot be played.

    Raises what `progress` raises.
    """
    pending = [deque(reset for reset in history.resets if reset.env == env.index) for env in environments]
    if any(not _began_as(environment, resets) for environment, resets in zip(environments, pending, strict=True)):
        return "it began with another seed than before"
    for environment, resets in zip(environments, pending, strict=True):
        resets.popleft()
        if problem := _attempt(_reset, environment, resets, 0):
            return problem
    return _play_on(environments, pending, history, progress)


def _play_on(
    environments: list[RecordedEnvironment], pending: list[deque[Reset]], history: History, progress: Progress
) -> str | None:
    total = history.steps * len(environments)
    for played, actions in enumerate(rows(history), 1):
        for environment, resets, action in zip(environments, pending, actions, strict=True):
            if problem := _attempt(_step, environment, resets, played, action):
                return problem
        progress(played * len(environments), total)
    return None


def _began_as(environment: RecordedEnvironment, resets: deque[Reset]) -> bool:
    seed = NO_SEED if environment.first_seed is None else environment.first_seed
    return environment.resets == 1 and bool(resets) and resets[0].steps == 0 and resets[0].seed == seed


def _step(environment: RecordedEnvironment, resets: deque[Reset], played: int, action: Any) -> str | None:
    """Take one step, and make the resets that came after it: an episode that ends was followed by one."""
    ended = environment.replay(action)
    if ended and not (resets and resets[0].steps == played):
        return "its endings differ when it is played again"
    return _reset(environment, resets, played)


def _reset(environment: RecordedEnvironment, resets: deque[Reset], played: int) -> str | None:
    """Make the resets that came after so many steps."""
    while resets and resets[0].steps == played:
        environment.reset(seed=resets.popleft().argument)
    return None


def _attempt(act: Callable[..., str | None], *arguments: Any) -> str | None:
    try:
        return act(*arguments)
    except OUT_OF_MEMORY:
        raise
    except Exception as error:
        return f"{_FAILED}: {error!r}"
