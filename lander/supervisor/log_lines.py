"""The lines of the supervisor's log: one for each record, whatever is in it, and an indented traceback."""

import logging
from textwrap import indent
from types import TracebackType

from lander.protocol.text import cut, cut_start, one_line, printable

_ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class LogLine(logging.Formatter):
    """Cuts messages and makes them printable: text from outside can begin no line of its own and send no escape sequence."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - overrides
        """The line of a record."""
        record.message = one_line(cut(record.message))
        return super().formatMessage(record)

    def formatException(self, ei: _ExceptionInfo) -> str:  # noqa: N802 - overrides
        """The traceback below it, each line indented."""
        return indent(printable(cut_start(super().formatException(ei))), "    ", lambda line: True)
