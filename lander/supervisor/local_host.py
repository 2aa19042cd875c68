"""The host agent on the supervisor's own machine: start its process, watch it, and end it."""

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
from lander.home.processes import AGENT, processes_of
from lander.supervisor.core.standing import LOCAL_HOST

LOG: Final = logging.getLogger(__name__)
LEAVE_SECONDS: Final = 15.0
"""Seconds between SIGTERM and SIGKILL for a dismissed agent; it has no trainers left to end, unless the disk is full."""
RESTART_SECONDS: Final = 1.0
_ENDED: Final = "its process ended"


class LocalHost:
    """The agent's process. Calls `on_end` each time it ends, with the reason, and starts a new one unless it was dismissed.

    With `compared`, the agent finds out what this machine computes before it joins.
    """

    def __init__(self, home: Path, keys: KeyPair, on_end: Callable[[str], None], *, compared: bool) -> None:
        self._home = home
        self._keys = keys
        self._on_end = on_end
        self._compared = compared
        self._process: subprocess.Popen[bytes] | None = None
        self._incarnation: str | None = None
        self._pidfd: int | None = None
        self._ended = asyncio.Event()
        self._dismissed = False
        self._why = _ENDED
        self._connection: dict[str, str] = {}

    def is_ours(self, incarnation: str) -> bool:
        """Whether this is our agent, among all that ever held the host key; before the first one, each may be."""
        return self._incarnation in (None, incarnation)

    def ensure_agent(self, endpoint: str, server_key: str, known: str | None, *, adopt: bool) -> None:
        """Make sure that one agent runs: the `known` incarnation if it lives and can reach us (`adopt`), else a new one.

        Kills every other agent of this home: it may connect to an old endpoint, or its supervisor died before it recorded
        the agent. Trainers die with their agent and are retried.
        """
        self._connection = {"endpoint": endpoint, "server_key": server_key}
        adopted = None
        for agent in processes_of(self._home, AGENT):
            if adopt and agent.arguments[:1] == (known,):
                adopted = agent.pid
            else:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(agent.pid, signal.SIGKILL)
        if adopted is not None:
            self._incarnation = known
            self._watch(adopted)
        else:
            self._watch(self._spawn())

    def end_agent(self, why: str) -> None:
        """Kill an agent that does not answer, for example since it is frozen; another is started, as after any end.

        Its trainers die with it, so that none trains beside its next attempt.
        """
        if self._pidfd is not None:
            self._why = why
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    async def dismiss(self, *, at_once: bool = False) -> None:
        """End the agent, with every trainer it still runs, and wait until its process is gone."""
        self._dismissed = True
        signals = (signal.SIGKILL,) if at_once else (signal.SIGTERM, signal.SIGKILL)
        for number in signals:  # a signal and not a message, since the agent may not have joined yet
            if self._pidfd is None:
                return
            with contextlib.suppress(TimeoutError, ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)
                async with asyncio.timeout(LEAVE_SECONDS):
                    await self._ended.wait()

    def _spawn(self) -> int:
        self._incarnation = secrets.token_hex(8)
        settings = {
            "name": LOCAL_HOST,
            "home": str(self._home),
            "public_key": self._keys.public,
            "secret_key": self._keys.secret,
            "compared": self._compared,
            **self._connection,
        }
        with (self._home / "host.log").open("ab") as log, _sigterm_blocked():
            process = self._process = subprocess.Popen(
                [sys.executable, "-m", AGENT, str(self._home), self._incarnation],
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
            self._process_ended()
            return
        asyncio.get_running_loop().add_reader(self._pidfd, self._process_ended)

    def _process_ended(self) -> None:
        loop = asyncio.get_running_loop()
        if self._pidfd is not None:
            loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None
        if self._process is not None:
            self._process.wait()
        self._ended.set()
        self._on_end(self._why)
        self._why = _ENDED
        if not self._dismissed:
            loop.call_later(RESTART_SECONDS, self._replace)

    def _replace(self) -> None:
        if self._dismissed:
            return
        try:
            self._watch(self._spawn())
        except OSError as error:  # out of processes or file descriptors for the moment
            LOG.error("cannot start a host agent: %s; trying again", error)
            asyncio.get_running_loop().call_later(RESTART_SECONDS, self._replace)


@contextlib.contextmanager
def _sigterm_blocked() -> Iterator[None]:
    """Block SIGTERM; a process started inside inherits this. The agent unblocks SIGTERM once it can shut down cleanly."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
