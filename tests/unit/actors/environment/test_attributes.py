"""The plain attributes of an environment: what has a digest, and what changes it."""

import array
import itertools
import random
import subprocess
import sys
from collections import deque
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest
from stable_baselines3.common.monitor import Monitor

from lander.actors.environment import attributes as attributes_module
from lander.actors.environment.attributes import MAX_BYTES, attributes, encode, first_difference, module_globals
from tests.support.environments_with_globals import GlobalBonus, Place


class Counted(gymnasium.Env[Any, Any]):
    """Keeps one thing on itself, one on its class, and one that is not plain."""

    observation_space = gymnasium.spaces.Discrete(2)
    action_space = gymnasium.spaces.Discrete(2)
    of_all: ClassVar[int] = 0

    def __init__(self) -> None:
        self.own = 0
        self.engine = object()


class Holder:
    """An object of a class written in Python."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.engine = object()


PAIRS = [
    (1, 2),
    (1, True),
    (1, 1.0),
    (0.0, -0.0),
    ("a", b"a"),
    (None, 0),
    ([1, 2], [2, 1]),
    ({"a": 1}, {"a": 2}),
    ({1, 2}, {1, 3}),
    (deque([1]), deque([2])),
    (np.zeros(2), np.ones(2)),
    (np.zeros((2, 2)), np.zeros(4)),
    (np.zeros(1), np.zeros(1, np.int64)),
    (np.zeros(1), bytes(8)),
    (np.array([1, "a"], object), np.array([1, "b"], object)),
    (array.array("i", [1]), array.array("f", [1])),
    (bytearray(b"a"), b"a"),
    (list(range(5_000)), list(range(1, 5_001))),
    ([np.int64(1)], [np.int64(2)]),
    (np.random.default_rng(1), np.random.default_rng(2)),
    (np.random.RandomState(1), np.random.RandomState(2)),
    (random.Random(1), random.Random(2)),
    (itertools.count(1), itertools.count(2)),
    (Holder(1), Holder(2)),
    ([Holder(1)], [Holder(2)]),
]


@pytest.mark.parametrize(("one", "other"), PAIRS, ids=[str(number) for number in range(len(PAIRS))])
def test_plain_values_that_differ_have_other_bytes(one, other):
    assert None not in (encode(one), encode(other))
    assert encode(one) != encode(other)
    assert encode(one) == encode(one)


@pytest.mark.parametrize(
    "value", [object(), lambda: 1, [object()], np.zeros(MAX_BYTES), list(range(10**6)), gymnasium.spaces.Discrete(2)]
)
def test_what_is_not_plain_or_not_small_has_none(value):
    assert encode(value) is None


def test_an_array_of_objects_is_its_values_and_not_where_they_are():
    one, other = (np.array([float(number) for number in numbers], object) for numbers in ("12", "12"))
    assert encode(one) == encode(other)


def test_what_is_nested_too_deeply_has_none():
    value: list[Any] = []
    for _ in range(900):
        value = [value]
    assert encode(value) is None


def test_an_object_that_holds_itself_ends():
    one = Holder(1)
    one.engine = one
    assert encode(one) is not None


def test_the_bytes_are_the_same_in_every_process():
    """Sets, dictionaries and texts do not depend on the seed of Python's hashes."""
    program = (
        "from lander.actors.environment.attributes import encode; print(encode([{*'abcdefghij'}, {'x': 'text'}, 1.5]).hex())"
    )
    environment = {"PYTHONHASHSEED": "1", "PYTHONPATH": ":".join(sys.path)}
    there = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert there.stdout.strip() == encode([{*"abcdefghij"}, {"x": "text"}, 1.5]).hex(), "and here the seed is drawn"


def test_every_layer_has_its_own_and_those_that_only_watch_have_none():
    wrapped = Monitor(gymnasium.wrappers.TimeLimit(gymnasium.wrappers.TimeLimit(Counted(), 5), 7))
    found = attributes(wrapped)
    assert {"Counted.own", "Counted.of_all", "TimeLimit._elapsed_steps", "TimeLimit (2)._elapsed_steps"} <= found.keys()
    assert not [name for name in found if name.startswith("Monitor") or "engine" in name or "space" in name]
    assert set(map(len, found.values())) == {8}


@pytest.mark.parametrize(("holder", "name"), [("own", "Counted.own"), ("of_all", "Counted.of_all")])
def test_what_has_changed_is_named(monkeypatch, holder, name):
    environment = Counted()
    before = attributes(environment)
    assert first_difference(before, attributes(environment), frozenset()) is None
    monkeypatch.setattr(environment if holder == "own" else Counted, holder, 1)
    assert first_difference(before, attributes(environment), frozenset()) == name
    assert first_difference(before, attributes(environment), frozenset({name})) is None


def test_the_globals_of_a_module_are_named_but_for_paths_functions_and_loggers():
    environment = GlobalBonus(Place())
    module = "tests.support.environments_with_globals"
    before = module_globals([environment])
    assert set(before) == {f"{module}.{name}" for name in ("EPISODES", "LAST", "BONUS_EPISODES")}
    environment.reset()
    assert first_difference(before, module_globals([environment, environment]), frozenset()) == f"{module}.EPISODES"


def test_globals_beyond_the_bound_share_a_digest(monkeypatch):
    monkeypatch.setattr(attributes_module, "MAX_GLOBALS", 1)
    environment = GlobalBonus(Place())
    before = module_globals([environment])
    assert len(before) == 2
    environment.reset()
    assert first_difference(before, module_globals([environment]), frozenset()) == "one of 2 other globals"


def test_one_that_is_new_is_named():
    environment: Any = Counted()
    before = attributes(environment)
    environment.more = 1
    assert first_difference(before, attributes(environment), frozenset()) == "Counted.more"
