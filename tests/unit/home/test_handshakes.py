"""The self-test of a socket that is to let nobody in, and what happens when nobody is let in any more."""

import asyncio
import socket

import pytest
import zmq.asyncio

from lander.home import handshakes
from lander.home.handshakes import Handshakes
from lander.protocol.errors import LanderError
from tests.support.peers import TIMEOUT_SECONDS, new_keys


async def test_a_self_test_without_an_answer_says_so(monkeypatch):
    """Such as on an interface that a firewall lets nobody connect to, not even this machine."""
    monkeypatch.setattr(handshakes, "_PROOF_SECONDS", 0.1)
    context = zmq.asyncio.Context()
    tested = Handshakes(context, new_keys(), lambda key: False, lambda *refusal: None)
    tested.open()
    try:
        with socket.create_server(("127.0.0.1", 0)) as mute:
            endpoint = f"tcp://127.0.0.1:{mute.getsockname()[1]}"
            with pytest.raises(LanderError, match=f"^{endpoint}: the gate has answered no handshake within"):
                await tested.prove_closed(endpoint, "gate")
    finally:
        await tested.close()
        context.destroy(linger=0)


async def test_handshakes_that_are_answered_no_more_are_an_error_that_says_so():
    context = zmq.asyncio.Context()
    tested = Handshakes(context, new_keys(), lambda key: True, lambda *refusal: None)
    tested.open()
    try:
        watching = asyncio.create_task(tested.watch())
        await asyncio.sleep(0)
        assert not watching.done()
        tested._zap.close(linger=0)
        with pytest.raises(LanderError, match=r"^handshakes are answered no more, so nobody can connect; leaving: "):
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await watching
    finally:
        await tested.close()
        context.destroy(linger=0)
