"""The end of a supervisor: on request, on a signal, when nothing is left to do, or because its home or its log is gone."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from typing import Final

from lander.home.identity import HomeIdentity
from lander.protocol import commands as c
from lander.protocol import events as e
from lander.protocol.errors import ConflictError
from lander.store.log.event_store import EventStore, batch_of
from lander.supervisor.core.standing import LOCAL_HOST
from lander.supervisor.core.state import State
from lander.supervisor.local_host import LocalHost

LOG: Final = logging.getLogger(__name__)
FULL_SECONDS: Final = 5.0
"""How long a supervisor that is leaving waits for space on a full disk."""


class Leaving:
    """Whether the supervisor is to leave, from `begin` on, and `over` when nothing keeps it any more.

    Calls `drain` to have all that trains end, each time that it is asked to leave.
    """

    def __init__(self, identity: HomeIdentity, drain: Callable[[], None]) -> None:
        self._identity = identity
        self._drain = drain
        self._leave_by = 0.0
        self.begun = self.when_idle = False
        self.over = asyncio.Event()

    async def wait(self) -> None:
        """Return when it may leave."""
        await self.over.wait()

    def begin(self) -> None:
        """Leave as soon as what trains has ended."""
        if not self.begun:
            self.begun = True
            self._leave_by = asyncio.get_running_loop().time() + FULL_SECONDS
        self._drain()

    def asked_to(self, only_if_idle: bool, state: State) -> c.Accepted | c.Refused:
        """Leave now, or as soon as nothing is under way if it is to do so only then; returns the answer."""
        if only_if_idle and not state.idle:
            self.when_idle = True
            detail = f"still under way: {', '.join(state.busy)}; leaving when they have ended"
            return c.Refused(error=ConflictError.code, detail=detail)
        self.begin()
        return c.Accepted(detail="leaving")

    def without_log(self) -> None:
        """Exit at once: without a writable log, no decision can be recorded."""
        if self.lost_home() or self.over.is_set():
            return  # left on a full disk: the store refuses the pending appends when it closes
        LOG.critical("leaving: the event store cannot be written")
        os._exit(1)

    def on_full_disk(self) -> None:
        """Leave without a record, if it has waited long enough for room."""
        if self.begun and asyncio.get_running_loop().time() > self._leave_by:
            LOG.error("leaving with no room on the disk: what was not acknowledged is lost, and its runs resume from before it")
            self.over.set()

    def lost_home(self) -> bool:
        """Whether the home is gone; then leave without a record, and end the trainers: there is nowhere to record anything."""
        if (lost := self._identity.lost()) and not self.over.is_set():
            LOG.critical("leaving: %s; its trainers are ended, and what they say is recorded nowhere", lost)
            self.over.set()
        return bool(lost)


async def dismiss(local_host: LocalHost, store: EventStore, state: State, *, homeless: bool) -> None:
    """End the local host of a supervisor that leaves, and record it, if there is a home and room to record it."""
    await local_host.dismiss(at_once=store.full or homeless)  # no trainer can record its end then
    host = state.hosts.get(LOCAL_HOST)
    if host is not None and host.online and not homeless:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FULL_SECONDS):
                await store.append(batch_of(e.host_stream(LOCAL_HOST), e.HostLeft()))
