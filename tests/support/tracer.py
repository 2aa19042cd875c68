"""Watches the system calls of another process, as `strace` does, so that a test can tell what the disk was asked to hold.

Linux only, and only the three calls named in `CALLS`; where tracing is not allowed, `Tracer` raises `PermissionError`.
"""

import contextlib
import ctypes
import os
import platform
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

CALLS = {
    "x86_64": {1: "write", 74: "fsync", 75: "fdatasync"},
    "aarch64": {64: "write", 82: "fsync", 83: "fdatasync"},
}.get(platform.machine(), {})
"""Number → name of the calls that are reported."""

_SYSCALL, _DETACH, _SEIZE, _INTERRUPT, _GET_SYSCALL_INFO = 24, 17, 0x4206, 0x4207, 0x420E
_MARK_SYSCALLS, _FOLLOW_THREADS, _DIE_WITH_TRACER = 0x1, 0x8, 0x100000
_ENTRY, _EXIT = 1, 2
_EVERY_THREAD = 0x40000000
_SYSCALL_STOP = signal.SIGTRAP | 0x80

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


class Call(NamedTuple):
    """A system call at its beginning or, with what it returned, at its end; its thread stands still meanwhile."""

    name: str
    descriptor: int
    path: Path
    size: int
    returned: int | None


class _Entry(ctypes.Structure):
    _fields_ = (("number", ctypes.c_uint64), ("arguments", ctypes.c_uint64 * 6))


class _Exit(ctypes.Structure):
    _fields_ = (("returned", ctypes.c_int64), ("is_error", ctypes.c_uint8))


class _Either(ctypes.Union):
    _fields_ = (("entry", _Entry), ("exit", _Exit))


class _Info(ctypes.Structure):
    """`struct ptrace_syscall_info`, the same on every machine."""

    _anonymous_ = ("either",)
    _fields_ = (
        ("operation", ctypes.c_uint8),
        ("architecture", ctypes.c_uint32),
        ("instruction", ctypes.c_uint64),
        ("stack", ctypes.c_uint64),
        ("either", _Either),
    )


def _ptrace(request: int, thread: int, address: int | None = None, data: object = None) -> None:
    if _libc.ptrace(request, thread, address, data) < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


class Tracer:
    """Follows one process, the leader of its own process group, through its life."""

    def __init__(self, pid: int) -> None:
        if not CALLS:
            raise PermissionError(f"the numbers of system calls on {platform.machine()} are not known here")
        self._pid = pid
        self._entered: dict[int, Call] = {}
        _ptrace(_SEIZE, pid, None, _MARK_SYSCALLS | _FOLLOW_THREADS | _DIE_WITH_TRACER)
        _ptrace(_INTERRUPT, pid)

    def calls(self) -> Iterator[Call]:
        """Every call in `CALLS`, until the process is gone."""
        while True:
            try:
                thread, status = os.waitpid(-self._pid, _EVERY_THREAD)
            except ChildProcessError:
                return
            if not os.WIFSTOPPED(status):
                continue
            pass_on = 0
            if os.WSTOPSIG(status) == _SYSCALL_STOP:
                yield from self._call(thread)
            elif status >> 16 == 0 and os.WSTOPSIG(status) != signal.SIGTRAP:
                pass_on = os.WSTOPSIG(status)
            with contextlib.suppress(ProcessLookupError):  # killed while it stood still
                _ptrace(_SYSCALL, thread, None, pass_on)

    def _call(self, thread: int) -> Iterator[Call]:
        info = _Info()
        _ptrace(_GET_SYSCALL_INFO, thread, ctypes.sizeof(info), ctypes.addressof(info))
        if info.operation == _ENTRY and info.entry.number in CALLS:
            descriptor, _, size = info.entry.arguments[:3]
            path = Path(f"/proc/{thread}/fd/{descriptor}").readlink()
            self._entered[thread] = Call(CALLS[info.entry.number], descriptor, path, size, None)
            yield self._entered[thread]
        elif info.operation == _EXIT and thread in self._entered:
            yield self._entered.pop(thread)._replace(returned=info.exit.returned)
