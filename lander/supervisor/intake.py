"""The path of training events: check a trainer's batch, store its bytes unchanged, acknowledge batches in bulk."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Final

from lander.protocol import commands as c
from lander.protocol import events as e
from lander.protocol.errors import WireError
from lander.protocol.wire import MAX_EVENTS, decode_event
from lander.store.log.event_store import Batch, EventStore, SequenceGapError
from lander.supervisor.gate import Gate

LOG: Final = logging.getLogger(__name__)


class Intake:
    """Stores batches whose sender and epoch are already checked; calls `on_failure` when the store can no longer write."""

    def __init__(self, gate: Gate, store: EventStore, on_failure: Callable[[], None]) -> None:
        self._gate = gate
        self._store = store
        self._on_failure = on_failure
        self._acknowledged: dict[str, int] = {}

    def store(self, key: str, command: c.Append) -> None:
        """Store a batch and acknowledge it once it is durable; raises `WireError` if a trainer may not send these events."""
        batch = Batch(command.run, command.epoch, command.first_seq, _trainer_events(command))
        self._store.append(batch).add_done_callback(partial(self._acknowledge, key))

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


def _trainer_events(command: c.Append) -> list[e.NewEvent]:
    if len(command.events) > MAX_EVENTS:
        raise WireError(f"{len(command.events)} events in one batch; at most {MAX_EVENTS} are allowed")
    return [e.NewEvent(at, _trainer_event(kind, body), body) for kind, at, body in command.events]


def _trainer_event(kind: str, body: bytes) -> e.Event:
    if kind not in e.TRAINER_KINDS:
        raise WireError(f"a trainer may not say {kind[:64]!r}")
    return decode_event(kind, body)
