"""The launcher over SSH against a real sshd: what it trusts, and what it makes of a host that does not answer."""

import pytest

from lander.supervisor.launchers.launcher import LauncherError
from lander.supervisor.launchers.ssh import TRIES, Ssh
from tests.support.engines import Programs, eventually, ssh_servers, why_no_ssh_server

PREFIX = "test-3f2a"

pytestmark = pytest.mark.skipif(bool(why_no_ssh_server()), reason=why_no_ssh_server())


@pytest.fixture
def config(tmp_path):
    with ssh_servers(tmp_path, "here", "there") as config:
        yield config


def over(config, *hosts):
    return Ssh(PREFIX, {"hosts": hosts, "ssh_options": ("-F", str(config))})


async def test_a_host_whose_key_is_not_known_is_refused(config, tmp_path):
    (tmp_path / "here" / "known_hosts").write_text("")
    launcher = over(config, "here")
    with pytest.raises(LauncherError, match=r"here: ssh: .*[Hh]ost key verification failed"):
        await launcher.alive()
    await launcher.close()
    assert (tmp_path / "here" / "known_hosts").read_text() == ""


async def test_there_is_one_worker_to_a_host(config, tmp_path):
    launcher, programs = over(config, "here", "there"), Programs(tmp_path)
    first = await launcher.launch(1, programs.command(f"{PREFIX}-1", programs.worker))
    second = await launcher.launch(2, programs.command(f"{PREFIX}-2", programs.worker))
    assert (first, second) == ((f"here/{PREFIX}-1-1",), (f"there/{PREFIX}-2-1",))
    with pytest.raises(LauncherError, match="every host has a worker already"):
        await launcher.launch(1, programs.command(f"{PREFIX}-3", programs.worker))
    for job in (*first, *second):
        await launcher.cancel(job)
    await launcher.close()


async def test_a_host_that_cannot_be_reached_keeps_no_other_from_its_worker(config, tmp_path):
    launcher, programs = over(config, "nowhere", "here"), Programs(tmp_path)
    assert await launcher.alive() == {}
    assert await launcher.launch(1, programs.command(f"{PREFIX}-1", programs.worker)) == (f"here/{PREFIX}-1-1",)
    with pytest.raises(LauncherError, match="nowhere: ssh: "):
        await launcher.launch(1, programs.command(f"{PREFIX}-2", programs.worker))
    await launcher.cancel(f"here/{PREFIX}-1-1")
    await launcher.close()


async def test_a_host_that_never_starts_a_worker_is_given_up_alone_and_said_to_be_in_the_words_of_ssh(config, tmp_path):
    launcher, programs = over(config, "nowhere", "here"), Programs(tmp_path)
    (job,) = await launcher.launch(1, programs.command(f"{PREFIX}-1", programs.worker))
    for _ in range(TRIES):
        assert launcher.room() == (2, "")
        with pytest.raises(LauncherError, match="nowhere: ssh: "):
            await launcher.launch(1, programs.command(f"{PREFIX}-2", programs.worker))
    most, said = launcher.room()
    assert most == 1
    assert said.startswith(f"nowhere is given up after {TRIES} failures: ssh: ")
    with pytest.raises(LauncherError, match="nowhere is given up"):
        await launcher.launch(1, programs.command(f"{PREFIX}-3", programs.worker))
    await launcher.cancel(job)
    await eventually(lambda: gone(launcher))
    assert await launcher.launch(2, programs.command(f"{PREFIX}-4", programs.worker)) == (f"here/{PREFIX}-4-1",)
    await launcher.cancel(f"here/{PREFIX}-4-1")
    await launcher.close()


async def gone(launcher):
    return all(job.state == "ended" for job in (await launcher.alive()).values())


async def test_a_host_that_answers_and_starts_no_worker_keeps_no_other_from_its_worker(config, tmp_path):
    launcher, programs = over(config, "here", "there"), Programs(tmp_path)
    with pytest.raises(LauncherError, match=r"here: .*lander-nowhere"):
        await launcher.launch(1, programs.command(f"{PREFIX}-1", "/nowhere/lander-nowhere"))
    (job,) = await launcher.launch(1, programs.command(f"{PREFIX}-2", programs.worker))
    assert job == f"there/{PREFIX}-2-1"
    await launcher.cancel(job)
    await launcher.close()


async def test_the_workers_of_a_host_that_does_not_answer_are_not_over(config, tmp_path):
    launcher, programs = over(config, "here", "there"), Programs(tmp_path)
    here, there = await launcher.launch(2, programs.command(f"{PREFIX}-1", programs.worker))
    await eventually(lambda: len(list(programs.seen.iterdir())) == 2)
    await launcher.close()
    config.write_text(config.read_text().replace("Host there", "Host elsewhere"))
    found = await launcher.alive()
    assert found[f"{PREFIX}-1-1"].state == found[f"{PREFIX}-1-2"].state == "running"
    assert "there: ssh: " in found[f"{PREFIX}-1-2"].detail
    with pytest.raises(LauncherError, match="there: ssh: "):
        await over(config, "there").alive()
    await launcher.cancel(here)
    config.write_text(config.read_text().replace("Host elsewhere", "Host there"))
    await launcher.cancel(there)
    await launcher.close()
