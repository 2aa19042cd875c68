"""The agent's side of the zygote: starts it, sends it orders, receives its messages, and replaces it when it dies."""

import asyncio
import os
import secrets
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgpack

from lander.actors.host.control_group import end_groups, name_of
from lander.actors.host.guard import MARK, end_marked, mark_of
from lander.actors.host.one_thread import ONE_THREAD
from lander.actors.host.orphans import end_children
from lander.actors.host.zygote import PACKET_BYTES, packets
from lander.actors.trainer.mailbox import Connection

RESTART_SECONDS: Final = 1.0
"""Pause before a dead zygote is replaced, so that a machine where warm-up always fails is not kept busy."""
END_SECONDS: Final = 5.0
"""How long to wait for processes that were killed; one that waits for a disk or a driver may need longer, or for ever."""


class ZygoteProcess:
    """One zygote at a time; calls `on_message` with each of its messages, and with `("died",)` when it dies.

    This process adopts what a zygote leaves behind, so it must have no other children.
    """

    def __init__(self, home: Path, connection: Connection, on_message: Callable[[tuple[Any, ...]], None]) -> None:
        self._home = home
        self._group_name = name_of(home)
        self._connection = connection
        self._on_message = on_message
        self._packets: deque[bytes] = deque()
        self._stopped = False

    def end_left(self) -> None:
        """End what earlier agents of this home have left, if they and their guards were killed at once."""
        end_marked(mark_of(self._home))
        end_groups(self._group_name)

    def start(self) -> None:
        """Start a zygote. Orders can be sent at once; it carries them out after its warm-up."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-m", "lander.actors.host.zygote", str(os.getpid()), str(theirs.fileno())]
        mark = mark_of(self._home, secrets.token_hex(8))
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [*command, str(self._home), self._connection.model_dump_json()],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    env=os.environ | ONE_THREAD | {"PYTORCH_NVML_BASED_CUDA_CHECK": "1", MARK: mark},
                )
            except OSError:
                ours.close()
                raise
        ours.setblocking(False)
        self._channel = ours
        asyncio.get_running_loop().add_reader(ours.fileno(), self._on_readable)
        self._send_orders()

    def order(self, frame: bytes, log: Path) -> None:
        """Have a trainer forked, by the next zygote if there is none now."""
        self._packets.extend(packets(msgpack.packb((frame, str(log)))))
        if self._channel.fileno() >= 0:
            self._send_orders()

    def _send_orders(self) -> None:
        """Send as many as the socket accepts; never blocks, because a zygote may be frozen or warming up."""
        loop = asyncio.get_running_loop()
        try:
            while self._packets:
                self._channel.send(self._packets[0])
                self._packets.popleft()
            loop.remove_writer(self._channel.fileno())
        except BlockingIOError:
            loop.add_writer(self._channel.fileno(), self._send_orders)
        except OSError:  # it is dead: `_on_readable` will report that, which ends these orders too
            self._packets.clear()

    def _on_readable(self) -> None:
        try:
            packet = self._channel.recv(PACKET_BYTES)
        except BlockingIOError:
            return
        except ConnectionResetError:  # it died before it read all orders
            packet = b""
        if packet:
            self._on_message(msgpack.unpackb(packet, use_list=False))
            return
        self._close()
        self._end_process()
        self._on_message(("died",))
        if not self._stopped:
            asyncio.get_running_loop().call_later(RESTART_SECONDS, self._replace)

    def _replace(self) -> None:
        if self._stopped:
            return
        try:
            self.start()
        except OSError as error:  # out of processes or memory for the moment
            print(f"host agent: cannot start a zygote: {error}; trying again", file=sys.stderr, flush=True)
            asyncio.get_running_loop().call_later(RESTART_SECONDS, self._replace)

    def _close(self) -> None:
        if self._channel.fileno() >= 0:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._channel.fileno())
            loop.remove_writer(self._channel.fileno())
            self._channel.close()
        self._packets.clear()

    def stop(self) -> None:
        """Kill it; its remaining trainers die with it, and nothing that they have started stays."""
        self._stopped = True
        self._close()
        self._process.kill()
        self._end_process()

    def _end_process(self) -> None:
        self._process.wait()
        if left := end_children(END_SECONDS):
            print(f"host agent: killed, and still there: processes {left}", file=sys.stderr, flush=True)
        end_groups(self._group_name)
