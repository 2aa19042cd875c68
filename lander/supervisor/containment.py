"""Containment: what serving one peer raises does not end the service of the others."""

import contextlib
import logging
from collections.abc import Iterator
from typing import Final

from lander.protocol.commands import CLIENT, Refused
from lander.protocol.errors import LanderError, StoreError, UsageError, WireError
from lander.supervisor.gate import Gate

LOG: Final = logging.getLogger(__name__)


@contextlib.contextmanager
def contained(gate: Gate, key: str, message: object) -> Iterator[None]:
    """Log what is raised inside, and refuse the message if a client waits for an answer to it.

    `StoreError` passes: a store that cannot write any more serves nobody. So does what is raised while no peer is served (`key`
    is empty): a defect of the supervisor's own.
    """
    try:
        yield
    except StoreError:
        raise
    except Exception as error:
        if not key:
            raise
        if isinstance(error, WireError) and isinstance(message, CLIENT):  # nothing was recorded of it
            gate.send(key, Refused(error=UsageError.code, detail=f"cannot be recorded: {error}; ask for less at once"))
            return
        LOG.exception("%s from %s could not be handled", type(message).__name__, key)
        if isinstance(message, CLIENT):
            detail = f"{type(error).__name__}: {error} (a defect of lander-ctl; supervisor.log shows where)"
            gate.send(key, Refused(error=LanderError.code, detail=detail))
