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
import os
import secrets
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final

import psutil
import uvloop
import zmq
import zmq.asyncio
from zmq.utils.monitor import recv_monitor_message

from lander.actors.host.agent_settings import AgentSettings
from lander.actors.host.beginnings import Beginnings
from lander.actors.host.courier import Courier
from lander.actors.host.host_bits import are_kept, said_of_bits
from lander.actors.host.leases import Leases
from lander.actors.host.machine_limits import usable_memory_mb
from lander.actors.host.measuring import Gpus, Meter
from lander.actors.host.orphans import adopt_orphans
from lander.actors.host.output import Output
from lander.actors.host.trainers import LEAVE_SECONDS, Trainers
from lander.actors.trainer.file_requests import Requests
from lander.actors.trainer.mailbox import connect
from lander.home.clock import elapsed, now_microseconds
from lander.home.identity import HomeIdentity
from lander.home.keys import KeyPair
from lander.home.lock import HomeLock
from lander.protocol import versions
from lander.protocol.commands import (
    Accepted,
    CannotTrain,
    Command,
    DismissHost,
    EndTrainer,
    ExitNoted,
    Fenced,
    Hello,
    JoinHost,
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
from lander.protocol.events import ResourcesSampled
from lander.protocol.text import cut, one_line
from lander.protocol.wire import decode, encode
from lander.transfer.client import Transfer

_EVENTS: Final = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_DISCONNECTED
SAMPLE_SECONDS: Final = 2.0
REPEAT_SECONDS: Final = 2.0
FAREWELL_SECONDS: Final = 0.2
"""How long a last word may take to the supervisor; if it is lost, the host is silent, and is given up later."""
SEND_SECONDS: Final = 1.0


class HostAgent:
    """The agent of one machine; `run` returns when it is to exit."""

    def __init__(self, settings: AgentSettings, incarnation: str) -> None:
        self._settings = settings
        self._incarnation = incarnation
        self._home = Path(settings.home)
        self._identity = HomeIdentity(self._home)
        self._connection = settings.connection
        self._trainers = Trainers(self._home, self._connection, self._exited)
        self._courier = Courier(self._home, self._connect_transfer) if settings.files_travel else None
        self._gpus = Gpus()
        self._bits: dict[str, Any] = {}
        self._meter = Meter(self._home, self._gpus)
        self._output = Output()
        self._leases = Leases(self._trainers, self._send)
        self._beginnings = Beginnings(
            self._home,
            guest=settings.guest,
            requests=Requests(self._home) if settings.files_travel else None,
            leases=self._leases,
            start=self._start,
            report=self._exited,
        )
        self._exits: dict[TrainerKey, TrainerExited | CannotTrain] = {}
        self._disconnected_since: float | None = elapsed()
        self._done = asyncio.Event()
        self._leaving = self._said_farewell = False
        self._greeted_at = elapsed()
        self._round_trip: float | None = None
        self._status = 0
        self._exit_noted = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._socket = zmq.asyncio.Context.instance().socket(zmq.DEALER)

    async def run(self) -> int:
        """Serve until dismissed, signalled, refused, or disconnected for too long; then end all trainers.

        Returns the exit status: 1 if it was turned away.
        """
        signals = {signal.SIGTERM, signal.SIGINT} if self._settings.guest else {signal.SIGTERM}
        for number in signals:
            asyncio.get_running_loop().add_signal_handler(number, self._leave)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)  # our parent process blocked them until these handlers exist
        if self._settings.leave_with is not None:
            asyncio.get_running_loop().add_reader(self._settings.leave_with, self._leave_with, self._settings.leave_with)
        self._trainers.open()
        if self._settings.guest or self._settings.compared or are_kept(self._home):
            self._bits = await asyncio.to_thread(said_of_bits, self._home, _log, lambda: self._leaving)
        if not self._leaving:
            self._begin()
        await self._done.wait()
        await self._shut_down()
        return self._status

    def _begin(self) -> None:
        """Connect, and do all that this host does while it is there."""
        monitor = self._socket.get_monitor_socket(_EVENTS)
        connect(self._connection, self._settings.public_key, self._settings.secret_key, self._socket)
        for work in (self._listen(), self._watch_connection(monitor), self._measure(), self._repeat_exits()):
            self._spawn(work)
        self._spawn(self._leases.run())
        if self._courier is not None:
            self._spawn(self._courier.run())
        if (stays := self._settings.stays) is not None:
            self._spawn(self._leave_in_time(stays))

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
        self._exits[key] = report
        self._leases.forget(key)
        if isinstance(report, CannotTrain):
            _log(f"{key.run} does not train here: {self._settings.name} {report.problem}")
        self._spawn(self._send_exit(report))

    # ------------------------------------------------------------------------------------------------ the supervisor

    async def _send(self, command: Command) -> None:
        """Send a command, or drop it when there is no connection: after a reconnect, everything important is sent again."""
        if self._disconnected_since is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SEND_SECONDS):
                    await self._socket.send(encode(command))

    async def _listen(self) -> None:
        while True:
            frame = await self._socket.recv()
            try:
                await self._handle(decode(frame))
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
                self._exits.pop(TrainerKey(run=run, epoch=epoch), None)
                self._output.forget(TrainerKey(run=run, epoch=epoch))
                self._exit_noted.set()
            case LeaseRenewed():
                self._leases.renewed(command)
            case OutputNoted():
                self._output.noted(command)
            case Rejoin():
                if not self._said_farewell:  # else it is the answer to a measurement that crossed it
                    await self._join()
            case Accepted():  # the answer to `Hello`
                self._round_trip = elapsed() - self._greeted_at
                _log(f"{self._settings.name} has joined {self._settings.endpoint}")
                await self._join()
            case Refused(detail=detail):
                self._turned_away(detail)
            case Fenced():
                _log(f"leaving: the supervisor accepts {self._settings.name} no more")
                self._done.set()
            case TransferAt(port=port):
                if self._courier is not None:
                    await self._courier.connect(port)
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

    async def _watch_connection(self, monitor: zmq.asyncio.Socket) -> None:
        """Join at every new connection; exit when there has been none for too long, or the home is gone."""
        while not (lost := self._identity.lost()):
            if await monitor.poll(1000):
                message = await recv_monitor_message(monitor)
                await self._connection_changed(message["event"])
            if self._disconnected_since is not None and elapsed() - self._disconnected_since > self._settings.patience:
                self._done.set()
        _log(f"leaving: {lost}")
        self._done.set()

    async def _connection_changed(self, event: int) -> None:
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self._disconnected_since = None
            await self._greet()
        elif event == zmq.EVENT_HANDSHAKE_FAILED_AUTH and self._settings.guest:
            self._turned_away(f"{self._settings.name} is not accepted; if it was revoked, another token lets it in again")
        elif event == zmq.EVENT_DISCONNECTED and self._disconnected_since is None:
            self._disconnected_since = elapsed()
            if self._settings.guest:
                _log("the supervisor cannot be reached; what trains goes on, and this host joins again when it can")

    async def _greet(self) -> None:
        """Join; on another machine only after the supervisor said that it speaks a common version."""
        if self._settings.guest:
            self._greeted_at = elapsed()
            await self._send(Hello(release=versions.release(), oldest=versions.OLDEST, newest=versions.NEWEST))
        else:
            await self._join()

    async def _join(self) -> None:
        await self._send(
            JoinHost(
                name=self._settings.name,
                pid=os.getpid(),
                incarnation=self._incarnation,
                leaving=self._leaving,
                cpus=() if self._leaving else tuple(self._settings.cpus or sorted(os.sched_getaffinity(0))),
                gpus=self._gpus.names,
                memory_mb=usable_memory_mb(os.environ),
                trainers=self._trainers.keys,
                ages=self._trainers.ages,
                release=versions.release(),
                labels=tuple(self._settings.labels),
                **self._bits,
            )
        )
        await self._send_exits()

    async def _repeat_exits(self) -> None:
        while True:
            await asyncio.sleep(REPEAT_SECONDS)
            await self._send_exits()

    async def _send_exits(self) -> None:
        for report in list(self._exits.values()):
            await self._send_exit(report)

    async def _send_exit(self, report: TrainerExited | CannotTrain) -> None:
        for piece in self._output.rest(TrainerKey(run=report.run, epoch=report.epoch)):
            await self._send(piece)
        await self._send(report)

    async def _measure(self) -> None:
        while True:
            await asyncio.sleep(SAMPLE_SECONDS)
            try:
                sample = self._meter.measure(self._trainers.measured())
            except (OSError, psutil.Error) as error:  # a failed measurement must not end the trainers
                _log(f"cannot measure: {error}")
            else:
                await self._send(ReportResources(sample=self._timed(sample)))
            for piece in list(self._output.new()):
                await self._send(piece)

    def _timed(self, sample: ResourcesSampled) -> ResourcesSampled:
        """With the time of this machine, whose clock may be wrong; the supervisor's own machine has the supervisor's clock."""
        if not self._settings.guest:
            return sample
        return sample.model_copy(update={"sent_at": now_microseconds(), "round_trip": self._round_trip})

    # ------------------------------------------------------------------------------------------------ leaving

    def _leave(self) -> None:
        """On SIGTERM: offer no slots, let trainers stop at a boundary, and wait until the supervisor has noted each exit."""
        if not self._leaving:
            self._leaving = True
            if self._settings.guest:
                what = "what trains here writes a checkpoint first" if self._trainers.keys else "nothing trains here"
                _log(f"leaving: {what}")
            self._spawn(self._end_trainers_and_leave())

    async def _leave_in_time(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        _log("its time is nearly over")
        self._leave()

    def _leave_with(self, pipe: int) -> None:
        """Leave when the pipe has ended: so has what started this host, and what it gave is to be given back."""
        if not os.read(pipe, 4096):
            asyncio.get_running_loop().remove_reader(pipe)
            _log("what started this host has ended")
            self._leave()

    async def _end_trainers_and_leave(self) -> None:
        self._beginnings.drop_all()
        await self._join()
        await self._trainers.end_all(self._settings.grace)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_SECONDS):
                while self._exits and self._disconnected_since is None:
                    await self._exit_noted.wait()
                    self._exit_noted.clear()
        if self._settings.guest and not self._exits:  # of its own host, the supervisor sees the process end
            self._said_farewell = True
            await self._send(LeaveHost())
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
        self._socket.close(linger=0)

    def _connect_transfer(self, port: int) -> Transfer:
        settings = self._settings
        endpoint = f"{settings.endpoint.rpartition(':')[0]}:{port}"
        return Transfer(self._home, endpoint, settings.server_key, KeyPair(settings.public_key, settings.secret_key))


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
