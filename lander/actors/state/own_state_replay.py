"""Restores an environment by its own state (`own_state.py`), in place of playing its episode again."""

from typing import Any

from lander.actors.environment import generators, own_state
from lander.actors.environment.recording import OUT_OF_MEMORY, RecordedEnvironment
from lander.actors.state.tree import StoredTree, Tree, pack, unpack


def capture(environment: RecordedEnvironment) -> Tree:
    """The environment's own state as a tree, as it will be read back; None if it has none that can be stored."""
    try:
        state = own_state.get(environment.env)
        return None if state is None else unpack(pack(state))
    except OUT_OF_MEMORY:
        raise
    except Exception:
        return None


def restore(environment: RecordedEnvironment, episode: StoredTree, state: StoredTree) -> str | None:
    """Put back what `capture` returned, and the record of the current episode; returns the reason if that fails."""
    try:
        own_state.set_(environment.env, state)
    except OUT_OF_MEMORY:
        raise
    except Exception as error:
        return f"its own state could not be put back: {error!r}"
    if episode["generator"]:
        inner: Any = environment.unwrapped
        inner.np_random = generators.unpack(episode["generator"])
    environment.adopt(episode["reset_seed"], episode["reset_rng"], list(episode["actions"]), episode["observation"])
    environment.begin_at(episode["steps"], episode["episode_start"], episode["episode_return"])
    return None
