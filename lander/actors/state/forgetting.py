"""Finds out whether an environment forgets at a reset: then its current episode is all that a restore has to play again.

A fork copies any environment, the state of its physics engine included. So one child goes on with the environment of the
training, and another with a fresh one that was given only the current episode, as a restore does. Both get the same actions and
reset several times. If one observation, reward, ending or attribute differs, the environment remembers something.

The children have no ways out (`outside.py`). A third one repeats the second: an attribute that differs even there, such as the
time, is no function of what the environment was given, and is not compared.
"""

import contextlib
import functools
import gc
import os
import random
import select
import signal
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import gymnasium
import msgpack
import numpy as np

from lander.actors.environment.attributes import attributes, first_difference, module_globals
from lander.actors.environment.outside import Confinement
from lander.actors.environment.recording import RecordedEnvironment, Recording
from lander.actors.state import environment_replay, own_state_replay
from lander.actors.state.tree import digest

LEGS: Final = 4
"""How often the environments are played on: first the current episode, then from so many resets less one."""
LEG_STEPS: Final = 200
LEG_SECONDS: Final = 0.5
"""An environment that takes longer for its steps plays fewer."""
CHILD_SECONDS: Final = 30.0
"""Time after which a child is ended; nothing is then known about the environment."""
_STOPPED: Final = "a stop was requested while it was tried out"

Restore = Callable[[RecordedEnvironment], str | None]


@dataclass(frozen=True)
class Finding:
    """What a trial found: whether the restored environment went on as the other, and what differed, or why nothing is known."""

    same: bool | None
    why: str = ""
    volatile: frozenset[str] = field(default_factory=frozenset)


def by_current_episode(environment: RecordedEnvironment) -> Restore:
    """The restore that plays the current episode again."""
    tree = environment_replay.capture(environment)
    return lambda fresh: environment_replay.restore(fresh, tree)


def by_own_state(environment: RecordedEnvironment) -> Restore | None:
    """The restore by the environment's own state; None if it hands out none that can be stored."""
    episode, own = environment_replay.capture(environment), own_state_replay.capture(environment)
    return None if own is None else lambda fresh: own_state_replay.restore(fresh, episode, own)


def try_restore(
    environment: RecordedEnvironment,
    restore: Restore,
    fresh: Callable[[], gymnasium.Env[Any, Any]],
    heartbeat: Callable[[], object],
    stopping: Callable[[], bool],
) -> Finding:
    """Compare how the environment goes on with how a `fresh` one does that `restore` has restored.

    Ends, with nothing known, when `stopping` turns true: a stop waits for its checkpoint, and only so long.
    """

    def restored() -> RecordedEnvironment:
        other = RecordedEnvironment(fresh(), Recording(1))
        other.reset(seed=environment.first_seed)
        if problem := restore(other):
            raise _DifferentError(problem)
        return other

    in_child = functools.partial(_in_child, heartbeat=heartbeat, stopping=stopping)
    live = in_child(lambda: _go_on(environment))
    if unknown := live.get("unknown"):
        return Finding(None, unknown)
    other = in_child(lambda: _go_on(restored(), live["lengths"]))
    if unknown := other.get("unknown"):
        return Finding(None, unknown)
    if problem := other.get("problem") or _first_step_that_differs(live, other):
        return Finding(False, problem)
    if first_difference(live["attributes"], other["attributes"], frozenset()) is None:
        return Finding(True)
    return _without_volatile(live, other, in_child(lambda: _go_on(restored(), live["lengths"])))


def _without_volatile(live: Mapping[str, Any], other: Mapping[str, Any], again: Mapping[str, Any]) -> Finding:
    if "attributes" not in again:
        return Finding(None, again.get("unknown") or again["problem"])
    one, two = other["attributes"], again["attributes"]
    volatile = frozenset(name for name in (*one, *two) if one.get(name) != two.get(name))
    name = first_difference(live["attributes"], one, volatile)
    return Finding(name is None, f"{name} differs after a reset" if name else "", volatile)


def _first_step_that_differs(live: Mapping[str, Any], other: Mapping[str, Any]) -> str | None:
    for what in ("observation", "reward", "ending"):
        if live[what] != other[what]:
            return f"its {what}s differ after a reset"
    return None


# --- in a child -------------------------------------------------------------------------------------------------------


class _DifferentError(Exception):
    """The restore itself found a difference, which is the message."""


def _go_on(environment: RecordedEnvironment, lengths: list[int] | None = None) -> dict[str, Any]:
    """Play on with random actions, the same in every child; `lengths` are the steps of each leg, if they are known."""
    space = environment.action_space
    space.seed(0)
    told: dict[str, Any] = {"lengths": [], "observation": [], "reward": b"", "ending": b""}
    for leg in range(LEGS):
        if leg:
            told["observation"].append(_digest(environment.env.reset()[0]))
        steps, until, over = 0, time.monotonic() + LEG_SECONDS, False
        most = LEG_STEPS if lengths is None else lengths[leg]
        while not over and steps < most and (lengths is not None or time.monotonic() < until):
            observation, reward, terminated, truncated, _ = environment.env.step(_sample(environment, space))
            steps, over = steps + 1, bool(terminated or truncated)
            told["observation"].append(_digest(observation))
            told["reward"] += struct.pack("d", float(reward))
            told["ending"] += bytes([bool(terminated), bool(truncated)])
        told["lengths"].append(steps)
    return told | {"attributes": attributes(environment.env) | module_globals([environment.env])}


def _sample(environment: RecordedEnvironment, space: gymnasium.Space[Any]) -> Any:
    """A random action, and a valid one where the environment has a mask of them: it may raise for others."""
    if isinstance(space, gymnasium.spaces.Discrete) and environment.has_wrapper_attr("action_masks"):
        return space.sample(mask=np.asarray(environment.get_wrapper_attr("action_masks")(), np.int8))
    return space.sample()


def _digest(observation: Any) -> str:
    return digest(environment_replay.as_tree(observation))


def _in_child(
    play: Callable[[], dict[str, Any]], heartbeat: Callable[[], object], stopping: Callable[[], bool]
) -> dict[str, Any]:
    """What `play` returns in a forked child without ways out; `problem` or `unknown` says why it returned nothing."""
    if stopping():
        return {"unknown": _STOPPED}
    reading, writing = os.pipe()
    generator = random.getstate()
    child = os.fork()
    if child == 0:
        random.setstate(generator)  # Python seeds it anew in every fork
        _tell(play, writing)
    os.close(writing)
    try:
        content = _read(reading, heartbeat, stopping)
    finally:
        os.close(reading)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    if content is None:
        return {"unknown": _STOPPED if stopping() else f"it was tried out for {CHILD_SECONDS:.0f} seconds without an end"}
    try:
        told: dict[str, Any] = msgpack.unpackb(content)
    except ValueError:
        return {"unknown": "the process in which it was tried out ended"}
    return told


def _tell(play: Callable[[], dict[str, Any]], writing: int) -> None:
    """In the child: play, write what came of it, and leave without any cleaning up, which is the parent's."""
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        gc.disable()  # what it would collect belongs to the parent, such as memory of a GPU
        signal.alarm(2 * int(CHILD_SECONDS))  # if nobody is left to end it
        confinement = Confinement(writing)
        told = _told(play)
        if confinement.attempt:
            told = {"unknown": confinement.attempt}
        content = memoryview(msgpack.packb(told))
        while content:
            content = content[os.write(writing, content) :]
    finally:
        os._exit(0)


def _told(play: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return play()
    except _DifferentError as error:
        return {"problem": str(error)}
    except Exception as error:
        return {"unknown": f"it failed when it was tried out: {type(error).__name__}: {error}"}


def _read(reading: int, heartbeat: Callable[[], object], stopping: Callable[[], bool]) -> bytes | None:
    """Everything until the child closes its end; None if that takes too long, or a stop comes first."""
    parts: list[bytes] = []
    until = time.monotonic() + CHILD_SECONDS
    while time.monotonic() < until and not stopping():
        if not select.select([reading], [], [], 0.5)[0]:
            heartbeat()
            continue
        part = os.read(reading, 1 << 16)
        if not part:
            return b"".join(parts)
        parts.append(part)
    return None
