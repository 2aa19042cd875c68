"""Workers on the supervisor's own machine, where there is no room for as many as are wanted."""

import errno
import itertools
import os
from dataclasses import replace
from pathlib import Path

import pytest

from lander.home.shared_cores import SHARE
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


@pytest.mark.parametrize(("slots", "most"), [(1, 3), (2, 1), (4, 1)])
async def test_no_more_are_started_than_the_machine_has_cores_for(tmp_path, monkeypatch, slots, most):
    monkeypatch.delenv(SHARE)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    monkeypatch.setattr(os, "posix_spawnp", lambda *arguments, **how: 10)
    launcher = LocalWorkers("it", tmp_path)
    assert len(await launcher.launch(8, replace(COMMAND, slots=slots))) == most
    assert launcher.room() == (most, f"each worker takes {slots} of this machine's 3 cores")


async def test_where_workers_share_cores_there_may_be_any_number(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    monkeypatch.setattr(os, "posix_spawnp", lambda *arguments, **how: 10)
    assert len(await LocalWorkers("it", tmp_path).launch(8, COMMAND)) == 8
