"""The host agent of the supervisor's own machine: started as a program, watched, and told to leave."""

import asyncio
import contextlib
import json
import logging
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from lander.home.keys import KeyPair

LOG: Final = logging.getLogger(__name__)
NAME: Final = "local"
LEAVE_SECONDS: Final = 15.0
"""How long a dismissed agent may take to go by itself: it has nothing to end any more, unless the disk is full."""
RESTART_SECONDS: Final = 1.0
_MODULE: Final = "lander.actors.host.agent"


class LocalHost:
    """The agent's process; `on_end` is called each time it ends, and unless it was dismissed another takes its place."""

    def __init__(self, home: Path, keys: KeyPair, on_end: Callable[[], None]) -> None:
        self._home = home
        self._keys = keys
        self._on_end = on_end
        self._process: subprocess.Popen[bytes] | None = None
        self._incarnation: str | None = None
        self._pidfd: int | None = None
        self._ended = asyncio.Event()
        self._dismissed = False
        self._connection: dict[str, str] = {}

    @property
    def incarnation(self) -> str | None:
        """Which agent is ours, among all that ever held its key; None before there is one."""
        return self._incarnation

    def attend(self, endpoint: str, server_key: str, known: str | None, *, adopt: bool) -> None:
        """Have an agent: the known incarnation, if it is still there and can find us (`adopt`), else a new one.

        Any other of this home is ended: one that waits at an endpoint that is not ours, or that no log knows of since its
        supervisor died too soon. Its trainers die with it, and are tried again.
        """
        self._connection = {"endpoint": endpoint, "server_key": server_key}
        adopted = None
        for pid, incarnation in _agents_of(self._home):
            if adopt and incarnation == known:
                adopted = pid
            else:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        if adopted is not None:
            self._incarnation = known
            self._watch(adopted)
        else:
            self._watch(self._spawn())

    async def dismiss(self, *, at_once: bool = False) -> None:
        """End the agent (and with it whatever it still runs), and wait until it is gone."""
        self._dismissed = True
        signals = (signal.SIGKILL,) if at_once else (signal.SIGTERM, signal.SIGKILL)
        for number in signals:  # and not by a message: it may not have joined yet
            if self._pidfd is None:
                return
            with contextlib.suppress(TimeoutError, ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)
                async with asyncio.timeout(LEAVE_SECONDS):
                    await self._ended.wait()

    def _spawn(self) -> int:
        self._incarnation = secrets.token_hex(8)
        settings = {
            "name": NAME,
            "home": str(self._home),
            "public_key": self._keys.public,
            "secret_key": self._keys.secret,
            **self._connection,
        }
        with (self._home / "host.log").open("ab") as log, _sigterm_held_back():
            process = self._process = subprocess.Popen(
                [sys.executable, "-m", _MODULE, str(self._home), self._incarnation],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if process.stdin is not None:
            with process.stdin as pipe:
                pipe.write(json.dumps(settings).encode() + b"\n")
        return process.pid

    def _watch(self, pid: int) -> None:
        self._ended.clear()
        try:
            self._pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            self._over()
            return
        asyncio.get_running_loop().add_reader(self._pidfd, self._over)

    def _over(self) -> None:
        loop = asyncio.get_running_loop()
        if self._pidfd is not None:
            loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None
        if self._process is not None:
            self._process.wait()
        self._ended.set()
        self._on_end()
        if not self._dismissed:
            loop.call_later(RESTART_SECONDS, self._replace)

    def _replace(self) -> None:
        if self._dismissed:
            return
        try:
            self._watch(self._spawn())
        except OSError as error:  # no process or descriptor to be had just now
            LOG.error("cannot start a host agent: %s; trying again", error)
            asyncio.get_running_loop().call_later(RESTART_SECONDS, self._replace)


def _agents_of(home: Path) -> Iterator[tuple[int, str]]:
    """The process id and incarnation of every host agent of this home on this machine."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if _MODULE.encode() in words and str(home).encode() in words:
                    yield int(entry.name), words[words.index(str(home).encode()) + 1].decode("ascii", "replace")


@contextlib.contextmanager
def _sigterm_held_back() -> Iterator[None]:
    """What is started meanwhile inherits it: an agent lets SIGTERM through once it can leave in good order."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
