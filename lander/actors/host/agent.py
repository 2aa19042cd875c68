"""The host agent: starts, watches, measures and ends the trainers of one machine.

It makes no decisions. The supervisor orders which trainers to start and to end; the agent reports which started, which ended,
and how. Without a connection to the supervisor its trainers go on, and at the next connection it reports which are alive.
After a time (`agent_settings.py`) it ends its trainers and exits, so that no processes without an owner stay on the machine.
On SIGTERM, or when what started it has ended, its trainers first write their checkpoints, and the agent exits when the
supervisor has recorded how they ended.
"""

import asyncio
import contextlib
import json
import random
import secrets
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final

import psutil
import uvloop

from lander.actors.host.agent_settings import AgentSettings
from lander.actors.host.beginnings import Beginnings
from lander.actors.host.courier import Courier
from lander.actors.host.departure import Departure
from lander.actors.host.exits import Exits
from lander.actors.host.gpus import Gpus, torch_without_cuda
from lander.actors.host.introduction import Introduction
from lander.actors.host.leases import Leases
from lander.actors.host.measuring import Meter
from lander.actors.host.orphans import adopt_orphans
from lander.actors.host.output import Output
from lander.actors.host.supervisor_link import SupervisorLink
from lander.actors.host.trainers import LEAVE_SECONDS, Trainers
from lander.actors.trainer.file_requests import Requests
from lander.home.identity import HomeIdentity
from lander.home.keys import KeyPair
from lander.home.lock import HomeLock
from lander.protocol.commands import (
    Accepted,
    CannotTrain,
    Command,
    DismissHost,
    EndTrainer,
    ExitNoted,
    Fenced,
    LeaseRenewed,
    LeaveHost,
    OutputNoted,
    Refused,
    Rejoin,
    ReportResources,
    StartTrainer,
    TrainerExited,
    TrainerKey,
    TransferAt,
)
from lander.protocol.errors import WireError
from lander.protocol.text import cut, one_line
from lander.transfer.client import Transfer

SAMPLE_SECONDS: Final = 2.0
LOOK_MILLISECONDS: Final = 1000
"""How often it looks whether its home is there, and for how long there has been no connection."""
FAREWELL_SECONDS: Final = 0.2
"""How long a last word may take to the supervisor; if it is lost, the host is silent, and is given up later."""


class HostAgent:
    """The agent of one machine; `run` returns when it is to exit."""

    def __init__(self, settings: AgentSettings, incarnation: str) -> None:
        self._settings = settings
        self._home = Path(settings.home)
        self._identity = HomeIdentity(self._home)
        self._departure = Departure(settings, _log, self._leave)
        self._link = SupervisorLink(settings, _log, self._greet, self._not_accepted)
        self._trainers = Trainers(self._home, settings.connection, self._exited)
        self._courier = Courier(self._home, self._connect_transfer) if settings.files_travel else None
        self._gpus = Gpus([] if torch_without_cuda() else settings.gpus)
        self._introduction = Introduction(settings, incarnation, self._gpus, self._trainers)
        self._meter = Meter(self._home, self._gpus)
        self._output = Output()
        self._exits = Exits(self._output, self._link.send)
        self._leases = Leases(self._trainers, self._link.send)
        self._beginnings = Beginnings(
            self._home,
            guest=settings.guest,
            requests=Requests(self._home) if settings.files_travel else None,
            leases=self._leases,
            start=self._start,
            report=self._exited,
        )
        self._done = asyncio.Event()
        self._leaving = self._said_farewell = False
        self._status = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> int:
        """Serve until dismissed, signalled, refused, or disconnected for too long; then end all trainers.

        Returns the exit status: 1 if it was turned away.
        """
        self._departure.listen()
        self._trainers.open()
        await self._introduction.find_bits(_log, lambda: self._leaving)
        if not self._leaving:
            self._begin()
        await self._done.wait()
        await self._shut_down()
        return self._status

    def _begin(self) -> None:
        """Connect, and do all that this host does while it is there."""
        for missing in self._gpus.missing:
            _log(f"{missing}: it is not offered; nvidia-smi says more")
        self._link.open()
        for work in (self._listen(), self._watch_connection(), self._measure(), self._exits.repeat()):
            self._spawn(work)
        self._spawn(self._leases.run())
        self._spawn(self._departure.leave_in_time())
        if self._courier is not None:
            self._spawn(self._courier.run())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_ended)

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log(repr(error))
            self._done.set()

    def _exited(self, report: TrainerExited | CannotTrain) -> None:
        key = TrainerKey(run=report.run, epoch=report.epoch)
        self._exits.add(key, report)
        self._leases.forget(key)
        if isinstance(report, CannotTrain):
            _log(f"{key.run} does not train here: {self._settings.name} {report.problem}")
        self._spawn(self._exits.say(report))

    # ------------------------------------------------------------------------------------------------ the supervisor

    async def _listen(self) -> None:
        while True:
            try:
                await self._handle(await self._link.receive())
            except WireError as error:
                _log(f"cannot read the supervisor: {error}")

    async def _handle(self, command: Command) -> None:
        match command:
            case StartTrainer(order=order):
                if TrainerKey(run=order.run, epoch=order.epoch) not in self._exits and not self._leaving:
                    self._beginnings.order(command)
            case EndTrainer(run=run, epoch=epoch, grace=grace, traceback=traceback):
                key = TrainerKey(run=run, epoch=epoch)
                if not self._beginnings.drop(key):
                    self._spawn(self._trainers.end(key, grace, grace, traceback=traceback))
            case ExitNoted(run=run, epoch=epoch):
                self._exits.noted(TrainerKey(run=run, epoch=epoch))
            case LeaseRenewed():
                self._leases.renewed(command)
            case OutputNoted():
                self._output.noted(command)
            case Rejoin():
                if not self._said_farewell:  # else it is the answer to a measurement that crossed it
                    await self._join()
            case Accepted():  # the answer to `Hello`
                self._link.greeted()
                _log(f"{self._settings.name} has joined {self._settings.endpoint}")
                await self._join()
            case Refused(detail=detail):
                self._turned_away(detail)
            case Fenced():  # the answer to each message
                if not self._done.is_set():
                    _log(f"leaving: the supervisor accepts {self._settings.name} no more")
                self._done.set()
            case TransferAt(port=port, store=store):
                if self._courier is not None:
                    await self._courier.connect(port, store)
            case DismissHost():
                self._done.set()
            case _:
                raise WireError(f"a host agent does not take {command.kind}")

    def _start(self, command: StartTrainer) -> None:
        self._trainers.start(command)
        if self._courier is not None:
            key = TrainerKey(run=command.order.run, epoch=command.order.epoch)
            self._output.follow(key, *self._trainers.log_of(key))

    def _turned_away(self, why: str) -> None:
        if self._status == 0:  # once is enough, however often it is refused
            _log(f"leaving: {why}")
        self._status = 1
        self._done.set()

    def _not_accepted(self) -> None:
        self._turned_away(f"{self._settings.name} is not accepted; if it was revoked, another token lets it in again")

    async def _watch_connection(self) -> None:
        """Join at every new connection; exit when there has been none for too long, or the home is gone."""
        while not (lost := self._identity.lost()):
            await self._link.watch(LOOK_MILLISECONDS)
            if self._link.disconnected_seconds > self._settings.patience:
                self._done.set()
        _log(f"leaving: {lost}")
        self._done.set()

    async def _greet(self) -> None:
        """Join; on another machine only after the supervisor said that it speaks a common version."""
        if self._settings.guest:
            await self._link.greet()
        else:
            await self._join()

    async def _join(self) -> None:
        await self._link.send(self._introduction.join(leaving=self._leaving))
        await self._exits.say_all()

    async def _measure(self) -> None:
        await asyncio.sleep(random.uniform(0.0, SAMPLE_SECONDS))  # hosts that an engine starts at once must not speak at once
        while True:
            await asyncio.sleep(SAMPLE_SECONDS)
            try:
                files_wait = "" if self._courier is None else self._courier.problem
                sample = self._meter.measure(self._trainers.measured(), files_wait)
            except (OSError, psutil.Error) as error:  # a failed measurement must not end the trainers
                _log(f"cannot measure: {error}")
            else:
                await self._link.send(ReportResources(sample=self._link.timed(sample)))
            for piece in list(self._output.new()):
                await self._link.send(piece)

    # ------------------------------------------------------------------------------------------------ leaving

    def _leave(self) -> None:
        """On SIGTERM: offer no slots, let trainers stop at a boundary, and wait until the supervisor has noted each exit."""
        if not self._leaving:
            self._leaving = True
            if self._settings.guest:
                what = "what trains here writes a checkpoint first" if self._trainers.keys else "nothing trains here"
                _log(f"leaving: {what}")
            self._spawn(self._end_trainers_and_leave())

    async def _end_trainers_and_leave(self) -> None:
        self._beginnings.drop_all()
        await self._join()
        await self._trainers.end_all(self._settings.grace)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_SECONDS):
                await self._exits.all_noted(lambda: self._link.connected)
        if self._settings.guest and not self._exits:  # of its own host, the supervisor sees the process end
            self._said_farewell = True
            await self._link.send(LeaveHost())
            await asyncio.sleep(FAREWELL_SECONDS)
        self._done.set()

    async def _shut_down(self) -> None:
        if not self._identity.lost():  # else there is nowhere to write a checkpoint
            await self._trainers.end_all(LEAVE_SECONDS)
        for task in list(self._tasks):
            task.cancel()
        self._trainers.close()
        if self._courier is not None:
            await self._courier.close()
        self._link.close()

    def _connect_transfer(self, port: int, store: str) -> Transfer:
        settings = self._settings
        endpoint = f"{settings.endpoint.rpartition(':')[0]}:{port}"
        return Transfer(self._home, endpoint, settings.server_key, KeyPair(settings.public_key, settings.secret_key), store)


def _log(text: str) -> None:
    print(one_line(f"host agent: {cut(text)}"), file=sys.stderr, flush=True)


def main() -> int:
    """`python -m lander.actors.host.agent HOME [INCARNATION]`, settings as JSON on standard input."""
    settings = AgentSettings(**json.loads(sys.stdin.readline()))
    incarnation = sys.argv[2] if len(sys.argv) > 2 else secrets.token_hex(8)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    adopt_orphans()

    async def serve() -> int:
        return await HostAgent(settings, incarnation).run()

    with HomeLock(Path(settings.home)) if settings.guest else contextlib.nullcontext():  # else the supervisor holds it
        return uvloop.run(serve())


if __name__ == "__main__":
    sys.exit(main())
