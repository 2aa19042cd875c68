"""The host agent of the supervisor's own machine: started as a program, watched, and told to leave."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from lander.supervisor.keys import KeyPair

LOG: Final = logging.getLogger(__name__)
NAME: Final = "local"
LEAVE_SECONDS: Final = 15.0
RESTART_SECONDS: Final = 1.0


class LocalHost:
    """The agent's process; `on_end` is called each time it ends, and unless it was dismissed another takes its place."""

    def __init__(self, home: Path, keys: KeyPair, on_end: Callable[[], None]) -> None:
        self._home = home
        self._keys = keys
        self._on_end = on_end
        self._process: subprocess.Popen[bytes] | None = None
        self._pid: int | None = None
        self._pidfd: int | None = None
        self._ended = asyncio.Event()
        self._dismissed = False
        self._connection: dict[str, str] = {}

    @property
    def pid(self) -> int | None:
        """The agent's process id; None before there is one."""
        return self._pid

    def attend(self, endpoint: str, server_key: str, known_pid: int | None, *, adopt: bool) -> None:
        """Have an agent: the one with `known_pid`, if it is still there and can find us (`adopt`), else a new one."""
        self._connection = {"endpoint": endpoint, "server_key": server_key}
        if known_pid is None or not _is_host_agent(known_pid, self._home):
            self._watch(self._spawn())
        elif adopt:
            self._watch(known_pid)
        else:  # it waits at an endpoint that is not ours; its trainers die with it, and are tried again
            os.kill(known_pid, signal.SIGKILL)
            self._watch(self._spawn())

    async def dismiss(self) -> None:
        """End the agent (and with it whatever it still runs), and wait until it is gone."""
        self._dismissed = True
        if self._pidfd is None:
            return
        with contextlib.suppress(TimeoutError, ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGTERM)  # not a message: it may not have joined yet
            async with asyncio.timeout(LEAVE_SECONDS):
                await self._ended.wait()

    def _spawn(self) -> int:
        settings = {
            "name": NAME,
            "home": str(self._home),
            "public_key": self._keys.public,
            "secret_key": self._keys.secret,
            **self._connection,
        }
        with (self._home / "host.log").open("ab") as log:
            process = self._process = subprocess.Popen(
                [sys.executable, "-m", "lander.actors.host", str(self._home)],
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
        self._pid = pid
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


def _is_host_agent(pid: int, home: Path) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"lander.actors.host" in words and str(home).encode() in words
