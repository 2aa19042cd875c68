"""The commands of an engine, as they are configured."""

from pathlib import Path

import pytest

from lander.supervisor.launchers.command import CommandLauncher
from lander.supervisor.launchers.launcher import LauncherError, WorkerCommand

LAUNCH = ("sh", "-c", "test $0 != it-2 || { echo quota exceeded >&2; exit 1; }", "{name}")
COMMAND = WorkerCommand(batch="it", head="h:1", token_file=Path("token"), token="t", home="h", program=("lander-ctl",))


async def test_what_was_refused_is_said_although_another_job_could_not_be_ended_before():
    launcher = CommandLauncher("it", {"launch": LAUNCH, "alive": ("echo", "it-1 running"), "cancel": ("false",)})
    assert await launcher.launch(2, COMMAND) == ("it-1", "it-2")
    with pytest.raises(LauncherError):
        await launcher.cancel("it-1")
    found = await launcher.alive()
    assert (found["it-2"].state, found["it-2"].detail) == ("ended", "sh: quota exceeded")
