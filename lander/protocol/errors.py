"""Every error a user may meet: what failed, where, and what to do next.

An error is one plain line for each problem. Its class says who has to act: the user (`UsageError` and its children, exit code
2) or the caller (`NotFoundError`, exit code 3). `code` is its name on the wire, and never changes when the class is renamed.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Final


class LanderError(Exception):
    """Base of every error that this project raises on purpose.

    `run`, `field` and `file` are what the error concerns, where that is known, for programs that catch it; people read it in
    the text. `exit_code` is what the command line returns.
    """

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1

    def __init__(self, text: str = "", *, run: str | None = None, field: str | None = None, file: str | None = None) -> None:
        super().__init__(text)
        self.run = run
        self.field = field
        self.file = file


class UsageError(LanderError):
    """The request itself is wrong; nothing was started and nothing was written."""

    code = "usage"
    exit_code = 2


class ConfigurationError(UsageError):
    """An experiment file, override or option is wrong.

    One line per problem: `FILE: FIELD: what was found; what is allowed`. `field` is that of the first.
    """

    code = "configuration"


class ConflictError(UsageError):
    """The request contradicts what the log already says (the same id with other content, for instance)."""

    code = "conflict"


class LeavingError(ConflictError):
    """The supervisor is shutting down; once it has ended, another one can be started and asked."""

    code = "leaving"


class NotFoundError(LanderError):
    """There is no such experiment, arm or run, or no supervisor to ask."""

    code = "not-found"
    exit_code = 3


class TooSlowError(LanderError):
    """Something was not done in time; nothing else is known to be wrong with it."""

    code = "too-slow"


class HomeError(UsageError):
    """The home directory cannot be used: not writable, full, locked by another supervisor, or damaged."""

    code = "home"


class OccupiedError(HomeError):
    """Another supervisor holds the home; ask that one, or try again once it has left."""

    code = "occupied"


class HomeGoneError(HomeError):
    """The home was deleted, or another was put in its place, while it was in use: what it held cannot be asked for any more."""

    code = "home-gone"
    exit_code = 3


class OutputClosedError(LanderError):
    """The output was closed by its reader, such as `head`, or with its terminal: what trains goes on, but cannot be shown."""

    code = "output-closed"
    exit_code = 141  # as of a program that SIGPIPE ends


class WireError(LanderError):
    """Bytes that are not a message of ours; raised by the decoder and by nothing else."""

    code = "wire"


class StoreError(LanderError):
    """The event store refused: a conflicting event, a broken hash chain, a schema from a newer version."""

    code = "store"


def _all(base: type[LanderError]) -> Iterator[type[LanderError]]:
    yield base
    for child in base.__subclasses__():
        yield from _all(child)


BY_CODE: Final[Mapping[str, type[LanderError]]] = {error.code: error for error in _all(LanderError)}
"""The errors that may travel. A subclass that is defined elsewhere has its parent's code, and travels as that."""


def from_code(code: str, text: str) -> LanderError:
    """The error with this code, or a plain one where this version does not know it."""
    return BY_CODE.get(code, LanderError)(text)
