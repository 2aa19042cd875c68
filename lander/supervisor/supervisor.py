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
from pathlib import Path
from typing import Final

from lander.home import address
from lander.home.lock import show_full
from lander.protocol import commands as c
from lander.protocol import events as e
from lander.protocol.errors import ConflictError, HomeError, LeavingError, WireError
from lander.store.log.event_store import EventStore, batch_of
from lander.supervisor import journal
from lander.supervisor.core.decide import Drain, HostGone, Tick, decide
from lander.supervisor.core.effects import Effect, EndAttempt, RequestCheckpoint, StartAttempt
from lander.supervisor.core.messages import Message
from lander.supervisor.core.placement import wake_at
from lander.supervisor.core.state import State, evolve, fold
from lander.supervisor.core.watchdog import Watch
from lander.supervisor.gate import Gate, Principal, Received
from lander.supervisor.intake import Intake
from lander.supervisor.launchers.local import NAME as LOCAL_HOST
from lander.supervisor.launchers.local import LocalHost
from lander.supervisor.principals import Principals

LOG: Final = logging.getLogger(__name__)
LOOK_SECONDS: Final = 1.0
"""Between two looks at what nobody tells: time, silence, and the room on the disk."""
FULL_SECONDS: Final = 5.0
"""How long a supervisor that was told to leave waits for room on the disk."""


class Supervisor:
    """One home's supervisor; `run` is its whole life."""

    def __init__(self, home: Path, store: EventStore) -> None:
        self._home = home
        self._store = store
        self.principals = Principals(home, LOCAL_HOST)
        self.gate = Gate(self.principals.supervisor, self.principals.get)
        self.state = State()
        self._inbox: asyncio.Queue[tuple[Message | c.ShutDown, str]] = asyncio.Queue()
        self._wake = asyncio.Event()
        self._leaving = asyncio.Event()
        self._left = asyncio.Event()
        self._leave_by = 0.0
        self._watch = Watch()
        self._intake = Intake(self.gate, store, self._leave_at_once)
        self._local_host = LocalHost(home, self.principals.host, self._local_host_ended)
        self._leaves_when_idle = False
        self._full = False
        self._same_port = False

    @property
    def public_key(self) -> str:
        """What clients need to know of us."""
        return self.principals.supervisor.public

    async def open(self, port: int | None) -> int:
        """Fold the log, open the gate, say where it is and see to the local host; returns the port.

        Nothing is asked of an agent before the next supervisor could find it, too, should this one not come to serve.
        """
        self.state = fold(self._store.consequential())
        for run, attempt in self.state.attempts():
            self.principals.admit(run.id, attempt.epoch)
        self._store.listen(self._committed)
        bound = await self.gate.open(port)
        self._same_port = bound == port
        try:
            address.write(self._home, address.Address(self.gate.endpoint, os.getpid(), self.public_key))
            self._attend_local_host()
        except BaseException:
            await self.gate.close()
            raise
        return bound

    async def run(self) -> None:
        """Serve until told to leave and nothing trains any more."""
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
        """Close the gate. Whoever has left dismisses the local host first; if this was no leave, the next one adopts it."""
        if self._left.is_set():
            await self._dismiss_local_host()
            address.remove(self._home)
        await self.gate.close()

    async def _dismiss_local_host(self) -> None:
        await self._local_host.dismiss(at_once=self._store.full)  # with no room, no trainer can say its last word
        host = self.state.hosts.get(LOCAL_HOST)
        if host is not None and host.online:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FULL_SECONDS):
                    await self._store.append(batch_of(e.host_stream(LOCAL_HOST), e.HostLeft()))

    # ------------------------------------------------------------------------------------------------ receiving

    async def _receive(self) -> None:
        while True:
            for received in await self.gate.receive():
                self._dispatch(received)
            await asyncio.sleep(0)  # everybody else's turn: receiving does not suspend while there is something to receive

    def _dispatch(self, received: Received) -> None:
        principal, key, command = received
        if principal.role == "host":
            self._hear_host(principal.name, key, command)
        match command:
            case c.Append():
                self._append(principal, key, command)
            case c.ReportResources(sample=sample):
                self._measured(principal.name, sample)
            case c.Ping() | c.SubmitExperiment() | c.ResumeTarget() | c.RetryTarget() if self._leaving.is_set():
                self.gate.send(key, c.Refused(error=LeavingError.code, detail="the supervisor is shutting down"))
            case c.Ping(stay=stay):
                self._leaves_when_idle = self._leaves_when_idle and not stay
                self.gate.send(key, c.Accepted(detail=self._turned_away()))
            case c.ShutDown(only_if_idle=False) if self._store.full:  # which could not be recorded, let alone decided
                self.gate.send(key, c.Accepted(detail="leaving, with no room on the disk to record it"))
                self._leave()
            case _ if self._store.full and principal.role == "client":
                detail = f"{self._home}: no space left on its disk; make room, and ask again"
                self.gate.send(key, c.Refused(error=HomeError.code, detail=detail))
            case c.TrainerExited() if self._store.full:
                pass  # it is said again until it is noted; to keep every repetition would fill the memory, too
            case c.JoinHost(incarnation=incarnation) if self._local_host.incarnation not in (None, incarnation):
                self.gate.send(key, c.DismissHost())  # left behind by a supervisor that died before it could say so
            case c.JoinHost():
                self._inbox.put_nowait((command.model_copy(update={"name": principal.name}), key))
            case c.ShutDown() | c.TrainerExited():
                self._inbox.put_nowait((command, key))
            case _ if isinstance(command, Message):
                self._inbox.put_nowait((command, key))

    def _hear_host(self, name: str, key: str, command: c.Command) -> None:
        self._watch.heard(name, time.time())
        host = self.state.hosts.get(name)
        if host is not None and not host.online and not isinstance(command, c.JoinHost):
            self.gate.send(key, c.Rejoin())  # given up for lost while its connection outlived its silence

    def _measured(self, host: str, sample: e.ResourcesSampled) -> None:
        self._watch.measured(self.state, sample, time.time())
        if not self._store.full:
            self._store.append(batch_of(e.host_stream(host), sample)).add_done_callback(_ignore)

    def _turned_away(self) -> str:
        counted = ", ".join(f"{number} {reason}" for reason, number in self.gate.refusals.items() if number)
        return f"turned away: {counted}" if counted else ""

    def _append(self, principal: Principal, key: str, command: c.Append) -> None:
        """Check that the sender may say this now, and have it stored."""
        run, epoch = command.run, command.epoch
        if (run, epoch) != (principal.run, principal.epoch):
            self.gate.refuse("not allowed", f"events for {run} with the key of {principal.run}")
            return
        if self.state.attempt(run, epoch) is None:
            self.gate.refuse("fenced", f"events of attempt {epoch} at {run}")
            self.gate.send(key, c.Fenced())
            return
        if self._store.full:
            return  # unacknowledged, so it will be said again; to keep every repetition would fill the memory, too
        try:
            self._intake.store(key, command)
        except WireError as error:
            self._end_conversation(key, run, epoch, str(error))
        else:
            self._watch.progressed(run, epoch, time.time())

    def _end_conversation(self, key: str, run: str, epoch: int, problem: str) -> None:
        """A trainer that cannot be understood would say the same for ever: it is told why it shall end, and so is the log."""
        self.gate.refuse("malformed", f"{run}: {problem}")
        self.gate.send(key, c.Fenced(detail=f"said something that is not understood: {problem}"))
        self._revoke(run, epoch)
        warning = e.WarningRaised(message=f"attempt {epoch} said something that is not understood, and is ended: {problem}")
        self._store.append(batch_of(run, warning)).add_done_callback(_ignore)

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
            now = time.time()
            decision = decide(self.state, message, now, leaving=self._leaving.is_set())
            if decision.events:
                at = e.microseconds(now)
                await self._store.append(*(batch_of(stream, event, at=at) for stream, event in decision.events))
            journal.write(self._home, decision.events)
            self._revoke_ended(decision.events)
            for effect in decision.effects:
                self._carry_out(effect)
            if decision.answer is not None:
                self.gate.send(key, decision.answer)
            if isinstance(message, c.TrainerExited) and self.state.attempt(message.run, message.epoch) is None:
                self.gate.send(key, c.ExitNoted(run=message.run, epoch=message.epoch))
            self._wake.set()
            self._note_idleness()

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case StartAttempt():
                pair = self.principals.admit(effect.run, effect.epoch)
                start = c.StartTrainer(order=effect.order, public_key=pair.public, secret_key=pair.secret)
                self._tell_host(effect.host, start)
            case EndAttempt():
                self._tell_trainer(effect.run, effect.epoch, c.StopTraining())
                end = c.EndTrainer(run=effect.run, epoch=effect.epoch, grace=effect.grace, traceback=effect.traceback)
                self._tell_host(effect.host, end)
            case RequestCheckpoint():
                self._tell_trainer(effect.run, effect.epoch, c.TakeCheckpoint())

    def _tell_host(self, name: str, command: c.Command) -> None:
        key = self.principals.host_key(name)
        if key is not None:
            self.gate.send(key, command)

    def _tell_trainer(self, run: str, epoch: int, command: c.Command) -> None:
        key = self.principals.trainer(run, epoch)
        if key is not None:
            self.gate.send(key, command)

    def _revoke(self, run: str, epoch: int) -> None:
        """From now on, whoever says that it is this attempt is told that it does not count."""
        key = self.principals.revoke(run, epoch)
        if key is not None:
            self.gate.forget(key)

    def _revoke_ended(self, events: Sequence[tuple[str, e.Event]]) -> None:
        for stream, event in events:
            if isinstance(event, e.AttemptEnded):
                self._revoke(stream, event.epoch)

    # ------------------------------------------------------------------------------------------------ looking

    async def _keep_time(self) -> None:
        """Look around each second, and wake for runs that wait for their time."""
        loop = asyncio.get_running_loop()
        next_look = loop.time()
        while True:
            if loop.time() >= next_look:
                self._look_around()
                next_look = loop.time() + LOOK_SECONDS
            wake = wake_at(self.state, time.time())
            until_woken = LOOK_SECONDS if wake is None else wake - time.time()
            try:
                async with asyncio.timeout(max(0.0, min(next_look - loop.time(), until_woken))):
                    await self._wake.wait()
            except TimeoutError:
                # Whoever waits is looked at afresh each second: a moment between two looks must not be missed for good.
                if self.state.waiting and not self._store.full:
                    self._inbox.put_nowait((Tick(), ""))
            self._wake.clear()

    def _look_around(self) -> None:
        """Notice what nobody tells: who is silent, stuck or greedy, and whether there is room on the disk."""
        full = self._store.full
        if full != self._full:
            self._full = full
            show_full(self._home, full)
        for alarm in self._watch.look(self.state, time.time(), deaf=full):
            self._inbox.put_nowait((alarm, ""))
        if self._leaving.is_set() and full and asyncio.get_running_loop().time() > self._leave_by:
            LOG.error("leaving with no room on the disk: what was not acknowledged is lost, and its runs resume from before it")
            self._left.set()

    # ------------------------------------------------------------------------------------------------ leaving

    def _shut_down(self, key: str, only_if_idle: bool) -> None:
        if only_if_idle and not self.state.idle:
            self._leaves_when_idle = True
            standings = ((name, self.state.experiments[name]) for name in self.state.under_way)
            busy = ", ".join(name for name, standing in standings if standing.queued or standing.live)
            detail = f"still under way: {busy}; leaving when they have ended"
            self.gate.send(key, c.Refused(error=ConflictError.code, detail=detail))
            return
        self.gate.send(key, c.Accepted(detail="leaving"))
        self._leave()

    def _leave(self) -> None:
        if not self._leaving.is_set():
            self._leaving.set()
            self._leave_by = asyncio.get_running_loop().time() + FULL_SECONDS
        self._inbox.put_nowait((Drain(), ""))

    def _leave_at_once(self) -> None:
        """The log cannot be written: nothing can be decided any more."""
        if self._left.is_set():
            return  # what was left unsaid for want of room is refused when the store closes
        LOG.critical("leaving: the event store cannot be written")
        os._exit(1)

    def _note_idleness(self) -> None:
        if self._leaving.is_set():
            if not self.state.live:
                self._left.set()
        elif self._leaves_when_idle and self.state.idle and self._inbox.empty():
            self._leave()

    def _attend_local_host(self) -> None:
        known = self.state.hosts.get(LOCAL_HOST)
        self._watch.heard(LOCAL_HOST, time.time())
        incarnation = None if known is None else known.incarnation
        self._local_host.attend(self.gate.endpoint, self.public_key, incarnation, adopt=self._same_port)

    def _local_host_ended(self) -> None:
        self._watch.dismiss(LOCAL_HOST)
        self._inbox.put_nowait((HostGone(LOCAL_HOST, "its process ended"), ""))


def _ignore(stored: "asyncio.Future[list[int]]") -> None:
    """A measurement that could not be recorded is no loss; the store tells others why."""
    if not stored.cancelled():
        stored.exception()
