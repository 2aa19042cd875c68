"""The shell around the decision core: receive → decide → record → carry out, one message at a time.

Training events do not pass through decisions: once their sender and epoch are checked they go straight to the store, which
acknowledges whole batches. What they mean for the state is folded from the commit, like everything else.
"""

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from lander.protocol import commands as c
from lander.protocol import events as e
from lander.protocol.errors import WireError
from lander.protocol.wire import decode_event
from lander.store.event_store import Batch, EventStore, SequenceGapError, said
from lander.supervisor import keys
from lander.supervisor.decide import Drain, HostGone, Tick, decide
from lander.supervisor.effects import Effect, EndAttempt, StartAttempt
from lander.supervisor.gate import Gate, Principal, Received
from lander.supervisor.local_host import NAME as LOCAL_HOST
from lander.supervisor.local_host import LocalHost
from lander.supervisor.placement import wake_at
from lander.supervisor.state import State, evolve, fold

LOG: Final = logging.getLogger(__name__)
STALL_SECONDS: Final = 5.0
HOST_SILENCE_SECONDS: Final = 30.0
"""Silence after which a host counts as lost; longer than a laptop's hiccup."""


class Supervisor:
    """One home's supervisor; `run` is its whole life."""

    def __init__(self, home: Path, store: EventStore) -> None:
        self._home = home
        self._store = store
        self._keys = keys.load_or_create(home, "supervisor")
        self._host_keys = keys.load_or_create(home, "host")
        self._principals = {
            self._host_keys.public: Principal("host", name=LOCAL_HOST),
            keys.load_or_create(home, "client").public: Principal("client"),
        }
        self._trainer_keys: dict[tuple[str, int], str] = {}
        self.gate = Gate(self._keys, self._principals.get)
        self.state = State()
        self._inbox: asyncio.Queue[tuple[object, str]] = asyncio.Queue()
        self._wake = asyncio.Event()
        self._leaving = asyncio.Event()
        self._left = asyncio.Event()
        self._heard: dict[str, float] = {}
        self._looked_at = time.monotonic()
        self._local_host = LocalHost(home, self._host_keys, self._local_host_ended)
        self._leaves_when_idle = False
        self._same_port = False
        self._acknowledged: dict[str, int] = {}

    @property
    def public_key(self) -> str:
        """What clients need to know of us."""
        return self._keys.public

    async def open(self, port: int | None) -> int:
        """Fold the log, open the gate and see to the local host; returns the port."""
        self.state = fold(self._store.consequential())
        for run in self.state.runs.values():
            if run.attempt is not None:
                self._authorise(run.id, run.attempt.epoch)
        self._store.listen(self._committed)
        bound = await self.gate.open(port)
        self._same_port = bound == port
        self._attend_local_host()
        return bound

    async def run(self) -> None:
        """Serve until told to leave and everything has ended."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._leave)
        workers = [
            asyncio.create_task(work, name=name)
            for name, work in (
                ("receive", self._receive()),
                ("decide", self._decide()),
                ("clock", self._keep_time()),
            )
        ]
        leaving = asyncio.create_task(self._left.wait(), name="leave")
        done, _ = await asyncio.wait([*workers, leaving], return_when=asyncio.FIRST_COMPLETED)
        for task in [*workers, leaving]:
            task.cancel()
        await asyncio.gather(*workers, leaving, return_exceptions=True)
        for task in done:
            task.result()

    async def close(self) -> None:
        """Dismiss the local host, wait for it to be gone, and close the gate."""
        await self._local_host.dismiss()
        host = self.state.hosts.get(LOCAL_HOST)
        if host is not None and host.online:
            await self._store.append(said(e.host_stream(LOCAL_HOST), e.HostLeft()))
        await self.gate.close()

    # ------------------------------------------------------------------------------------------------ receiving

    async def _receive(self) -> None:
        while True:
            for received in await self.gate.receive():
                self._dispatch(received)
            await asyncio.sleep(0)  # everybody else's turn: receiving does not suspend while there is something to receive

    def _dispatch(self, received: Received) -> None:
        principal, key, command = received
        if principal.role == "host":
            self._heard[principal.name] = time.monotonic()
        match command:
            case c.Append():
                self._append(principal, key, command)
            case c.ReportResources(sample=sample):
                self._store.append(said(e.host_stream(principal.name), sample)).add_done_callback(_ignore)
            case c.Ping() | c.SubmitExperiment() if self._leaving.is_set():
                self.gate.send(key, c.Refused(error="LeavingError", detail="the supervisor is shutting down"))
            case c.Ping():
                self.gate.send(key, c.Accepted())
            case c.JoinHost(pid=pid) if self._local_host.pid not in (None, pid):
                self.gate.send(key, c.DismissHost())  # left behind by a supervisor that died before it could say so
            case c.JoinHost():
                self._inbox.put_nowait((command.model_copy(update={"name": principal.name}), key))
            case _:
                self._inbox.put_nowait((command, key))

    def _append(self, principal: Principal, key: str, command: c.Append) -> None:
        """Check that the sender may say this; store it, and acknowledge it once it is durable."""
        if (command.run, command.epoch) != (principal.run, principal.epoch):
            self.gate.refuse(f"events for {command.run} with the key of {principal.run}")
            return
        if self.state.attempt(command.run, command.epoch) is None:
            self.gate.send(key, c.Fenced())
            return
        if self._store.full:
            return  # unacknowledged, so it will be said again; to keep every repetition would fill the memory, too
        try:
            events = [e.NewEvent(at, _trainer_event(kind, body), body) for kind, at, body in command.events]
        except WireError as error:
            self.gate.refuse(f"{command.run}: {error}")
            return
        batch = Batch(command.run, command.epoch, command.first_seq, events)
        self._store.append(batch).add_done_callback(partial(self._acknowledge, key))

    def _acknowledge(self, key: str, stored: "asyncio.Future[list[int]]") -> None:
        if stored.cancelled():
            return
        match stored.exception():
            case None:
                if not self._acknowledged:  # a commit ends many appends at once: one answer to each trainer is enough
                    asyncio.get_running_loop().call_soon(self._send_acknowledgements)
                self._acknowledged[key] = stored.result()[0]
            case SequenceGapError() as gap:
                self.gate.send(key, c.Acknowledged(seq=gap.last_seq, resend=True))
            case error:
                LOG.error("cannot record: %s", error)
                self._leave_at_once()

    def _send_acknowledgements(self) -> None:
        acknowledged, self._acknowledged = self._acknowledged, {}
        for key, seq in acknowledged.items():
            self.gate.send(key, c.Acknowledged(seq=seq))

    def _committed(self, recorded: Sequence[e.Recorded]) -> None:
        for event in recorded:
            if event.event.kind not in e.TELEMETRY_KINDS:
                self.state = evolve(self.state, event)

    # ------------------------------------------------------------------------------------------------ deciding

    async def _decide(self) -> None:
        """The one place where decisions are made, so that each sees what the one before has recorded."""
        while True:
            message, key = await self._inbox.get()
            if isinstance(message, c.ShutDown):  # in its turn: a submission before it must have been decided
                self._shut_down(key, message.only_if_idle)
                continue
            draft = decide(self.state, message, time.time())
            if draft.events:
                await self._store.append(*(said(stream, event) for stream, event in draft.events))
            self._write_logs(draft.events)
            for effect in draft.effects:
                self._carry_out(effect)
            if draft.answer is not None:
                self.gate.send(key, draft.answer)
            if isinstance(message, c.TrainerExited):
                self._noted(message, key)
            self._wake.set()
            self._note_idleness()

    def _write_logs(self, events: Sequence[tuple[str, e.Event]]) -> None:
        """For people: every decision in the supervisor's log, and in the log of the experiment it concerns."""
        for stream, event in events:
            line = f"{stream}: {_describe(event)}"
            LOG.info(line)
            experiment = stream.partition("/")[0]
            if experiment in self.state.experiments:
                path = self._home / "experiments" / experiment / "logs" / "experiment.log"
                with contextlib.suppress(OSError):  # a full disk must not keep us from deciding
                    path.parent.mkdir(parents=True, exist_ok=True)
                    with path.open("a", encoding="utf-8") as log:
                        log.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {line}\n")

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case StartAttempt():
                pair = self._authorise(effect.run, effect.epoch)
                order = c.StartTrainer(
                    run=effect.run,
                    epoch=effect.epoch,
                    arm=effect.arm,
                    seed=effect.seed,
                    cpu=effect.cpu,
                    gpu=effect.gpu,
                    monitoring=effect.monitoring,
                    directory=effect.directory,
                    public_key=pair.public,
                    secret_key=pair.secret,
                )
                self.gate.send(self._host_keys.public, order)
            case EndAttempt():
                trainer = self._trainer_keys.get((effect.run, effect.epoch))
                if trainer is not None:
                    self.gate.send(trainer, c.StopTraining())
                end = c.EndTrainer(run=effect.run, epoch=effect.epoch, grace=effect.grace)
                self.gate.send(self._host_keys.public, end)

    def _authorise(self, run: str, epoch: int) -> keys.KeyPair:
        pair = keys.of_attempt(self._keys, run, epoch)
        self._principals[pair.public] = Principal("trainer", run=run, epoch=epoch)
        self._trainer_keys[run, epoch] = pair.public
        return pair

    def _noted(self, exited: c.TrainerExited, key: str) -> None:
        self.gate.send(key, c.ExitNoted(run=exited.run, epoch=exited.epoch))
        trainer = self._trainer_keys.pop((exited.run, exited.epoch), None)
        if trainer is not None:
            self._principals.pop(trainer, None)
            self.gate.forget(trainer)

    async def _keep_time(self) -> None:
        """Wake for runs that wait for their time, and notice hosts that have gone silent."""
        while True:
            now = time.time()
            wake = wake_at(self.state, now)
            timeout = 1.0 if wake is None else min(1.0, max(0.0, wake - now))
            try:
                async with asyncio.timeout(timeout):  # wait_for can swallow a cancellation (Python before 3.12)
                    await self._wake.wait()
            except TimeoutError:
                # Whoever waits is looked at afresh each second: a moment between two looks must not be missed for good.
                if any(run.state == "queued" for run in self.state.runs.values()):
                    self._inbox.put_nowait((Tick(), ""))
                self._notice_silence()
            self._wake.clear()

    def _notice_silence(self) -> None:
        now = time.monotonic()
        if now - self._looked_at > STALL_SECONDS:  # we were stalled ourselves: that nothing was heard proves nothing
            self._heard = dict.fromkeys(self._heard, now)
        self._looked_at = now
        for name, heard in list(self._heard.items()):
            if now - heard > HOST_SILENCE_SECONDS:
                del self._heard[name]
                detail = f"silent for {HOST_SILENCE_SECONDS:.0f} s"
                self._inbox.put_nowait((HostGone(name, detail), ""))

    # ------------------------------------------------------------------------------------------------ leaving

    def _shut_down(self, key: str, only_if_idle: bool) -> None:
        busy = [name for name, standing in self.state.experiments.items() if standing.under_way]
        if only_if_idle and busy:
            self._leaves_when_idle = True
            detail = f"still under way: {', '.join(busy)}; leaving when they have ended"
            self.gate.send(key, c.Refused(error="ConflictError", detail=detail))
            return
        self.gate.send(key, c.Accepted(detail="leaving"))
        self._leave()

    def _leave(self) -> None:
        self._leaving.set()
        self._inbox.put_nowait((Drain(), ""))

    def _leave_at_once(self) -> None:
        """The log cannot be written: nothing can be decided any more."""
        LOG.critical("leaving: the event store cannot be written")
        os._exit(1)

    def _note_idleness(self) -> None:
        if any(standing.under_way for standing in self.state.experiments.values()):
            return
        if self._leaving.is_set():
            self._left.set()
        elif self._leaves_when_idle:
            self._leave()

    def _attend_local_host(self) -> None:
        known = self.state.hosts.get(LOCAL_HOST)
        self._heard[LOCAL_HOST] = time.monotonic()
        pid = None if known is None else known.pid
        self._local_host.attend(self.gate.endpoint, self.public_key, pid, adopt=self._same_port)

    def _local_host_ended(self) -> None:
        self._heard.pop(LOCAL_HOST, None)
        self._inbox.put_nowait((HostGone(LOCAL_HOST, "its process ended"), ""))


def _trainer_event(kind: str, body: bytes) -> e.Event:
    if kind not in e.TRAINER_KINDS:
        raise WireError(f"a trainer may not say {kind[:64]!r}")
    return decode_event(kind, body)


def _describe(event: e.Event) -> str:
    fields = event.model_dump(exclude_defaults=True, exclude={"experiment", "manifest", "detail"})
    return " ".join([event.kind, *(f"{name}={value}" for name, value in fields.items())])


def _ignore(stored: "asyncio.Future[list[int]]") -> None:
    """A measurement that could not be recorded is no loss; the store tells others why."""
    if not stored.cancelled():
        stored.exception()
