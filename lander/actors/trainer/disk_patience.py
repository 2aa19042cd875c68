"""Writing to a disk that may be full: what can be left out is left out and said, what must not be lost waits for room."""

import errno
import time
from collections.abc import Callable
from typing import Final, TypeVar

from lander.actors.trainer.mailbox import Mailbox
from lander.protocol.events import WarningRaised

ROOM_SECONDS: Final = 1.0
"""Between two looks whether the disk has room."""
T = TypeVar("T")


def try_to_write(mailbox: Mailbox, write: Callable[[], object], otherwise: str) -> bool:
    """Write something without which training can go on; returns whether the disk took it, and says so where it did not."""
    try:
        write()
    except OSError as error:
        mailbox.say(WarningRaised(message=f"{otherwise}: {error}"))
        return False
    return True


def until_there_is_room(mailbox: Mailbox, write: Callable[[], T], where: str) -> T:
    """Write something that must not be lost, as soon as the disk takes it; raises what `write` raises for other reasons."""
    warned = False
    while True:
        try:
            return write()
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            if not warned:
                mailbox.say(WarningRaised(message=f"waiting for room on the disk {where}: {error}"))
            warned = True
            mailbox.exchange()
            time.sleep(ROOM_SECONDS)
