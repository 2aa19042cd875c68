"""Every error a user may meet: what failed, where, and what to do next.

An error is one plain line. The class says who has to act: the user (`UsageError` and its children, exit code 2),
or nobody but the caller (`NotFoundError`, exit code 3).
"""


class LanderError(Exception):
    """Base of every error this project raises on purpose; `exit_code` is what the command line returns for it."""

    exit_code = 1


class UsageError(LanderError):
    """The request itself is wrong; nothing was started and nothing was written."""

    exit_code = 2


class ConfigurationError(UsageError):
    """An experiment file, override or option is wrong.

    One line per problem: `FILE: FIELD: what was found; what is allowed`.
    """


class ConflictError(UsageError):
    """The request contradicts what the log already says (the same id with other content, for instance)."""


class LeavingError(ConflictError):
    """The supervisor is on its way out; once it is gone, another can be started and asked."""


class NotFoundError(LanderError):
    """No such experiment, arm or run, or no supervisor to ask."""

    exit_code = 3


class HomeError(UsageError):
    """The home directory cannot be used: not writable, full, locked by another supervisor, or damaged."""


class WireError(LanderError):
    """Bytes that are not a message of ours; raised by the decoder and by nothing else."""


class StoreError(LanderError):
    """The event store refused: a conflicting event, a broken hash chain, a schema from a newer version."""
