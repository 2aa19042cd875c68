"""The program through which files travel (`lander.transfer.server`): started beside the supervisor, watched, and ended with it.

It is a process of its own, so that hashing and writing gigabytes delays no decision. It listens at the port after the
supervisor's.
"""

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from lander.home.clock import elapsed
from lander.home.file_rate import file_rate
from lander.home.keys import KeyPair
from lander.home.processes import TRANSFER, processes_of
from lander.protocol.errors import UsageError

LOG: Final = logging.getLogger(__name__)
READY_SECONDS: Final = 30.0
"""How long the program may take to listen."""
END_SECONDS: Final = 10.0
"""How long it may take to end, until it is killed."""
FREE_SECONDS: Final = 2.0
"""How long a port that is taken is waited for."""
_DYNAMIC: Final = 32768
"""Ports from here on are given to connections, and to who listens at any port."""
RESTART_SECONDS: Final = 0.5
"""The pause before it is started again; it doubles as long as it ends soon."""
MAX_RESTART_SECONDS: Final = 30.0
LONG_SECONDS: Final = 60.0
"""A program that ran so long did not end soon."""


class Transferring:
    """The process of one home. `start` it, tell it the hosts at each change, `close` it.

    `store` is the URL of the object store through which files go; empty: they go directly.
    """

    def __init__(self, home: Path, store: str = "") -> None:
        self._home = home
        self.store = store
        self._rate: int | None = None
        self._hosts: Mapping[str, str] = {}
        self._process: Process | None = None
        self._keeping: asyncio.Task[None] | None = None
        self.port = 0

    async def start(self, listen: str, pair: KeyPair, hosts: Mapping[str, str]) -> int:
        """Serve files at the port after the one of `listen` (`ADDRESS:PORT`), which is returned.

        `pair` is the supervisor's, `hosts` are the public keys of the hosts by name. Raises `UsageError` if that cannot be,
        and `ConfigurationError` for a `file_rate` in `lander.toml` that is none.
        """
        self._rate = file_rate(self._home)
        interface, _, port = listen.rpartition(":")
        self._pair = pair
        self._hosts = dict(hosts)
        for left in processes_of(self._home, TRANSFER):  # by a supervisor that was killed
            with contextlib.suppress(ProcessLookupError):
                os.kill(left.pid, signal.SIGKILL)
        began = elapsed()
        problem = await self._listen_at(interface, int(port) + 1)
        if problem and int(port) >= _DYNAMIC:  # nobody has chosen it, and any connection may have taken the next one
            problem = await self._listen_at(interface, 0)
        if problem:
            raise UsageError(
                f"--listen {listen}: files travel through the next port, {int(port) + 1}, which cannot be used: {problem};"
                " choose another port with a free one after it"
            )
        self._listen = f"{interface}:{self.port}"
        self._keeping = asyncio.create_task(self._keep(began), name="transferring")
        return self.port

    async def _listen_at(self, interface: str, port: int) -> str:
        """Start the process at a port, 0 for any; tries for a while, since one that was killed still ends."""
        self._listen = f"{interface}:{port}"
        ends = elapsed() + FREE_SECONDS
        while problem := await self._launch():
            await self._end()
            if elapsed() > ends:
                break
            await asyncio.sleep(0.2)
        return problem

    def follow(self, hosts: Mapping[str, str]) -> None:
        """Serve these hosts and no others, by name and public key."""
        if hosts != self._hosts:
            self._hosts = dict(hosts)
            self._write({"hosts": self._hosts})

    async def close(self) -> None:
        """End the process; what has arrived of a file goes on with the next one."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        await self._end()

    async def _launch(self) -> str:
        """Start the process and wait until it listens; returns why it does not."""
        command = [sys.executable, "-m", TRANSFER, str(self._home)]
        try:
            self._process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, start_new_session=True)
        except OSError as error:  # no processes or file descriptors are left for the moment
            return error.strerror or str(error)
        self._write(
            {
                "listen": self._listen,
                "public_key": self._pair.public,
                "secret_key": self._pair.secret,
                "hosts": self._hosts,
                "rate": self._rate,
                "store": self.store,
            }
        )
        try:
            async with asyncio.timeout(READY_SECONDS):
                line = await self._process.stdout.readline() if self._process.stdout is not None else b""
            said = json.loads(line)
            self.port = int(said.get("port", self.port))
            return str(said.get("error", ""))
        except TimeoutError:
            return f"did not listen within {READY_SECONDS:.0f} s"
        except ValueError:
            return "ended at its start"

    def _write(self, fields: Mapping[str, object]) -> None:
        if self._process is not None and self._process.stdin is not None and self._process.returncode is None:
            self._process.stdin.write(json.dumps(fields).encode() + b"\n")

    async def _keep(self, began: float) -> None:
        """Start the process again whenever it ends."""
        pause = RESTART_SECONDS
        while self._process is not None:
            status = await self._process.wait()
            pause = RESTART_SECONDS if elapsed() - began > LONG_SECONDS else pause
            LOG.error("the transfer of files ended (status %d); starting it again in %.1f s", status, pause)
            await asyncio.sleep(pause)
            pause = min(MAX_RESTART_SECONDS, 2 * pause)
            began = elapsed()
            if problem := await self._launch():
                LOG.error("the transfer of files does not serve: %s", problem)
                await self._end()

    async def _end(self) -> None:
        """Close its standard input, at which it ends, and wait until it has."""
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(END_SECONDS):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
