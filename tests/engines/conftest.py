"""Workers that do nothing, for what an engine does with its jobs."""

import asyncio
import sys
from pathlib import Path

import pytest

from lander.supervisor.launchers.launcher import WorkerCommand
from tests.engines import stub_worker
from tests.engines.training import undisturbed_digests

TOKEN = "lander1-secret"


class Stubs:
    """The workers of one launch, and the launcher that they are jobs of."""

    def __init__(self, launcher, command):
        self.launcher = launcher
        self.command = command

    def name(self, index):
        return self.command.name(index)

    def told(self, index):
        """What happened to the worker of this index, line by line."""
        file = self.command.token_file.parent / self.name(index)
        return file.read_text().splitlines() if file.exists() else []

    def machine(self, index):
        """The machine that it is on."""
        return self.told(index)[0].split()[3]

    async def started(self, *indices):
        await until(lambda: all(map(self.told, indices)), "workers to start")

    async def left(self, index, how):
        """Wait until a worker has left, and see that it was asked to like this."""
        await until(lambda: self.told(index)[1:] == [how], f"{self.name(index)} to be {how}")

    async def job(self, index):
        return (await self.launcher.alive()).get(self.name(index))

    async def reached(self, index, state):
        """The job once it is in this state; a job that has ended may be unknown."""
        while True:
            job = await self.job(index)
            if state == (job.state if job is not None else "ended"):
                return job
            await asyncio.sleep(0.2)

    def shown_to_all(self, index):
        """The arguments and the environment of its process."""
        pid = self.told(index)[0].split()[1]
        return "".join(Path(f"/proc/{pid}/{name}").read_text() for name in ("cmdline", "environ"))


async def until(condition, what, seconds=60.0):
    for _ in range(int(seconds * 10)):
        if condition():
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"waited {seconds:.0f} s for {what}")


@pytest.fixture
def command(tmp_path, request):
    """What stub workers are started with; they say in files beside the token what happens to them."""
    token_file = tmp_path / "token"
    token_file.touch(0o600)
    token_file.write_text(TOKEN)
    program = (sys.executable, stub_worker.__file__, str(tmp_path))
    return WorkerCommand(
        batch=f"it-{tmp_path.name[-30:]}",
        head="h:1",
        token_file=token_file,
        token=TOKEN,
        home=str(tmp_path),
        program=program,
        slots=2,
    )


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """The digests of the runs that train on the engines, from a machine that nothing happened to."""
    return undisturbed_digests(tmp_path_factory.mktemp("undisturbed"))
