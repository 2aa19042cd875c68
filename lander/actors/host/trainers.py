"""The trainers of one host: forked from its zygote, ended when asked, reported when gone."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from lander.actors.host.zygote_process import ZygoteProcess
from lander.actors.trainer.mailbox import Connection
from lander.home.layout import trainer_log
from lander.protocol.commands import StartTrainer, TrainerExited, TrainerKey, TrainerOrder
from lander.protocol.experiment import RunKey
from lander.protocol.wire import encode

LEAVE_SECONDS: Final = 5.0
"""How long what ends may take where nobody can use its checkpoint, and how long the dead may take to be gone."""
TRACEBACK_SECONDS: Final = 1.0
_LOG_TAIL_BYTES: Final = 2000


@dataclass
class _Trainer:
    order: TrainerOrder
    log: Path
    pid: int | None = None
    pidfd: int | None = None
    doomed: bool = False
    """Its end was due before it was forked."""
    gone: asyncio.Event = field(default_factory=asyncio.Event)


class Trainers:
    """Every trainer that is here or about to be; `report` is called with each one's end."""

    def __init__(self, home: Path, connection: Connection, report: Callable[[TrainerExited], None]) -> None:
        self._home = home
        self._report = report
        self._trainers: dict[TrainerKey, _Trainer] = {}
        self._zygote = ZygoteProcess(home, connection, self._hear_zygote)

    def open(self) -> None:
        """Have a zygote to fork them from."""
        self._zygote.start()

    def close(self) -> None:
        """End the zygote, and with it whatever is left."""
        self._zygote.stop()

    @property
    def keys(self) -> tuple[TrainerKey, ...]:
        """Which are here."""
        return tuple(self._trainers)

    def measured(self) -> list[tuple[TrainerKey, int, int | None]]:
        """Those to be measured: which, process id, GPU."""
        return [
            (key, trainer.pid, trainer.order.gpu)
            for key, trainer in self._trainers.items()
            if trainer.pid is not None and trainer.order.monitoring
        ]

    # ------------------------------------------------------------------------------------------------ beginnings

    def start(self, command: StartTrainer) -> None:
        """Have one forked, unless it is here."""
        order = command.order
        key = TrainerKey(run=order.run, epoch=order.epoch)
        if key in self._trainers:
            return
        log = trainer_log(self._home, RunKey.parse(order.run))
        self._trainers[key] = _Trainer(order, log)
        try:
            self._zygote.order(encode(command), log)
        except OSError as error:  # an attempt that never was, to be tried again
            print(f"host agent: cannot start {order.run}: {error}", file=sys.stderr, flush=True)
            self._exited(key, 1, None, False)

    def _hear_zygote(self, words: tuple[Any, ...]) -> None:
        match words:
            case ("forked", run, epoch, pid):
                self._forked(TrainerKey(run=run, epoch=epoch), pid)
            case ("exited", run, epoch, exit_code, signal_, out_of_memory):
                self._exited(TrainerKey(run=run, epoch=epoch), exit_code, signal_, out_of_memory)
            case ("died",):  # and with it every trainer
                for key in list(self._trainers):
                    self._exited(key, None, "SIGKILL", False, lost=True)
            case _:
                pass

    def _forked(self, key: TrainerKey, pid: int) -> None:
        trainer = self._trainers[key]
        trainer.pid, trainer.pidfd = pid, os.pidfd_open(pid)
        if trainer.doomed:
            self._signal(key, signal.SIGKILL)

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
                lost=lost,
                log_tail=_tail(trainer.log) if exit_code != 0 else "",
            )
        )

    async def end(self, key: TrainerKey, ask: float, terminate: float, *, traceback: bool = False) -> None:
        """SIGTERM if it has not ended `ask` seconds after it was asked, SIGKILL to its group `terminate` seconds later."""
        if traceback:
            self._signal(key, signal.SIGUSR1)  # on which it writes where it is into its log
            await self._wait_gone(key, TRACEBACK_SECONDS)
        await self._wait_gone(key, ask)
        self._signal(key, signal.SIGTERM)
        await self._wait_gone(key, terminate)
        self._signal(key, signal.SIGKILL)
        await self._wait_gone(key, LEAVE_SECONDS)

    async def end_all(self, terminate: float) -> None:
        """End every one, as `end` does."""
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
            trainer.doomed = trainer.doomed or number == signal.SIGKILL
            return
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(trainer.pidfd, number)
            if number == signal.SIGKILL:
                os.killpg(trainer.pid, number)


def _tail(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _LOG_TAIL_BYTES))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""
