"""Engines that start workers, with real supervisors, processes and sockets."""

import json
import os
import signal
from pathlib import Path

import pytest

from lander.app import client, launcher_settings, service
from lander.app.launchers import Wanted
from lander.cli.main import main
from lander.supervisor.launchers.local_workers import workers_below
from tests import hooks
from tests.support.engines import Programs, local_commands
from tests.support.live_home import LiveHome, experiment

PPO = {"n_steps": 64, "batch_size": 64}


@pytest.fixture
def live(tmp_path, measured, monkeypatch):
    """A home none of whose hosts measures its bits, for seconds each; what is left of its supervisor in the end is a defect."""
    hooks.install(monkeypatch, kept_bits="lander.actors.host.agent")
    monkeypatch.setenv(hooks.KEPT_BITS, str(measured / "bits.json"))
    live = LiveHome(tmp_path / "home")
    yield live
    live.close()


@pytest.fixture
def cli(capsys):
    def run(*words):
        code = main(list(map(str, words)))
        out, err = capsys.readouterr()
        return code, out, err

    return run


def use(live, **settings):
    """Have a supervisor use the commands of an engine, asked every second."""
    service.stay(live.home, service.Listening("127.0.0.1:0"))
    checked = launcher_settings.checked({"engine": "command", "poll_seconds": 1, **settings}, "the test")
    with client.connected(live.home) as supervisor:
        for command in Wanted({"lab": checked}).commands(live.home):
            supervisor.ask(command)


def jobs(live, cli):
    (lab,) = json.loads(cli("hosts", "--json", "--home", live.home)[1])["launchers"]
    return lab["jobs"]


@pytest.mark.timeout(300)  # a cold start of a supervisor, and of two workers
def test_on_local_trains_in_workers_that_are_gone_when_the_command_has_ended(live, tmp_path, cli):
    file = tmp_path / "e.yaml"
    file.write_text(
        "{experiment_id: e, environment: CartPole-v1, algorithm: PPO, training_steps: 256, eval_episodes: 0, seeds: [0],"
        " baseline: {hyperparameters: {n_steps: 64, batch_size: 64}}, variants: {v: {hyperparameters: {gamma: 0.9}}}}"
    )
    assert cli("run", file, "--home", live.home, "--on", "local", "--workers", 2)[0] == 0
    hosts = {run["host"] for run in live.status("e")["runs"]}
    assert hosts <= set(live_workers(live))
    assert "local" not in hosts
    assert not live.processes()
    assert not list(workers_below(live.home / "workers", "local-"))
    assert not list((live.home / "workers").iterdir())
    assert [host["name"] for host in json.loads(cli("hosts", "--json", "--home", live.home)[1])["hosts"]] == ["local"]


def live_workers(live):
    return [name for event in live.events("launcher:local", "WorkersLaunched") for name in event.names]


@pytest.mark.timeout(120)
def test_jobs_are_the_same_after_a_supervisor_was_killed_and_end_with_the_next_one(live, tmp_path, cli):
    programs = Programs(tmp_path)
    use(live, **local_commands(tmp_path / "jobs"), program=(str(programs.worker),), max_workers=2)
    live.submit(experiment("e", PPO))
    live.wait(lambda: len(list(programs.seen.iterdir())) == 2, "two workers")
    live.wait(lambda: len(jobs(live, cli)) == 2, "both to be recorded")
    before = jobs(live, cli)
    os.kill(live.process("lander.supervisor"), signal.SIGKILL)
    service.start(live.home)
    assert jobs(live, cli) == before
    service.shut_down(live.home)
    assert len(list(programs.seen.iterdir())) == 2  # none was started twice
    assert len(live.events("launcher:lab", "WorkersOrdered")) == 1
    assert not list(alive(tmp_path))
    assert {event.job for event in live.events("launcher:lab", "WorkerJobEnded")} == set(before)


def alive(tmp_path):
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if str(tmp_path / "lander-worker").encode() in words:
            yield words


@pytest.mark.long  # what such an engine says is shown by the contract suite, too
@pytest.mark.timeout(120)
def test_an_engine_that_is_not_installed_is_said_by_status_and_hosts_in_its_own_words(live, cli):
    nowhere = {"launch": ("lander-nowhere", "{name}"), "alive": ("lander-nowhere",), "cancel": ("lander-nowhere",)}
    use(live, **nowhere)
    live.submit(experiment("e", PPO))
    live.wait(lambda: bool(live.events("launcher:lab", "LaunchFailed")), "the order to be refused")
    said = "launcher lab: lander-nowhere: is not installed on this machine"
    assert said in cli("status", "--home", live.home)[2]
    assert said in cli("hosts", "--home", live.home)[1]
    assert live.status("e")["state"] == "queued"
    assert cli("stop", "e", "--home", live.home)[0] == 0
