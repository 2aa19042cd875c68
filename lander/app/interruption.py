"""Ctrl-C and SIGTERM as a wish that can be asked for, so that what runs can end in good order."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self


class Interruption:
    """Makes of the first Ctrl-C or SIGTERM a wish that can be asked for, and of the second a `KeyboardInterrupt`.

    Does nothing outside the main thread, where Python delivers no signals.
    """

    def __init__(self, *numbers: signal.Signals) -> None:
        self._numbers = (signal.SIGINT, signal.SIGTERM, *numbers)
        self.wished = False
        self.delivered = False
        """The wish has reached the supervisor: from now on a second signal means that nobody wants to wait."""
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._hear) for number in self._numbers}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.delivered:
            raise KeyboardInterrupt("no longer waiting; lander-ctl status tells how it stands, lander-ctl down ends everything")
        self.wished = True
