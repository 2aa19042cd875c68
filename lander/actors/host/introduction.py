"""What a host says of itself when it joins: its agent, what it offers, and what trains there."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lander.actors.host.agent_settings import AgentSettings
from lander.actors.host.gpus import Gpus
from lander.actors.host.host_bits import are_kept, said_of_bits
from lander.actors.host.machine_limits import usable_memory_mb
from lander.actors.host.trainers import Trainers
from lander.protocol import versions
from lander.protocol.commands import JoinHost


class Introduction:
    """Makes the `JoinHost` of one agent, whose start is its `incarnation`."""

    def __init__(self, settings: AgentSettings, incarnation: str, gpus: Gpus, trainers: Trainers) -> None:
        self._settings = settings
        self._incarnation = incarnation
        self._gpus = gpus
        self._trainers = trainers
        self._bits: dict[str, Any] = {"devices": gpus.devices()}

    async def find_bits(self, log: Callable[[str], None], given_up: Callable[[], bool]) -> None:
        """Find out what this machine computes, where that matters; the first time it takes seconds, unless it is `given_up`."""
        home = Path(self._settings.home)
        if self._settings.guest or self._settings.compared or are_kept(home):
            self._bits |= await asyncio.to_thread(said_of_bits, home, self._gpus, log, given_up)

    def join(self, *, leaving: bool) -> JoinHost:
        """As of now; a host that is leaving offers no cores."""
        return JoinHost(
            name=self._settings.name,
            pid=os.getpid(),
            incarnation=self._incarnation,
            leaving=leaving,
            cpus=() if leaving else tuple(self._settings.cpus or sorted(os.sched_getaffinity(0))),
            gpus=self._gpus.names,
            memory_mb=usable_memory_mb(os.environ),
            trainers=self._trainers.keys,
            ages=self._trainers.ages,
            release=versions.release(),
            labels=tuple(self._settings.labels),
            **self._bits,
        )
