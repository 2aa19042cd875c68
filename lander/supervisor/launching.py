"""What decisions want of engines, carried out: each call is a task beside the decision loop, and its outcome a message to it.

The calls to one engine are made one after the other, so that what it says of its jobs is never older than an order that it has
taken. A question or the end of a job is not repeated while it is under way, nor within `poll_seconds` after that: else what
waits for a slow engine would grow without end, and an order behind it would wait longer and longer.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lander.home import keys, tokens
from lander.home.clock import elapsed
from lander.home.tasks import Tasks
from lander.protocol.errors import LanderError
from lander.supervisor.core.effects import AskEngine, CancelWorker, EngineEffect, LaunchWorkers
from lander.supervisor.core.launcher_standing import LauncherStanding
from lander.supervisor.core.messages import (
    EngineAnswered,
    EngineSilent,
    Launched,
    LaunchRefused,
    Message,
    SeenJob,
)
from lander.supervisor.core.state import State
from lander.supervisor.launchers import engines
from lander.supervisor.launchers.launcher import Launcher, NotInstalledError, own_words
from lander.supervisor.launchers.worker_commands import Head, worker_command

LOG: Final = logging.getLogger(__name__)
CALL_SECONDS: Final = 120.0
"""How long an engine may take for one call."""
LEAVE_SECONDS: Final = 10.0
"""How long a supervisor that leaves waits for its engines to end jobs; the next one goes on with it."""
LEAVE_POLL_SECONDS: Final = 1.0


@dataclass
class _Engine:
    """One launcher: its engine, as it was configured, and the calls that are made to it."""

    standing: LauncherStanding
    launcher: Launcher
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    last: dict[EngineEffect, float] = field(default_factory=dict)
    """When each call of late was over, except orders: none of them is made twice. Infinite while it is under way."""
    unmade: set[str] = field(default_factory=set)
    """The orders whose turn has not come."""
    absent: bool = False
    """Its command is not installed on this machine, as the last call has shown."""

    def forget_calls(self, seconds: float) -> None:
        """Remember only the calls that were over so many seconds ago at most: each job that ends has one of its own."""
        since = elapsed() - seconds
        self.last = {effect: over for effect, over in self.last.items() if over > since}


class Launching:
    """The engines of one supervisor; `tell` takes a message to the decision loop."""

    def __init__(self, home: Path, keys: keys.KeyPair, tell: Callable[[Message], None]) -> None:
        self._home = home
        self._keys = keys
        self._tell = tell
        self._engines: dict[str, _Engine] = {}
        self._tasks = Tasks()
        self._settle_by: float | None = None
        self.head = Head("", "")

    def settled(self, state: State) -> bool:
        """Whether, for a supervisor that leaves, every job is over; that may take a while from the first time this is asked.

        It is not waited for an engine that cannot be asked, since its command is not installed.
        """
        self._settle_by = self._settle_by or elapsed() + LEAVE_SECONDS
        absent = {name for name, engine in self._engines.items() if engine.absent}
        over = not self._tasks and all(each.settled or each.name in absent for each in state.launchers.values())
        return over or elapsed() > self._settle_by

    def carry_out(self, effect: EngineEffect, state: State) -> None:
        """Make a call, unless it was made a moment ago, or there is no such launcher any more."""
        standing = state.launchers.get(effect.launcher)
        if standing is None:
            return
        try:
            engine = self._engine(standing)
        except LanderError as error:
            self._tell(_failure(effect, str(error)))
            return
        if not isinstance(effect, LaunchWorkers):
            seconds = standing.spec.poll_seconds if self._settle_by is None else LEAVE_POLL_SECONDS
            engine.forget_calls(seconds)
            if effect in engine.last:
                return
            engine.last[effect] = float("inf")
        else:
            engine.unmade.add(effect.batch)
        self._tasks.start(self._call(engine, effect))

    def _engine(self, standing: LauncherStanding) -> _Engine:
        """The engine of a launcher, made anew when it was configured again, so that nothing is held against it."""
        before = self._engines.get(standing.name)
        if before is not None and before.standing.spec is standing.spec:
            before.standing = standing
            return before
        spec = standing.spec
        made = _Engine(standing, engines.launcher(spec.engine, spec.prefix, spec.options, self._home))
        if before is not None:
            made.turn, made.unmade = before.turn, before.unmade
            self._tasks.start(self._let_go(before))
        self._engines[standing.name] = made
        return made

    async def _let_go(self, engine: _Engine) -> None:
        async with engine.turn:
            await engine.launcher.close()

    async def _call(self, engine: _Engine, effect: EngineEffect) -> None:
        """Make a call when it is its turn, and tell its outcome before the next one begins."""
        outcome: Message | None
        async with engine.turn:
            engine.absent = False
            try:
                async with asyncio.timeout(CALL_SECONDS):
                    outcome = await self._outcome(engine, effect)
            except LanderError as error:
                engine.absent = isinstance(error, NotInstalledError)
                outcome = _failure(effect, str(error))
            except TimeoutError:
                outcome = _failure(effect, f"no answer within {CALL_SECONDS:.0f} s")
            except Exception as error:  # a defect of one launcher, or what its engine says to nobody's surprise but ours
                LOG.exception("%s could not be carried out", effect)
                outcome = _failure(effect, own_words(f"{type(error).__name__}: {error}"))
            if not isinstance(effect, LaunchWorkers):
                engine.last[effect] = elapsed()
            if outcome is not None:
                self._tell(outcome)

    async def _outcome(self, engine: _Engine, effect: EngineEffect) -> Message | None:
        """What is to be decided on once the call has been made, if anything is."""
        launcher = engine.launcher
        match effect:
            case LaunchWorkers(launcher=name, batch=batch, number=number, token=token):
                engine.unmade.discard(batch)
                command = worker_command(self._home, self.head, engine.standing, batch, tokens.issued(self._keys, token))
                ids = await launcher.launch(number, command)
                return Launched(name, batch, ids, *launcher.room())
            case CancelWorker(id=id):
                await launcher.cancel(id)
                return None
            case AskEngine(launcher=name):
                found = await launcher.alive()
                jobs = {job: SeenJob(each.id, each.state, each.detail) for job, each in found.items()}
                return EngineAnswered(name, jobs, *launcher.room(), unmade=frozenset(engine.unmade))

    async def close(self) -> None:
        """Make no more calls, and let go of the engines; their jobs go on."""
        await self._tasks.cancel()
        for engine in self._engines.values():
            await engine.launcher.close()


def _failure(effect: EngineEffect, detail: str) -> Message:
    if isinstance(effect, LaunchWorkers):
        return LaunchRefused(effect.launcher, effect.batch, detail)
    return EngineSilent(effect.launcher, detail)
