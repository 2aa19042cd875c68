"""The path of training events: check a trainer's batch, store its bytes unchanged, acknowledge batches in bulk."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from lander.protocol import commands as c
from lander.protocol import events as e
from lander.protocol.errors import WireError
from lander.protocol.wire import MAX_EVENTS
from lander.store.log.event_store import Batch, EventStore, SequenceGapError, batch_of
from lander.supervisor.gate import Gate

LOG: Final = logging.getLogger(__name__)
MAX_WAITING: Final = 32 << 20
"""Bytes that may wait for the disk; above this, nothing more is received."""
_EVENT_BYTES: Final = 1024
"""What an event costs in memory besides its body, in bytes."""


class Intake:
    """Stores batches whose sender and epoch are already checked; calls `on_failure` when the store can no longer write.

    `settle` makes sure of the files that a batch names, before it is stored; raises `WireError` if it names wrong ones.
    """

    def __init__(
        self,
        gate: Gate,
        store: EventStore,
        on_failure: Callable[[], None],
        settle: Callable[[c.Append], Awaitable[None]] | None = None,
    ) -> None:
        self._gate = gate
        self._store = store
        self._on_failure = on_failure
        self._settle = settle
        self._acknowledged: dict[str, int] = {}
        self._waiting = 0

    @property
    def congested(self) -> bool:
        """Whether so much waits for the disk that nothing more may be received."""
        return self._waiting > MAX_WAITING

    async def store(self, key: str, command: c.Append, current: Callable[[], bool]) -> bool:
        """Store a batch and acknowledge it once it is durable; false if it cannot be read: then its trainer is fenced.

        `current` says whether its attempt still is the run's: it may have ended while the files were settled.
        """
        try:
            if self._settle is not None:
                await self._settle(command)
                if not current():
                    return True
            batch = Batch(command.run, command.epoch, command.first_seq, _trainer_events(command))
            self._append(batch).add_done_callback(partial(self._acknowledge, key))
        except WireError as error:
            self._fence(key, command.run, command.epoch, str(error))
            return False
        except OSError as error:  # not acknowledged, so it is said again
            LOG.error("%s: cannot settle the files that it names: %s", command.run, error)
        return True

    def record(self, stream: str, event: e.Event) -> None:
        """Store an event of the supervisor that nothing waits for."""
        self._append(batch_of(stream, event)).add_done_callback(_ignore)

    def _append(self, batch: Batch) -> "asyncio.Future[list[int]]":
        size = sum(_EVENT_BYTES + len(event.body) for event in batch.events)
        stored = self._store.append(batch)  # raises for what cannot be read back, and that does not wait
        self._waiting += size
        stored.add_done_callback(partial(self._no_longer_waits, size))
        return stored

    def _no_longer_waits(self, size: int, _: "asyncio.Future[list[int]]") -> None:
        self._waiting -= size

    def _fence(self, key: str, run: str, epoch: int, problem: str) -> None:
        """Fence a trainer whose messages are malformed, and warn in the log: it would resend the same batch for ever."""
        self._gate.refuse("malformed", f"{run}: {problem}")
        self._gate.send(key, c.Fenced(detail=f"said something that is not understood: {problem}"))
        self.record(run, e.KeyRevoked(epoch=epoch))
        self.record(
            run, e.WarningRaised(message=f"attempt {epoch} said something that is not understood, and is ended: {problem}")
        )

    def _acknowledge(self, key: str, stored: "asyncio.Future[list[int]]") -> None:
        if stored.cancelled():
            return
        match stored.exception():
            case None:
                if not self._acknowledged:  # one commit completes many appends: send one acknowledgement per trainer
                    asyncio.get_running_loop().call_soon(self._send_acknowledgements)
                self._acknowledged[key] = stored.result()[0]
            case SequenceGapError() as gap:
                self._gate.send(key, c.Acknowledged(seq=gap.last_seq, resend=True))
            case error:
                LOG.error("cannot record: %s", error)
                self._on_failure()

    def _send_acknowledgements(self) -> None:
        acknowledged, self._acknowledged = self._acknowledged, {}
        for key, seq in acknowledged.items():
            self._gate.send(key, c.Acknowledged(seq=seq))


def _ignore(stored: "asyncio.Future[list[int]]") -> None:
    """Discard the result of an append that nothing depends on; the store reports its failure elsewhere."""
    if not stored.cancelled():
        stored.exception()


def _trainer_events(command: c.Append) -> list[e.NewEvent]:
    if len(command.events) > MAX_EVENTS:
        raise WireError(f"{len(command.events)} events in one batch; at most {MAX_EVENTS} are allowed")
    for kind, _, _ in command.events:
        if kind not in e.TRAINER_KINDS:
            raise WireError(f"a trainer may not say {kind[:64]!r}")
    return [e.NewEvent(kind, at, body) for kind, at, body in command.events]
