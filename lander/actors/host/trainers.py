"""The trainers of one host: has the zygote fork them, ends them on order, and reports their exits."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from lander.actors.host.measuring import Measured
from lander.actors.host.zygote_process import ZygoteProcess
from lander.actors.trainer.mailbox import Connection
from lander.home.clock import elapsed
from lander.home.layout import trainer_log
from lander.home.log_tail import tail
from lander.protocol.commands import StartTrainer, TrainerExited, TrainerKey, TrainerOrder
from lander.protocol.error_text import error_text
from lander.protocol.experiment import RunKey
from lander.protocol.wire import encode

LEAVE_SECONDS: Final = 5.0
"""How long to wait after SIGTERM when no checkpoint is needed, and after SIGKILL for the exit to be reported."""
TRACEBACK_SECONDS: Final = 1.0
_LOG_TAIL_BYTES: Final = 2000
_WITHOUT_LEASE: Final = "ended by its host, which had not heard from the supervisor for too long"


@dataclass
class _Trainer:
    order: TrainerOrder
    log: Path
    log_start: int
    """The size of the log before it: what earlier attempts wrote there does not say why this one ended."""
    ordered_at: float = field(default_factory=elapsed)
    pid: int | None = None
    pidfd: int | None = None
    due: signal.Signals | None = None
    """The signal that was due before the zygote had forked it: SIGTERM, or SIGKILL, which counts for more."""
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    lost: bool = False
    """It is ended for want of contact with the supervisor, which is no failure of its run."""


class Trainers:
    """Every trainer that runs or is ordered from the zygote; calls `report` with each exit."""

    def __init__(self, home: Path, connection: Connection, report: Callable[[TrainerExited], None]) -> None:
        self._home = home
        self._report = report
        self._trainers: dict[TrainerKey, _Trainer] = {}
        self._zygote = ZygoteProcess(home, connection, self._on_zygote_message)

    def open(self) -> None:
        """End what earlier agents have left, and start the zygote."""
        self._zygote.end_left()
        self._zygote.start()

    def close(self) -> None:
        """End the zygote and with it all remaining trainers."""
        self._zygote.stop()

    @property
    def keys(self) -> tuple[TrainerKey, ...]:
        """The trainers that run or are ordered."""
        return tuple(self._trainers)

    @property
    def ages(self) -> tuple[float, ...]:
        """For how many seconds each of `keys` has run, from its order."""
        return tuple(elapsed() - trainer.ordered_at for trainer in self._trainers.values())

    def log_of(self, key: TrainerKey) -> tuple[Path, int]:
        """The log that a trainer writes to, and its size before it."""
        return self._trainers[key].log, self._trainers[key].log_start

    def measured(self) -> list[Measured]:
        """The trainers to measure."""
        return [
            Measured(key, trainer.pid, trainer.order.gpu_id, elapsed() - trainer.ordered_at)
            for key, trainer in self._trainers.items()
            if trainer.pid is not None and trainer.order.monitoring
        ]

    # ------------------------------------------------------------------------------------------------ beginnings

    def start(self, command: StartTrainer) -> None:
        """Have a trainer forked; does nothing if it is already here, so that a repeated order is harmless."""
        order = command.order
        key = TrainerKey(run=order.run, epoch=order.epoch)
        if key in self._trainers:
            return
        log = trainer_log(self._home, RunKey.parse(order.run))
        self._trainers[key] = _Trainer(order, log, _size(log))
        self._zygote.order(encode(command), log)

    def _on_zygote_message(self, message: tuple[Any, ...]) -> None:
        match message:
            case ("forked", run, epoch, pid):
                self._forked(TrainerKey(run=run, epoch=epoch), pid)
            case ("exited", run, epoch, exit_code, signal_, out_of_memory):
                self._exited(TrainerKey(run=run, epoch=epoch), exit_code, signal_, out_of_memory)
            case ("died",):  # every trainer dies with it
                for key in list(self._trainers):
                    self._exited(key, None, "SIGKILL", False, lost=True)
            case _:
                pass

    def _forked(self, key: TrainerKey, pid: int) -> None:
        trainer = self._trainers[key]
        trainer.pid, trainer.pidfd = pid, os.pidfd_open(pid)
        if trainer.due is not None:
            self._signal(key, trainer.due)

    # ------------------------------------------------------------------------------------------------ ends

    def _exited(
        self, key: TrainerKey, exit_code: int | None, signal_: str | None, out_of_memory: bool, lost: bool = False
    ) -> None:
        trainer = self._trainers.pop(key)
        trainer.gone.set()
        if trainer.pidfd is not None:
            os.close(trainer.pidfd)
        self._report(
            TrainerExited(
                run=key.run,
                epoch=key.epoch,
                exit_code=exit_code,
                signal=signal_,
                out_of_memory=out_of_memory,
                lost=lost or trainer.lost,
                seconds=elapsed() - trainer.ordered_at,
                log_tail=_WITHOUT_LEASE if trainer.lost else _said(trainer, exit_code) if exit_code != 0 else "",
            )
        )

    async def end(self, key: TrainerKey, ask: float, terminate: float, *, traceback: bool = False) -> None:
        """Wait `ask` seconds for a trainer that was asked to stop, then SIGTERM; `terminate` seconds later SIGKILL its group.

        With `traceback`, it first gets SIGUSR1, on which it writes its stack into its log: for one that has stalled.
        """
        if traceback:
            self._signal(key, signal.SIGUSR1)
            await self._wait_gone(key, TRACEBACK_SECONDS)
        await self._wait_gone(key, ask)
        self._signal(key, signal.SIGTERM)
        await self._wait_gone(key, terminate)
        self._signal(key, signal.SIGKILL)
        await self._wait_gone(key, LEAVE_SECONDS)

    async def end_lost(self, key: TrainerKey) -> None:
        """End at once a trainer that may act no more, since the supervisor has not been heard."""
        if (trainer := self._trainers.get(key)) is not None:
            trainer.lost = True
        await self.end(key, 0.0, 0.0)

    async def end_all(self, terminate: float) -> None:
        """SIGTERM to every trainer at once, and SIGKILL `terminate` seconds later."""
        await asyncio.gather(*(self.end(key, 0.0, terminate) for key in self.keys))

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
            if number != signal.SIGUSR1 and trainer.due != signal.SIGKILL:
                trainer.due = number
            return
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(trainer.pidfd, number)
            if number == signal.SIGKILL:
                os.killpg(trainer.pid, number)


def _said(trainer: _Trainer, exit_code: int | None) -> str:
    """What the end of its log says of why it ended; else only how it ended, for its last line may be anything."""
    unexplained = "" if exit_code is None else f"its process ended with exit status {exit_code}; its log does not say why"
    return error_text(tail(trainer.log, trainer.log_start, _LOG_TAIL_BYTES)) or unexplained


def _size(log: Path) -> int:
    try:
        return log.stat().st_size
    except OSError:
        return 0
