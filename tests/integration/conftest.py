"""Fixtures of the gate."""

import pytest

from tests.support.gate_fixture import KEYS, GateFixture
from tests.support.peers import street


@pytest.fixture
async def yard():
    """An open gate that answers."""
    yard = GateFixture()
    await yard.open()
    yield yard
    await yard.close()


@pytest.fixture
def knock(yard):
    """`peer = knock(name)`: somebody who holds the key of this name, or the keys given."""
    with street() as anywhere:

        def knock_here(keys, **more):
            return anywhere(yard.gate.endpoint, KEYS["gate"].public, KEYS[keys] if isinstance(keys, str) else keys, **more)

        yield knock_here
