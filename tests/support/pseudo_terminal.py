"""A command in a terminal window: a pseudo-terminal that it controls, in which one can type, and which one can close."""

import contextlib
import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

TIMEOUT_SECONDS = 60.0
CTRL_C = "\x03"
_TAKE_TERMINAL = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"


class PseudoTerminal:
    """The window: what was shown in it so far is `text`."""

    def __init__(self, home: Path, *arguments: object, columns: int = 120) -> None:
        self._window, inside = pty.openpty()
        fcntl.ioctl(self._window, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self.text = ""
        command = [sys.executable, "-c", _TAKE_TERMINAL, *map(str, arguments)]
        environment = os.environ | {"LANDER_HOME": str(home), "TERM": "xterm"}
        environment = {name: value for name, value in environment.items() if name not in ("COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            command, stdin=inside, stdout=inside, stderr=inside, env=environment, start_new_session=True
        )
        os.close(inside)

    def wait_for(self, words: str) -> None:
        """Return when the window shows these words."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while words not in self.text:
            assert time.monotonic() < deadline, f"waited for {words!r}; the window shows:\n{self.text}"
            assert self._read(), f"ended without {words!r}; the window shows:\n{self.text}"

    def type(self, text: str) -> None:
        """Type into the window."""
        os.write(self._window, text.encode())

    def wait(self) -> int:
        """The exit code, once the command has ended."""
        while self._read():
            pass
        return self.process.wait(TIMEOUT_SECONDS)

    def close(self) -> int:
        """Close the window; the exit code of what ran in it."""
        os.close(self._window)
        self._window = -1
        return self.process.wait(TIMEOUT_SECONDS)

    def end(self) -> None:
        """End whatever is left."""
        if self._window >= 0:
            os.close(self._window)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def _read(self) -> bool:
        """Read what is new; false once everything in the window has ended."""
        if not select.select([self._window], [], [], 0.2)[0]:
            return self.process.poll() is None
        with contextlib.suppress(OSError):  # as Linux says that the other side was closed
            if shown := os.read(self._window, 1 << 16):
                self.text += shown.decode("utf-8", "replace")
                return True
        return False


@contextlib.contextmanager
def window(home: Path, *arguments: object, columns: int = 120) -> Iterator[PseudoTerminal]:
    """A window that leaves no process of its own behind."""
    terminal = PseudoTerminal(home, *arguments, columns=columns)
    try:
        yield terminal
    finally:
        terminal.end()
