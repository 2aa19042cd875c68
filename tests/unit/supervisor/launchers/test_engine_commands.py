"""The commands of an engine: bounded, whatever they do."""

import pytest

from lander.supervisor.launchers.engine_commands import ask
from lander.supervisor.launchers.launcher import LauncherError


@pytest.mark.parametrize("stream", ["", ">&2"])
async def test_a_command_that_prints_without_end_is_ended_before_it_fills_the_memory(stream):
    with pytest.raises(LauncherError, match=r"^sh: prints more than 16 MB"):
        await ask(("sh", "-c", f"exec yes {stream}"))


async def test_what_a_command_prints_is_read_whole():
    assert len(await ask(("head", "-c", "1000000", "/dev/zero"))) == 1_000_000
