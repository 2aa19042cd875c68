"""Workers on the supervisor's own machine, where there is no room for as many as are wanted."""

import errno
import itertools
import os
from pathlib import Path

import pytest

from lander.supervisor.launchers.launcher import LauncherError, WorkerCommand
from lander.supervisor.launchers.local_workers import LocalWorkers

COMMAND = WorkerCommand(batch="it", head="h:1", token_file=Path("token"), token="t", home="h", program=("true",))


@pytest.mark.parametrize("room", [0, 2])
async def test_those_that_could_be_started_count_and_none_at_all_is_refused(tmp_path, monkeypatch, room):
    ids = itertools.chain(range(10, 10 + room), itertools.repeat(None))

    def start(*arguments, **how):
        if (pid := next(ids)) is None:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return pid

    monkeypatch.setattr(os, "posix_spawnp", start)
    launcher = LocalWorkers("it", tmp_path)
    if room:
        assert await launcher.launch(3, COMMAND) == ("10", "11")
        assert [path.name for path in (tmp_path / "workers").iterdir() if "3" in path.name] == []
    else:
        with pytest.raises(LauncherError, match=r"^true: Resource temporarily unavailable"):
            await launcher.launch(3, COMMAND)
