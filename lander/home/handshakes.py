"""Who may connect to a ROUTER of ours: the owners of known keys, and nobody else.

CURVE by itself accepts any key: our ZAP handler decides, for a domain that is set and enforced, and `prove_closed` proves with
a random key that it does.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Literal

import zmq
import zmq.asyncio
from zmq.utils import z85
from zmq.utils.monitor import recv_monitor_message

from lander.home.keys import KeyPair
from lander.home.relay import BUFFER_BYTES
from lander.protocol.errors import LanderError

DOMAIN: Final = b"lander"
_PROOF_SECONDS: Final = 10.0
Turned = Literal["stranger", "malformed"]
"""Why a handshake is refused: an unknown key, or one that cannot be understood."""


class Handshakes:
    """Answers the handshakes of one context. `knows` says whose key is known; `refused` hears of each refusal, in words."""

    def __init__(
        self,
        context: zmq.asyncio.Context,
        keys: KeyPair,
        knows: Callable[[str], bool],
        refused: Callable[[Turned, str], object],
    ) -> None:
        self._context = context
        self._keys = keys
        self._knows = knows
        self._refused = refused
        self._over = asyncio.Event()
        self._self_test_key = ""
        """The random key of the self-test: its refusal is expected and not told."""

    def open(self) -> None:
        """Answer from now on; before a socket of the context is bound."""
        self._zap = self._context.socket(zmq.REP)
        self._zap.bind("inproc://zeromq.zap.01")
        self._task = asyncio.create_task(self._answer(), name="ZAP")
        self._task.add_done_callback(lambda _: self._over.set())

    def router(self, max_message: int, received: int, unsent: int) -> "zmq.Socket[bytes]":
        """A ROUTER behind a relay, not bound yet, that lets in nobody without an answer of ours.

        `max_message` bounds a frame in bytes, `received` and `unsent` the messages of a connection that wait; 0: no bound.
        """
        router: zmq.Socket[bytes] = zmq.Context.shadow(self._context.underlying).socket(zmq.ROUTER)
        router.setsockopt(zmq.CURVE_SERVER, 1)
        router.setsockopt(zmq.CURVE_SECRETKEY, self._keys.secret.encode())
        router.setsockopt(zmq.ZAP_DOMAIN, DOMAIN)
        router.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
        router.setsockopt(zmq.ROUTER_MANDATORY, 1)
        router.setsockopt(zmq.MAXMSGSIZE, max_message)
        router.setsockopt(zmq.LINGER, 0)
        router.setsockopt(zmq.HANDSHAKE_IVL, 5000)
        router.setsockopt(zmq.RCVHWM, received)
        router.setsockopt(zmq.SNDHWM, unsent)
        router.setsockopt(zmq.RCVBUF, BUFFER_BYTES)
        return router

    async def prove_closed(self, endpoint: str, what: str) -> None:
        """Self-test: connect with a random key; raises `LanderError` unless the handshake is refused."""
        stranger = self._context.socket(zmq.DEALER)
        stranger.curve_serverkey = self._keys.public.encode()
        public, stranger.curve_secretkey = zmq.curve_keypair()
        stranger.curve_publickey, self._self_test_key = public, public.decode()
        monitor = stranger.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_HANDSHAKE_FAILED_AUTH)
        stranger.connect(endpoint)
        try:
            async with asyncio.timeout(_PROOF_SECONDS):
                event = (await recv_monitor_message(monitor))["event"]
        except TimeoutError as error:
            raise LanderError(
                f"{endpoint}: the {what} has answered no handshake within {_PROOF_SECONDS:.0f} s; not starting"
            ) from error
        finally:
            stranger.disable_monitor()
            monitor.close(linger=0)
            stranger.close(linger=0)
        if event != zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            raise LanderError(f"the {what} let a stranger's key in; not starting")

    async def watch(self) -> None:
        """Return never; raises `LanderError` when handshakes are answered no more: every later one would hang, unseen."""
        await self._over.wait()
        error = None if self._task.cancelled() else self._task.exception()
        raise LanderError(f"handshakes are answered no more, so nobody can connect; leaving: {error!r}") from error

    async def _answer(self) -> None:
        """ZAP (rfc.zeromq.org/spec/27): answer every request, also a malformed one, or every later handshake would hang."""
        while True:
            request = await self._zap.recv_multipart()
            status, user = b"400", b""
            try:
                *_, mechanism, credential = request
                key = z85.encode(credential).decode()
                if request[2] == DOMAIN and mechanism == b"CURVE" and self._knows(key):
                    status, user = b"200", key.encode()
                elif key != self._self_test_key:
                    self._refused("stranger", "a handshake with an unknown key")
            except Exception as error:
                self._refused("malformed", f"a malformed handshake: {error}")
            request_id = request[1] if len(request) > 1 else b""
            await self._zap.send_multipart([b"1.0", request_id, status, b"", user, b""])

    async def close(self) -> None:
        """Answer no more; closing the context closes the socket."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
