"""What a trainer says of a disk that is full: whose disk it is."""

import errno
from types import SimpleNamespace

import pytest

from lander.actors.trainer import disk_patience


@pytest.mark.parametrize(("host", "where"), [("", "at step 5"), ("gpu3", "at step 5, on gpu3")])
def test_the_host_with_the_full_disk_is_named(monkeypatch, host, where):
    monkeypatch.setattr(disk_patience, "ROOM_SECONDS", 0.0)
    said = []
    mailbox = SimpleNamespace(host=host, say=lambda event: said.append(event.message), exchange=lambda: None)
    tries = iter([OSError(errno.ENOSPC, "full"), OSError(errno.ENOSPC, "full"), None])

    def write():
        if error := next(tries):
            raise error
        return "written"

    assert not disk_patience.try_to_write(mailbox, write, "no checkpoint at step 5")
    assert disk_patience.write_when_disk_has_room(mailbox, write, "at step 5") == "written"
    full = "[Errno 28] full"
    assert said == [f"no checkpoint {where}: {full}", f"waiting for room on the disk {where}: {full}"]
