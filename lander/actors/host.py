"""The host agent: starts, watches, measures and ends the trainers of one machine.

It decides nothing. The supervisor says what to start and what to end; the agent says what started, what ended and how. When
the supervisor is away it carries on, and on its return says what is alive; when it stays away too long, the agent ends its
trainers and leaves rather than haunt the machine.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgpack
import psutil
import uvloop
import zmq
import zmq.asyncio
from zmq.utils.monitor import recv_monitor_message

from lander.actors.mailbox import Connection, connect
from lander.actors.resources import MB, Gpus, Meter
from lander.actors.zygote import PACKET_BYTES
from lander.protocol.commands import (
    Command,
    DismissHost,
    EndTrainer,
    ExitNoted,
    JoinHost,
    ReportResources,
    StartTrainer,
    TrainerExited,
    TrainerKey,
)
from lander.protocol.errors import WireError
from lander.protocol.experiment import RunKey
from lander.protocol.wire import decode, encode

SAMPLE_SECONDS: Final = 2.0
REPEAT_SECONDS: Final = 2.0
ZYGOTE_SECONDS: Final = 1.0
"""Between a zygote's death and the next one: a machine that cannot warm one up is not to be kept busy trying."""
LEAVE_SECONDS: Final = 5.0
ALONE_SECONDS: Final = 600.0
"""How long trainers may go on without a supervisor."""
_LOG_TAIL_BYTES: Final = 2000
_THREAD_CAPS: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class Settings(Connection):
    """What the agent is told at its start, as JSON on its standard input."""

    name: str
    home: str
    public_key: str
    secret_key: str


@dataclass
class _Trainer:
    key: TrainerKey
    order: StartTrainer
    log: Path
    pid: int | None = None
    pidfd: int | None = None
    doomed: bool = False
    """Its end was due before it was forked."""
    gone: asyncio.Event = field(default_factory=asyncio.Event)


class Host:
    """The agent of one machine; `run` is its whole life."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._home = Path(settings.home)
        self._gpus = Gpus()
        self._meter = Meter(self._home, self._gpus)
        self._trainers: dict[TrainerKey, _Trainer] = {}
        self._exits: dict[TrainerKey, TrainerExited] = {}
        self._alone_since: float | None = time.monotonic()
        self._done = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._socket = zmq.asyncio.Context.instance().socket(zmq.DEALER)

    async def run(self) -> None:
        """Serve until dismissed, or until the supervisor has been away too long."""
        connection = Connection(endpoint=self._settings.endpoint, server_key=self._settings.server_key)
        self._start_zygote(connection)
        monitor = self._socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)
        connect(connection, self._settings.public_key, self._settings.secret_key, self._socket)
        for work in (self._listen(), self._watch_connection(monitor), self._measure(), self._repeat_exits()):
            self._spawn(work)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._done.set)
        await self._done.wait()
        await self._end_everything()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._reap)

    def _reap(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            print(f"host agent: {error!r}", file=sys.stderr, flush=True)
            self._done.set()

    # ------------------------------------------------------------------------------------------------ the zygote

    def _start_zygote(self, connection: Connection) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-m", "lander.actors.zygote", str(os.getpid()), str(theirs.fileno())]
        self._zygote = subprocess.Popen(
            [*command, str(self._home), connection.model_dump_json()],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env=os.environ | dict.fromkeys(_THREAD_CAPS, "1") | {"PYTORCH_NVML_BASED_CUDA_CHECK": "1"},
        )
        theirs.close()
        self._channel = ours
        asyncio.get_running_loop().add_reader(ours.fileno(), self._hear_zygote)

    def _hear_zygote(self) -> None:
        try:
            packet = self._channel.recv(PACKET_BYTES)
        except ConnectionResetError:  # it died with orders unread
            packet = b""
        if not packet:
            self._lose_zygote()
            return
        match msgpack.unpackb(packet, use_list=False):
            case ("forked", run, epoch, pid):
                self._forked(TrainerKey(run=run, epoch=epoch), pid)
            case ("exited", run, epoch, exit_code, signal_, out_of_memory):
                self._exited(TrainerKey(run=run, epoch=epoch), exit_code, signal_, out_of_memory)
            case _:
                pass

    def _forked(self, key: TrainerKey, pid: int) -> None:
        trainer = self._trainers[key]
        trainer.pid, trainer.pidfd = pid, os.pidfd_open(pid)
        if trainer.doomed:
            self._signal(key, signal.SIGKILL)

    def _lose_zygote(self) -> None:
        """The zygote is dead, and with it every trainer; a new one takes its place."""
        asyncio.get_running_loop().remove_reader(self._channel.fileno())
        self._channel.close()
        self._zygote.wait()
        for key in list(self._trainers):
            self._exited(key, None, "SIGKILL", False)
        asyncio.get_running_loop().call_later(ZYGOTE_SECONDS, self._replace_zygote)

    def _replace_zygote(self) -> None:
        if not self._done.is_set():
            self._start_zygote(Connection(endpoint=self._settings.endpoint, server_key=self._settings.server_key))

    def _exited(self, key: TrainerKey, exit_code: int | None, signal_: str | None, out_of_memory: bool) -> None:
        trainer = self._trainers.pop(key)
        trainer.gone.set()
        if trainer.pidfd is not None:
            os.close(trainer.pidfd)
        report = TrainerExited(
            run=key.run,
            epoch=key.epoch,
            exit_code=exit_code,
            signal=signal_,
            out_of_memory=out_of_memory,
            log_tail=_tail(trainer.log) if exit_code != 0 else "",
        )
        self._exits[key] = report
        self._spawn(self._tell(report))

    # ------------------------------------------------------------------------------------------------ the supervisor

    async def _tell(self, command: Command) -> None:
        if self._alone_since is None:
            await self._socket.send(encode(command))

    async def _listen(self) -> None:
        while True:
            frame = await self._socket.recv()
            try:
                await self._obey(decode(frame))
            except WireError as error:
                print(f"host agent: cannot read the supervisor: {error}", file=sys.stderr, flush=True)

    async def _obey(self, command: Command) -> None:
        match command:
            case StartTrainer():
                self._start(command)
            case EndTrainer(run=run, epoch=epoch, grace=grace):
                self._spawn(self._end(TrainerKey(run=run, epoch=epoch), grace, grace))
            case ExitNoted(run=run, epoch=epoch):
                self._exits.pop(TrainerKey(run=run, epoch=epoch), None)
            case DismissHost():
                self._done.set()
            case _:
                raise WireError(f"a host agent does not take {command.kind}")

    async def _watch_connection(self, monitor: zmq.asyncio.Socket) -> None:
        """Say who we are at every connection; leave when there has been none for too long."""
        while True:
            if await monitor.poll(1000):
                message = await recv_monitor_message(monitor)
                if message["event"] == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                    self._alone_since = None
                    await self._join()
                else:
                    self._alone_since = self._alone_since or time.monotonic()
            if self._alone_since is not None and time.monotonic() - self._alone_since > ALONE_SECONDS:
                self._done.set()

    async def _join(self) -> None:
        await self._tell(
            JoinHost(
                name=self._settings.name,
                pid=os.getpid(),
                cpus=tuple(sorted(os.sched_getaffinity(0))),
                gpus=self._gpus.names,
                memory_mb=psutil.virtual_memory().total / MB,
                trainers=tuple(self._trainers),
            )
        )
        for report in self._exits.values():
            await self._tell(report)

    async def _repeat_exits(self) -> None:
        while True:
            await asyncio.sleep(REPEAT_SECONDS)
            for report in list(self._exits.values()):
                await self._tell(report)

    async def _measure(self) -> None:
        while True:
            await asyncio.sleep(SAMPLE_SECONDS)
            watched = [
                (trainer.key, trainer.pid, trainer.order.gpu)
                for trainer in self._trainers.values()
                if trainer.pid is not None and trainer.order.monitoring
            ]
            try:
                sample = self._meter.measure(watched)
            except (OSError, psutil.Error) as error:  # one measurement missed must not cost a trainer its life
                print(f"host agent: cannot measure: {error}", file=sys.stderr, flush=True)
            else:
                await self._tell(ReportResources(sample=sample))

    # ------------------------------------------------------------------------------------------------ the trainers

    def _start(self, order: StartTrainer) -> None:
        key = TrainerKey(run=order.run, epoch=order.epoch)
        if key in self._trainers or key in self._exits:
            return
        run = RunKey.parse(order.run)
        log = self._home / "experiments" / run.experiment / "logs" / f"{run.arm}-{run.seed}.log"
        self._trainers[key] = _Trainer(key, order, log)
        try:
            self._channel.send(msgpack.packb((encode(order), str(log))))
        except OSError as error:  # the zygote has just died: an attempt that never was, to be tried again
            print(f"host agent: cannot start {order.run}: {error}", file=sys.stderr, flush=True)
            self._exited(key, 1, None, False)

    async def _end(self, key: TrainerKey, ask: float, terminate: float) -> None:
        """SIGTERM if it has not ended `ask` seconds after it was asked, SIGKILL to its group `terminate` seconds later."""
        await self._wait_gone(key, ask)
        self._signal(key, signal.SIGTERM)
        await self._wait_gone(key, terminate)
        self._signal(key, signal.SIGKILL)
        await self._wait_gone(key, LEAVE_SECONDS)

    async def _wait_gone(self, key: TrainerKey, seconds: float) -> None:
        trainer = self._trainers.get(key)
        if trainer is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await trainer.gone.wait()

    def _signal(self, key: TrainerKey, number: signal.Signals) -> None:
        trainer = self._trainers.get(key)
        if trainer is None:
            return
        if trainer.pid is None or trainer.pidfd is None:
            trainer.doomed = trainer.doomed or number == signal.SIGKILL
            return
        try:
            signal.pidfd_send_signal(trainer.pidfd, number)
            if number == signal.SIGKILL:
                os.killpg(trainer.pid, number)
        except ProcessLookupError:
            pass

    async def _end_everything(self) -> None:
        await asyncio.gather(*(self._end(key, 0.0, LEAVE_SECONDS) for key in list(self._trainers)))
        for task in list(self._tasks):
            task.cancel()
        if self._channel.fileno() >= 0:  # it may have died a moment ago
            asyncio.get_running_loop().remove_reader(self._channel.fileno())
            self._channel.close()
        self._zygote.kill()
        self._zygote.wait()
        self._socket.close(linger=0)


def _tail(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _LOG_TAIL_BYTES))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def main() -> None:
    """`python -m lander.actors.host`, settings as JSON on standard input."""
    settings = Settings(**json.loads(sys.stdin.readline()))
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    async def serve() -> None:
        await Host(settings).run()

    uvloop.run(serve())


if __name__ == "__main__":
    main()
