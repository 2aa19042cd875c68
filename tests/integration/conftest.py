"""Fixtures of the gate."""

import pytest

from lander.actors.host.host_bits import host_bits
from tests.support.gate_fixture import KEYS, GateFixture
from tests.support.peers import open_peers


@pytest.fixture(scope="session")
def measured(tmp_path_factory):
    """A home with what this machine computes, which takes seconds to find out."""
    home = tmp_path_factory.mktemp("measured")
    host_bits(home, print)
    return home


@pytest.fixture
async def gate_fixture():
    """An open gate that answers."""
    gate_fixture = GateFixture()
    await gate_fixture.open()
    yield gate_fixture
    await gate_fixture.close()


@pytest.fixture
def connect_peer(gate_fixture):
    """`peer = connect_peer(name)`: somebody who holds the key of this name, or the keys given."""
    with open_peers() as anywhere:

        def connect_here(keys, **more):
            return anywhere(
                gate_fixture.gate.endpoint, KEYS["gate"].public, KEYS[keys] if isinstance(keys, str) else keys, **more
            )

        yield connect_here
