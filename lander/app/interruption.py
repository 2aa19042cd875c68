"""Ctrl-C and other signals to end as a flag to poll, so that the running command can end in good order."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self


class Interruption:
    """Sets `wished` at the first Ctrl-C or SIGTERM, and raises `KeyboardInterrupt` at the next one after it is `delivered`.

    Further signals of `numbers` count as well, unless this process was started with them ignored, as `nohup` does with SIGHUP.
    Does nothing outside the main thread: Python runs signal handlers only there.
    """

    def __init__(self, *numbers: signal.Signals) -> None:
        heard = (number for number in numbers if signal.getsignal(number) != signal.SIG_IGN)
        self._numbers = (signal.SIGINT, signal.SIGTERM, *heard)
        self.wished = False
        self.hung_up = False
        """Whether the wish is no more than that the terminal was closed (SIGHUP)."""
        self.delivered = False
        """Whether the supervisor has received the request to stop: a further signal then ends the waiting."""
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._on_signal) for number in self._numbers}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.delivered:
            raise KeyboardInterrupt("no longer waiting; lander-ctl status tells how it stands, lander-ctl down ends everything")
        self.hung_up = number == signal.SIGHUP and (self.hung_up or not self.wished)
        self.wished = True
