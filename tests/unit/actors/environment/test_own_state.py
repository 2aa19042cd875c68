"""Environments that hand out their state: by methods of their own, or as the Arcade Learning Environment does."""

from collections import deque
from typing import Any

import gymnasium
import numpy as np
import pytest
from stable_baselines3.common.monitor import Monitor

from lander.actors.environment import own_state
from lander.actors.state.tree import pack, unpack


class ArcadeState:
    """As `ALEState`: made from its bytes."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def serialize(self) -> bytes:
        return self.content


class Arcade(gymnasium.Env[Any, Any]):
    """As `AtariEnv`: its state is whatever is in `frame`."""

    observation_space = action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, sticky: float) -> None:
        self.frame = 1
        self.ale = type("Interface", (), {"getFloat": lambda _, name: {"repeat_action_probability": sticky}[name]})()

    def clone_state(self, include_rng: bool = False) -> ArcadeState:
        return ArcadeState(f"{self.frame} {include_rng}".encode())

    def restore_state(self, state: ArcadeState) -> None:
        frame, generator_too = state.content.split()
        assert generator_too == b"True"
        self.frame = int(frame)


class Remembering(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Keeps things in containers of several kinds."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        self.seen: deque[Any] = deque([np.zeros(2)], maxlen=3)
        self.pair = (1, 2)
        self.number = np.float32(0.5)
        self.engine = object()


def wrapped(sticky: float = 0.0) -> Any:
    return Monitor(Remembering(Arcade(sticky)))


def test_what_was_handed_out_is_put_back_through_a_file():
    one, other = wrapped(), wrapped()
    one.unwrapped.frame = 7
    one.env.seen.append(np.ones(2))
    one.env.pair, one.env.number = (3, 4), np.float32(0.25)
    one.rewards, one.needs_reset = [1.0, 2.0], False
    own_state.set_(other, unpack(pack(own_state.get(one))))
    inner = other.env
    assert (other.unwrapped.frame, inner.pair, inner.number, other.rewards) == (7, (3, 4), np.float32(0.25), [1.0, 2.0])
    assert (type(inner.number), inner.seen.maxlen, [each.tolist() for each in inner.seen]) == (np.float32, 3, [[0, 0], [1, 1]])


def test_with_sticky_actions_the_arcade_has_no_state_to_trust():
    """The last action, which may be repeated, is not in it."""
    assert own_state.get(wrapped(sticky=0.25)) is None


def test_other_environments_have_none():
    plain: gymnasium.Env[Any, Any] = gymnasium.make("CartPole-v1")
    assert own_state.own_state(plain) is None
    with pytest.raises(ValueError, match="has no state of its own"):
        own_state.set_(plain, {})
