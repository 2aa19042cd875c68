"""The shell around the decision core: receive → decide → record → carry out, one message at a time.

Training events bypass the decision core: after the check of sender and epoch they go directly to the store, which
acknowledges whole batches. Their commit updates the state by the same fold as every other event.
"""

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from lander.home import address
from lander.home.identity import HomeIdentity
from lander.home.lock import LOCK
from lander.protocol import commands as c
from lander.protocol import events as e
from lander.protocol.errors import LeavingError
from lander.store.log.event_store import EventStore, batch_of
from lander.store.log.reader import DATABASE
from lander.supervisor import containment, journal, leaving
from lander.supervisor.attribution import attributed
from lander.supervisor.clock import Clock
from lander.supervisor.core.decide import Drain, HostGone, Tick, decide
from lander.supervisor.core.effects import EraseExperiment
from lander.supervisor.core.fold import evolve, fold
from lander.supervisor.core.messages import CheckLaunchers, EngineAnswered, Message
from lander.supervisor.core.silence import LOST_SECONDS
from lander.supervisor.core.standing import LOCAL_HOST
from lander.supervisor.core.state import State
from lander.supervisor.erasing import Erasing, compacted
from lander.supervisor.fence import Fence
from lander.supervisor.full_disk import FullDisk
from lander.supervisor.gate import Gate, Principal, Received
from lander.supervisor.guests import Guests
from lander.supervisor.intake import Intake
from lander.supervisor.launchers.worker_commands import Head
from lander.supervisor.launching import Launching
from lander.supervisor.leaving import Leaving
from lander.supervisor.local_host import LocalHost
from lander.supervisor.named_files import settle_files
from lander.supervisor.orders import carry_out
from lander.supervisor.principals import Principals
from lander.supervisor.watching import Watching

MAX_UNDECIDED: Final = 16
"""Messages that may wait for a decision; above this, nothing more is received: each may have a megabyte."""
ROOM_SECONDS: Final = 0.005
"""How often a supervisor that receives nothing looks whether it can again."""


class Supervisor:
    """One home's supervisor: `open` it, `run` it until it leaves, `close` it."""

    def __init__(
        self,
        home: Path,
        store: EventStore,
        listen: str = "",
        advertise: str = "",
        lost_seconds: float = LOST_SECONDS,
        object_store: str = "",
    ) -> None:
        self._home = home
        self._store = store
        self._listen, self._advertise, self._object_store = listen, advertise, object_store
        self.principals = Principals(home, LOCAL_HOST)
        self.gate = Gate(self.principals.supervisor, self.principals.get)
        self._fence = Fence(self.gate, self.principals)
        self.state = State()
        self._inbox: asyncio.Queue[tuple[Message | c.ShutDown | c.CompactLog, str]] = asyncio.Queue()
        self._identity = HomeIdentity(home, LOCK, DATABASE)
        self._clock = Clock(self._run_checks, self._tick, lambda: self._watching.next_tick(self.state))
        self._leaving = Leaving(self._identity, lambda: self._inbox.put_nowait((Drain(), "")))
        self._watching = Watching(lost_seconds)
        self._guests = Guests(home, self.gate, self.principals.supervisor, object_store)
        self._intake = Intake(self.gate, store, self._leaving.without_log, partial(settle_files, home) if listen else None)
        self._erasing = Erasing(home, store, self._leave_if_idle)
        self._local_host = LocalHost(home, self.principals.host, self._local_host_ended, compared=bool(listen))
        self._launching = Launching(home, self.principals.supervisor, self._notice)
        self._full_disk = FullDisk(home, store)
        self._same_port = False

    @property
    def public_key(self) -> str:
        """The CURVE public key that clients, hosts and trainers need to connect."""
        return self.principals.supervisor.public

    async def open(self, port: int | None) -> int:
        """Fold the log, open the gate, write its address and make sure of a local host; returns the port.

        The gate opens at `port` if it is free, and for other machines if the supervisor was told to listen for them.

        The address is written before an agent starts, so that the next supervisor finds the agent if this one fails.
        """
        self.state = fold(self._store.consequential())
        await self._store.quarantine(self.state.quarantined)
        self._fence.restore(self.state)
        self._erasing.resume(self.state.deleted)
        self._store.listen(self._committed)
        interface, _, wanted = self._listen.rpartition(":")
        bound = await (self.gate.open(int(wanted), interface) if interface else self.gate.open(port))
        self._same_port = bound == port
        listen = f"{interface}:{bound}" if interface else ""
        self._launching.head = Head(listen, self._advertise)
        lost = self._watching.lost_seconds if listen else None
        where = (listen, self._advertise, lost, self._object_store)
        here = address.Address(self.gate.endpoint, os.getpid(), self.public_key, *where)
        try:
            await self._guests.open(listen, self.state)
            address.write(self._home, here)
            self._ensure_local_host()
        except BaseException:
            await self._guests.close()
            await self.gate.close()
            raise
        return bound

    async def run(self) -> None:
        """Serve until a request or signal to leave, and until the last trainer has ended."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._leaving.begin)
        work = {"receive": self._receive(), "decide": self._decide(), "clock": self._clock.run(), "erase": self._erasing.run()}
        work |= {"leave": self._leaving.wait(), "handshakes": self.gate.watch()}
        tasks = [asyncio.create_task(each, name=name) for name, each in work.items()]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()

    async def close(self) -> None:
        """Close the gate. After an orderly leave, end the local host first; else the next supervisor adopts it."""
        if self._leaving.over.is_set():
            homeless = bool(self._identity.lost())
            await leaving.dismiss(self._local_host, self._store, self.state, homeless=homeless)
            if not self._identity.lost():
                address.remove(self._home)
        await self._launching.close()
        await self._guests.close()
        await self.gate.close()

    # ------------------------------------------------------------------------------------------------ receiving

    async def _receive(self) -> None:
        while True:
            while self._overloaded():  # noqa: ASYNC110 - several queues, and a disk: no one event tells that there is room
                await asyncio.sleep(ROOM_SECONDS)
            for received in await self.gate.receive():
                with containment.contained(self.gate, received.key, received.command):
                    await self._dispatch(received)
            await asyncio.sleep(0)  # let other tasks run: `receive` does not suspend while messages are waiting

    def _overloaded(self) -> bool:
        """Whether peers must wait, as their messages would only fill the memory; a full disk is answered, and fills nothing."""
        return not self._store.full and (self._intake.congested or self._inbox.qsize() > MAX_UNDECIDED)

    async def _dispatch(self, received: Received) -> None:
        principal, key, command = received
        is_heartbeat = principal.role == "host" and not isinstance(command, c.Hello)
        if is_heartbeat and self._watching.heard(principal.name, self.state, command):
            self.gate.send(key, c.Rejoin())
        match command:
            case c.Hello():
                self._guests.welcome(key, command)
            case c.Append():
                await self._append(principal, key, command)
            case c.RenewLease():
                for answer in self._watching.leases(principal.name, command, self.state):
                    self.gate.send(key, answer)
            case c.ReportOutput():
                self._guests.take_output(principal.name, key, command, self.state)
            case c.TrainerExited() | c.CannotTrain() if not self._fence.holds(principal, command, self.state):
                pass
            case _ if self._full_disk.drops(command):
                pass
            case c.ReportResources(sample=sample):
                self._intake.record(e.host_stream(principal.name), sample)
            case _ if self._leaving.begun and isinstance(command, c.NEW_WORK):
                self.gate.send(key, c.Refused(error=LeavingError.code, detail="the supervisor is shutting down"))
            case c.Ping(stay=stay):
                self._leaving.when_idle = self._leaving.when_idle and not stay
                self.gate.send(key, c.Accepted(detail=self.gate.refusal_counts()))
            case c.ShutDown(only_if_idle=False) if self._store.full:  # a decision could not be recorded
                self.gate.send(key, c.Accepted(detail="leaving, with no room on the disk to record it"))
                self._leaving.begin()
            case _ if (refusal := self._full_disk.refusal(principal)) is not None:
                self.gate.send(key, refusal)
            case c.JoinHost() if principal.name == LOCAL_HOST and not self._local_host.is_ours(command.incarnation):
                self.gate.send(key, c.DismissHost())  # an agent left by a supervisor that died before it could end it
            case c.ShutDown() | c.CompactLog():
                self._inbox.put_nowait((command, key))
            case _:
                if isinstance(command, c.JoinHost | c.LeaveHost):
                    self._guests.show_port(key)
                if (message := attributed(command, principal)) is not None:
                    self._inbox.put_nowait((message, key))

    async def _append(self, principal: Principal, key: str, command: c.Append) -> None:
        """Store a trainer's batch, after the check that it comes from the run's current attempt."""

        def current() -> bool:
            return self._fence.passes(principal, key, command, self.state)

        if not current() or self._store.full:
            return  # the trainer resends what is not acknowledged; to queue every repetition would fill the memory
        if await self._intake.store(key, command, current):
            self._watching.progressed(command.run, command.epoch)
        else:
            self._fence.bar(command.run, command.epoch)

    def _committed(self, recorded: Sequence[e.Recorded]) -> None:
        for event in recorded:
            if event.event.kind not in e.TELEMETRY_KINDS:
                self.state = evolve(self.state, event)

    # ------------------------------------------------------------------------------------------------ deciding

    async def _decide(self) -> None:
        """The only place that decides, one message after the other: each decision sees the events of the one before."""
        while True:
            message, key = await self._inbox.get()
            if self._leaving.lost_home():
                return
            with containment.contained(self.gate, key, message):
                if isinstance(message, c.ShutDown):  # handled in queue order: a submission before it must be decided first
                    self.gate.send(key, self._leaving.asked_to(message.only_if_idle, self.state))
                elif isinstance(message, c.CompactLog):
                    self.gate.send(key, await compacted(self._store))
                else:
                    await self._decide_on(message, key)

    async def _decide_on(self, message: Message, key: str) -> None:
        now = time.time()
        decision = decide(self.state, message, now, self._watching.timers(self.state), leaving=self._leaving.begun)
        if decision.events:
            await self._store.append(*(batch_of(stream, event, at=e.microseconds(now)) for stream, event in decision.events))
        journal.write(self._home, decision.events)
        self._fence.close_ended(decision.events)
        if self._fence.follow_hosts(self.state, decision.events):
            self._guests.follow(self.state)
        call_engine = partial(self._launching.carry_out, state=self.state)
        carry_out(decision.effects, self.gate, self.principals, self._erasing, call_engine, key)
        if decision.answer is not None and not any(isinstance(effect, EraseExperiment) for effect in decision.effects):
            self.gate.send(key, decision.answer)  # an erasure is answered when it is done
        if isinstance(message, c.TrainerExited | c.CannotTrain) and self.state.attempt(message.run, message.epoch) is None:
            self.gate.send(key, c.ExitNoted(run=message.run, epoch=message.epoch))
        self._clock.wake()
        self._leave_if_idle()

    # ------------------------------------------------------------------------------------------------ the clock

    def _tick(self) -> None:
        if self.state.waiting and not self._store.full:
            self._inbox.put_nowait((Tick(), ""))

    def _run_checks(self) -> None:
        """Check for silent hosts, stalled trainers, exceeded limits, a full disk, and a home that is gone."""
        if self._leaving.lost_home():
            return
        full = self._store.full
        self._full_disk.show()
        for alarm in self._watching.alarms(self.state, recording_stopped=full or self._overloaded()):
            self._inbox.put_nowait((alarm, ""))
        if self.state.launchers and not full:
            self._notice(CheckLaunchers())
        if self.state.launchers or self._leaving.begun:
            self._leave_if_idle()
        if self._watching.overdue(LOCAL_HOST):  # it waits for no slot elsewhere: its successor has the same ones
            self._local_host.end_agent(f"silent for {self._watching.lost_seconds:.0f} s")
        if full:
            self._leaving.on_full_disk()

    # ------------------------------------------------------------------------------------------------ engines

    def _notice(self, message: Message) -> None:
        """Have something decided on that nobody has said."""
        if isinstance(message, EngineAnswered):
            self._watching.jobs_seen(message)
        self._inbox.put_nowait((message, ""))

    # ------------------------------------------------------------------------------------------------ leaving

    def _leave_if_idle(self) -> None:
        if self._leaving.begun:
            if self._nothing_ends_any_more() and (self._store.full or self._launching.settled(self.state)):
                self._leaving.over.set()
        elif self._leaving.when_idle and self.state.idle and self._inbox.empty() and not self._erasing.busy:
            self._leaving.begin()

    def _nothing_ends_any_more(self) -> bool:
        """Whether nothing trains but on workers that are out of reach: these go on, and the next supervisor finds them."""
        hosts = {attempt.host for _, attempt in self.state.attempts()}
        return all(host != LOCAL_HOST and self._watching.out_of_reach(host) for host in hosts)

    def _ensure_local_host(self) -> None:
        known = self.state.hosts.get(LOCAL_HOST)
        incarnation = None if known is None else known.incarnation
        self._local_host.ensure_agent(self.gate.endpoint, self.public_key, incarnation, adopt=self._same_port)

    def _local_host_ended(self, why: str) -> None:
        self._notice(HostGone(LOCAL_HOST, why))
