"""Writes to a disk that may be full: skips optional files with a warning, and waits for space for required ones."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

from lander.actors.trainer.mailbox import Mailbox
from lander.protocol.disk import NO_ROOM
from lander.protocol.events import WarningRaised

ROOM_SECONDS: Final = 1.0
"""Pause between two attempts to write."""
T = TypeVar("T")


def try_to_write(mailbox: Mailbox, write: Callable[[], object], warning: str) -> bool:
    """Write an optional file; returns whether that succeeded. On `OSError` puts `warning` and the error in the mailbox."""
    try:
        write()
    except OSError as error:
        mailbox.say(WarningRaised(message=f"{warning}{_on_host(mailbox)}: {error}"))
        return False
    return True


def write_when_disk_has_room(mailbox: Mailbox, write: Callable[[], T], where: str) -> T:
    """Write a required file, and wait while the disk is full; raises what `write` raises for other reasons."""
    warned = False
    while True:
        try:
            return write()
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            if not warned:
                mailbox.say(WarningRaised(message=f"waiting for room on the disk {where}{_on_host(mailbox)}: {error}"))
            warned = True
            mailbox.exchange()
            time.sleep(ROOM_SECONDS)


def _on_host(mailbox: Mailbox) -> str:
    """Whose disk it is, if it is not that of the supervisor's machine."""
    return f", on {mailbox.host}" if mailbox.host else ""
