"""The zygote: a process that has imported and run everything once, and forks trainers from itself.

A fork takes milliseconds and shares the 200 MB of torch; a fresh interpreter needs seconds, and 200 MB of its own. Forking
is safe because the zygote has one thread and never uses CUDA. It talks with its host agent over a socket pair, one message
per packet, but for orders, which may need several. It dies with the agent, and its trainers die with it; the guard (`guard.py`)
ends the processes they started. What a trainer leaves behind when it ends becomes the zygote's own (`orphans.py`), and is
ended.

    host → zygote   msgpack [StartTrainer frame, log path], in `packets`
    zygote → host   msgpack ["ready"] · ["forked", run, epoch, pid] · ["exited", run, epoch, exit code, signal, oom]
"""

import contextlib
import faulthandler
import gc
import json
import os
import selectors
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgpack

from lander.actors.environment.parent_death import die_with_parent
from lander.actors.host.control_group import ControlGroup
from lander.actors.host.guard import MARK, Guard, end_group, end_marked, mark_of_trainer
from lander.actors.host.linux_process import OomKills, signal_name
from lander.actors.host.orphans import adopt_orphans, children
from lander.actors.host.visible_gpus import environment_of
from lander.protocol.commands import StartTrainer, TrainerOrder
from lander.protocol.wire import decode

PACKET_BYTES: Final = 1 << 16
"""The size limit of one packet: what a socket pair takes everywhere. An order may be larger, and is sent in several."""
_MORE, _LAST = b"+", b"."


def packets(order: bytes) -> list[bytes]:
    """An order in packets; the first byte of each says whether more follow."""
    size = PACKET_BYTES - 1
    *first, last = [order[start : start + size] for start in range(0, len(order), size)]
    return [*(_MORE + part for part in first), _LAST + last]


@dataclass(frozen=True)
class _Child:
    """A trainer; `oom_kills` is the kernel's count of out-of-memory kills when it started."""

    run: str
    epoch: int
    pid: int
    oom_kills: int


@dataclass(frozen=True)
class _Orphan:
    """A process that was killed because its trainer has ended."""

    pid: int


class Zygote:
    """The loop: forks trainers on order and reports their exits. `mark` is what marks the processes of this zygote."""

    def __init__(
        self, host: socket.socket, home: Path, connection: Any, mark: str, control_group: ControlGroup | None, guard: Guard
    ) -> None:
        self._host = host
        self._home = home
        self._connection = connection
        self._mark = mark
        self._control_group = control_group
        self._guard = guard
        self._order = b""
        """The packets of an order of which the last has not come yet."""
        self._oom_kills = OomKills()
        self._selector = selectors.DefaultSelector()

    def serve(self) -> None:
        """Serve until the host agent closes the socket."""
        self._selector.register(self._host, selectors.EVENT_READ)
        self._selector.register(os.pidfd_open(self._guard.pid), selectors.EVENT_READ, self._guard)
        self._send("ready")
        while True:
            for key, _ in self._selector.select():
                match key.data:
                    case _Child():
                        self._report_exit(key.data, key.fd)
                    case _Orphan():
                        self._bury(key.data, key.fd)
                    case Guard():
                        self._replace_guard(key.fd)
                    case _:
                        packet = self._host.recv(PACKET_BYTES)
                        if not packet:
                            return
                        self._receive(packet)

    def _receive(self, packet: bytes) -> None:
        self._order += packet[1:]
        if packet[:1] == _LAST:
            order, self._order = self._order, b""
            self._start(*msgpack.unpackb(order))

    def _send(self, *fields: object) -> None:
        self._host.send(msgpack.packb(fields))

    def _replace_guard(self, pidfd: int) -> None:
        self._unregister(pidfd)
        os.waitpid(self._guard.pid, 0)
        self._guard.close()
        trainers = [key.data.pid for key in self._selector.get_map().values() if isinstance(key.data, _Child)]
        self._guard = Guard(self._mark, self._control_group, tuple(trainers))
        self._selector.register(os.pidfd_open(self._guard.pid), selectors.EVENT_READ, self._guard)

    def _unregister(self, pidfd: int) -> None:
        self._selector.unregister(pidfd)
        os.close(pidfd)

    def _start(self, frame: bytes, log: str) -> None:
        command = decode(frame)
        if not isinstance(command, StartTrainer):
            raise TypeError(f"a zygote starts trainers and nothing else, not {command.kind}")
        order = command.order
        oom_kills = self._oom_kills.so_far()
        parent = os.getpid()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # the trainer takes it once it can stop at a boundary
        pid = os.fork()
        if pid == 0:
            self._become_trainer(command, Path(log), parent)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        self._guard.watch(pid)
        self._selector.register(os.pidfd_open(pid), selectors.EVENT_READ, _Child(order.run, order.epoch, pid, oom_kills))
        self._send("forked", order.run, order.epoch, pid)

    def _become_trainer(self, command: StartTrainer, log: Path, parent: int) -> None:
        """In the child: close what was inherited, pin the process, train, and exit. Never returns."""
        status = 1
        try:
            die_with_parent(parent)
            adopt_orphans()
            os.setsid()  # its own process group, so that what its environment starts can be ended with it
            self._close_inherited()
            _redirect_output(log)
            faulthandler.register(signal.SIGUSR1, all_threads=True)  # writes the stack of a stalled trainer into its log
            os.environ[MARK] = mark_of_trainer(self._mark, os.getpid())
            _pin(command.order)
            from lander.actors.trainer.trainer import train

            status = train(command, self._connection, self._home)
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def _close_inherited(self) -> None:
        """Close the inherited descriptors. An open end of the guard's pipe would hide the zygote's death from the guard."""
        self._guard.close()
        for key in self._selector.get_map().values():
            if key.data is not None:
                os.close(key.fd)
        self._selector.close()
        self._host.close()

    def _report_exit(self, child: _Child, pidfd: int) -> None:
        """Report how a trainer exited, and end the processes it left."""
        info = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOWAIT)
        # Before `waitpid`: while the trainer is a zombie, no other process can get its id.
        end_group(child.pid)
        end_marked(mark_of_trainer(self._mark, child.pid))
        self._guard.unwatch(child.pid)
        os.waitpid(child.pid, 0)
        self._unregister(pidfd)
        self._end_orphans()
        exited = info is not None and info.si_code == os.CLD_EXITED
        status = info.si_status if info is not None else 0
        self._send(
            "exited",
            child.run,
            child.epoch,
            status if exited else None,
            None if exited else signal_name(status),
            not exited and status == signal.SIGKILL and self._oom_kills.explains(child.oom_kills),
        )

    def _end_orphans(self) -> None:
        """SIGKILL every child that this process has not forked: its trainer has ended, else it would be that one's."""
        known = {key.data.pid for key in self._selector.get_map().values() if key.data is not None}
        for pid in children():
            if pid not in known:
                self._selector.register(os.pidfd_open(pid), selectors.EVENT_READ, _Orphan(pid))
                with contextlib.suppress(PermissionError):
                    os.kill(pid, signal.SIGKILL)

    def _bury(self, orphan: _Orphan, pidfd: int) -> None:
        """Reap an orphan; its own children are ours now."""
        os.waitpid(orphan.pid, 0)
        self._unregister(pidfd)
        self._end_orphans()


def _redirect_output(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def _pin(order: TrainerOrder) -> None:
    """Pin to one core, and make only the assigned GPU visible, or none."""
    os.sched_setaffinity(0, {order.cpu})
    os.environ.update(environment_of(order.gpu_id))


def warm_up() -> None:
    """Import and run everything once, so that no trainer pays for it."""
    gc.disable()  # the imports make little garbage, and looking for it takes a fifth of their time
    import torch

    torch.set_num_threads(1)
    # Checking the arguments of every distribution takes a sixth of PPO's time and changes no result.
    torch.distributions.Distribution.set_default_validate_args(False)
    from stable_baselines3 import DQN, PPO, SAC
    from stable_baselines3.common.logger import Logger

    import lander.actors.trainer.trainer  # noqa: F401 - imported here so that every trainer has it
    from lander.actors.sb3.postponed_compiler import postpone_compiler

    postpone_compiler()
    small: Any = {"device": "cpu", "learning_starts": 2, "buffer_size": 16, "batch_size": 2}
    for model, steps in (
        (PPO("MlpPolicy", "LunarLander-v3", device="cpu", n_steps=64, batch_size=64, n_epochs=1), 64),
        (DQN("MlpPolicy", "CartPole-v1", **small), 8),
        (SAC("MlpPolicy", "Pendulum-v1", **small), 4),
    ):
        model.set_logger(Logger(folder=None, output_formats=[]))  # the default logger would leave a directory in /tmp
        model.learn(steps)
    gc.freeze()  # the collector skips these objects, so it does not write to their pages and trainers share them
    gc.enable()


def main() -> None:
    """`python -m lander.actors.host.zygote HOST_PID FD HOME CONNECTION`, as the host agent starts it."""
    host_pid, descriptor, home, connection = sys.argv[1:]
    die_with_parent(int(host_pid))
    # Both may go to the whole group; the agent lets the trainers finish. What is ignored would be lost to a new trainer, too.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: None)
    adopt_orphans()
    mark, control_group = os.environ[MARK], _control_group(Path(home))
    guard = Guard(mark, control_group)  # while this process is small, and before the first trainer
    if control_group is not None:
        control_group.enter()
    warm_up()
    from lander.actors.trainer.mailbox import Connection

    with socket.socket(fileno=int(descriptor)) as host:
        Zygote(host, Path(home), Connection(**json.loads(connection)), mark, control_group, guard).serve()


def _control_group(home: Path) -> ControlGroup | None:
    """A group of its own; None where none can be made, which `lander-ctl doctor` says."""
    try:
        return ControlGroup.make(home)
    except OSError:
        return None


if __name__ == "__main__":
    main()
