"""What every launcher owes, whatever its engine: it starts workers, knows those that are there, and ends them."""

import contextlib
import os
import pathlib

import pytest

from lander.supervisor.launchers import engines
from lander.supervisor.launchers.launcher import LauncherError
from tests.support import engines as real

PREFIX = "test-3f2a"


@pytest.fixture
def programs(tmp_path):
    return real.Programs(tmp_path)


@contextlib.contextmanager
def _local(tmp_path):
    yield "local", {}


@contextlib.contextmanager
def _command(tmp_path):
    yield "command", real.local_commands(tmp_path / "jobs")


@contextlib.contextmanager
def _ssh(tmp_path):
    if why := real.why_no_ssh_server():
        pytest.skip(why)
    with real.ssh_servers(tmp_path, "here", "there") as config:
        yield "ssh", {"hosts": ("here", "there"), "ssh_options": ("-F", str(config))}


@pytest.fixture(params=[_local, _command, _ssh], ids=["local", "command", "ssh"])
async def launchers(request, tmp_path):
    """Makes launchers, by the prefix of their jobs, with one real engine behind them; ends their jobs in the end."""
    made = []
    with request.param(tmp_path) as (engine, options):

        def make(prefix):
            made.append(engines.launcher(engine, prefix, options, tmp_path))
            return made[-1]

        yield make
        for launcher in made:
            for job in (await launcher.alive()).values():
                await launcher.cancel(job.id)
            await launcher.close()


@pytest.fixture
def launcher(launchers):
    return launchers(PREFIX)


async def states(launcher):
    return {name: job.state for name, job in (await launcher.alive()).items()}


async def test_it_starts_workers_that_read_the_token_and_knows_them_by_name(launcher, programs):
    ids = await launcher.launch(2, programs.command(f"{PREFIX}-1", programs.worker))
    names = (f"{PREFIX}-1-1", f"{PREFIX}-1-2")
    assert len(set(ids)) == 2
    await real.eventually(
        lambda: {each.name: each.read_text() for each in programs.seen.iterdir()} == dict.fromkeys(names, f"{real.TOKEN}\n")
    )
    found = await launcher.alive()
    assert {name: job.state for name, job in found.items()} == dict.fromkeys(names, "running")
    assert tuple(found[name].id for name in names) == ids


async def test_the_token_is_neither_an_argument_nor_in_the_environment_of_any_process(launcher, programs):
    await launcher.launch(1, programs.command(f"{PREFIX}-1", programs.worker))
    await real.eventually(lambda: any(programs.seen.iterdir()))
    assert not any(real.TOKEN.encode() in told for told in _told_to_processes())


def _told_to_processes():
    """The arguments and the environment of every process but this one."""
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        if int(process.name) != os.getpid():
            yield from (_content(process / file) for file in ("cmdline", "environ"))


def _content(file):
    try:
        return file.read_bytes()
    except OSError:
        return b""


async def test_a_job_is_ended_once_and_a_second_time_that_is_harmless(launcher, programs):
    ids = await launcher.launch(2, programs.command(f"{PREFIX}-1", programs.worker))
    await real.eventually(lambda: len(list(programs.seen.iterdir())) == 2)
    await launcher.cancel(ids[0])
    await _until_over(launcher, f"{PREFIX}-1-1")
    await launcher.cancel(ids[0])
    assert (await states(launcher))[f"{PREFIX}-1-2"] == "running"


async def _until_over(launcher, name):
    async def over():
        return (await states(launcher)).get(name, "ended") == "ended"

    await real.eventually(over)


async def test_a_job_that_ends_at_once_is_seen_as_ended_with_its_own_words(launcher, programs):
    await launcher.launch(1, programs.command(f"{PREFIX}-1", programs.refused))
    said = []

    async def ended():
        found = (await launcher.alive()).get(f"{PREFIX}-1-1")
        said.append(found)
        return found is None or found.state == "ended"

    await real.eventually(ended)
    assert "the token has expired" in said[-1].detail


async def test_jobs_of_another_prefix_are_not_its_own(launcher, launchers, programs):
    await launcher.launch(1, programs.command(f"{PREFIX}-1", programs.worker))
    await real.eventually(lambda: any(programs.seen.iterdir()))
    assert await launchers("other-3f2a").alive() == {}


async def test_the_next_launcher_finds_the_jobs_of_the_one_before_and_ends_them(launcher, launchers, programs):
    await launcher.launch(1, programs.command(f"{PREFIX}-1", programs.worker))
    await real.eventually(lambda: any(programs.seen.iterdir()))
    await launcher.close()
    after = launchers(PREFIX)
    (name, job), *_ = (await after.alive()).items()
    assert (name, job.state) == (f"{PREFIX}-1-1", "running")
    await after.cancel(job.id)
    await _until_over(after, name)


async def test_what_is_not_installed_there_is_said_in_the_words_of_the_engine(launcher, programs):
    with pytest.raises(LauncherError, match=r"lander-nowhere.*([Nn]o such file|not installed|not found)"):
        await launcher.launch(1, programs.command(f"{PREFIX}-1", "/nowhere/lander-nowhere"))
    assert await launcher.alive() == {}
