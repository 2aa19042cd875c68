"""A worker with a home and a process of its own, over the real wire: what trains there has the same bits."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from lander.app import service
from lander.cli.main import main
from lander.home import address
from lander.home.layout import statistics_path
from lander.protocol import events as e
from lander.store.log.reader import Reader
from lander.store.records.run_record import Record
from tests import hooks
from tests.support.command_line import TINY
from tests.support.live_home import LiveHome, experiment

PPO = {"n_steps": 64, "batch_size": 64, "normalize": True}
HOW = {"eval_episodes": 2, "eval_frequency": 128, "checkpoint_frequency": 128}


@pytest.fixture
def worker_home(measured, tmp_path):
    """A home of a worker that has been compared with others before."""
    return shutil.copytree(measured, tmp_path / "w")


@pytest.fixture(scope="module")
def head(measured, tmp_path_factory):
    """A home whose supervisor listens for workers."""
    live = LiveHome(shutil.copytree(measured, tmp_path_factory.mktemp("head") / "home"))
    service.stay(live.home, service.Listening("127.0.0.1:0"))
    try:
        yield live
    finally:
        live.close()


@pytest.fixture
def cli(capsys):
    def run(*words):
        code = main(list(map(str, words)))
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def token_file(head, tmp_path, cli):
    code, text, _ = cli("token", "--home", head.home, "--name", "far")
    assert code == 0
    file = tmp_path / "token"
    file.write_text(text)
    file.chmod(0o600)
    return file


def listens(head):
    return address.read(head.home).listen


def start_worker(head, home, *options, environment=None, pipe=()):
    command = [sys.executable, "-m", "lander", "worker", listens(head), "--home", str(home), "--slots", "cpu=1", *options]
    command += [word for each in pipe for word in ("--leave-with", str(each))]
    how = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True, "env": environment, "pass_fds": pipe}
    return subprocess.Popen(command, **how)


def hosts(head, cli):
    return {host["name"]: host for host in json.loads(cli("hosts", "--json", "--home", head.home)[1])["hosts"]}


@pytest.mark.timeout(300)  # two cold starts of a host, and of a supervisor
def test_a_run_on_a_worker_has_the_bits_of_one_on_the_supervisors_machine_and_the_worker_keeps_its_identity(
    head, tmp_path, worker_home, cli, token_file
):
    at_home = head.carry_out(experiment("here", PPO, training_steps=256, **HOW))
    reading, launcher = os.pipe()
    worker = start_worker(head, worker_home, "--token-file", str(token_file), pipe=(reading,))
    os.close(reading)
    try:
        head.wait(lambda: hosts(head, cli).get("far", {}).get("state") == "online", "the worker to join")
        assert cli("hosts", "drain", "local", "--home", head.home)[0] == 0
        there = head.carry_out(experiment("there", PPO, training_steps=256, **HOW))
        assert [run["host"] for run in there["runs"]] == ["far", "far"]
        assert digests(there) == digests(at_home)

        went = head.carry_out(experiment("here", PPO, training_steps=512, **HOW))
        assert [run["host"] for run in went["runs"]] == ["far", "far"]
        cli("hosts", "resume", "local", "--home", head.home)
        cli("hosts", "drain", "far", "--home", head.home)
        came = head.carry_out(experiment("there", PPO, training_steps=512, **HOW))
        assert [run["host"] for run in came["runs"]] == ["local", "local"]
        assert digests(went) == digests(came) == digests(head.carry_out(experiment("whole", PPO, training_steps=512, **HOW)))
        assert bests(head, "here") == bests(head, "there") == bests(head, "whole")
        warnings = head.events("here", "WarningRaised") + head.events("there", "WarningRaised")
        assert all("extended from 256 to 512" in warning.message for warning in warnings)
        assert cli("check", "--home", head.home)[0] == 0
        cli("hosts", "drain", "local", "--home", head.home)
        cli("hosts", "resume", "far", "--home", head.home)

        assert "a worker with this home runs already" in refused(head, tmp_path, cli)[1]
        os.close(launcher)  # as if it had died
        assert worker.wait(60) == 0
        assert "what started this host has ended" in worker.stderr.read()
        head.wait(lambda: hosts(head, cli)["far"]["state"] == "offline", "it to have left")
        again = start_worker(head, tmp_path / "w")
        try:
            head.wait(lambda: hosts(head, cli)["far"]["state"] == "online", "it to be back")
            assert cli("hosts", "revoke", "far", "--home", head.home)[0] == 0
            assert again.wait(60) == 0
            assert "accepts far no more" in again.stderr.read()
            back = start_worker(head, tmp_path / "w")
            assert back.wait(60) == 1
            assert "far is not accepted; if it was revoked, another token lets it in again" in back.stderr.read()
            end(back)
        finally:
            end(again)
    finally:
        end(worker)
        cli("hosts", "resume", "local", "--home", head.home)


def digests(status):
    return [run["checkpoint"]["digest"] for run in status["runs"]]


def bests(head, name):
    """The step of the best model of each run, whose file in the home is the one that the log names."""
    with Reader(head.home) as reader:
        models = [model for run in reader.runs(name) for model in Record(reader, run).models() if model.which == "best"]
    for model in models:
        assert hashlib.sha256((head.home / model.path).read_bytes()).hexdigest() == model.sha256
        statistics = statistics_path(head.home / model.path).read_bytes()
        assert hashlib.sha256(statistics).hexdigest() == model.statistics
    return [model.step for model in models]


def end(process):
    if process.poll() is None:
        process.kill()
    process.wait()
    process.stderr.close()


def refused(head, tmp_path, cli, *options):
    code, out, err = cli("worker", listens(head), "--home", tmp_path / "w", *options)
    assert out == ""
    assert err.count("\n") == 1
    return code, err


def test_without_a_token_or_with_another_shared_home_nothing_is_begun(head, tmp_path, cli, token_file):
    assert "give it a token with --token-file" in refused(head, tmp_path, cli)[1]
    other = refused(head, tmp_path, cli, "--token-file", token_file, "--shared", tmp_path)
    assert "is not the home of the supervisor that made the token" in other[1]
    assert "far" not in hosts(head, cli) or hosts(head, cli)["far"]["state"] == "revoked"


@pytest.mark.timeout(300)  # the operations are computed twice, and hosts start cold
def test_a_run_goes_on_with_other_bits_only_where_that_is_asked_for_and_then_all_say_so(
    head, tmp_path, cli, token_file, monkeypatch
):
    (tmp_path / "clock error").write_text("3600")
    with monkeypatch.context() as there:
        there.setenv("ATEN_CPU_CAPABILITY", "default")
        there.setenv("LANDER_TEST_CLOCK_ERROR", str(tmp_path / "clock error"))
        hooks.install(there, wrong_clock="lander.actors.host.agent")
        odd = start_worker(head, tmp_path / "w", "--token-file", str(token_file), "--labels", "odd,slow")
    short = {"training_steps": 64, "hyperparameters": {"learning_rate": 1e-3}}  # it is the baseline that is moved
    settings = {"training_steps": 6_400, "hosts": {"labels": ["odd"]}, "variants": {"variant": short}}
    try:
        head.submit(experiment("moved", PPO, **settings))
        assert "waiting for a host with the label odd" in cli("status", "moved", "--home", head.home)[1]
        head.wait(lambda: head.run("moved/baseline/0")["step"] > 0, "it to train")
        assert head.run("moved/variant/0")["state"] == "queued"
        head.wait(lambda: hosts(head, cli)["far"]["clock"], "it to say the time")
        assert hosts(head, cli)["far"]["clock"]["offset"] == pytest.approx(3600, abs=30)
        assert "far: its clock is 1h 0m ahead of this machine's" in cli("hosts", "--home", head.home)[1]
        odd.send_signal(signal.SIGTERM)
        assert odd.wait(90) == 0
        found = hosts(head, cli)
        assert found["far"]["labels"] == ["odd", "slow"]
        assert found["local"]["bits"] != found["far"]["bits"] != ""
        text = cli("hosts", "--home", head.home)[1]
        assert found["far"]["bits"][:6] in text
        assert "far: computes other bits than this machine: x86_64 with DEFAULT" in text

        head.submit(experiment("moved", PPO, **settings | {"hosts": {}}))
        said = cli("status", "moved", "--home", head.home)[1]
        assert "baseline/0 waits for a host that computes the same bits as far, where it has trained" in said
        assert "variant/0 waits for a host that computes the same bits as far, where moved/baseline/0 has trained" in said
        shown = json.loads(cli("status", "moved", "--json", "--home", head.home)[1])["experiments"][0]["runs"][0]
        assert (shown["state"], shown["host"]) == ("queued", "far")
        assert shown["waits_for"] == "a host that computes the same bits as far, where it has trained"

        head.submit(experiment("moved", PPO, **settings | {"hosts": {}, "other_hardware": "warn"}))
        first, second = head.wait_ended("moved")["runs"]
        assert (first["state"], first["host"], first["resume"]) == ("completed", "local", "other_bits")
        assert (second["state"], second["host"], second["resume"]) == ("completed", "local", "fresh")
        (warning,) = head.events("moved/baseline/0", e.WarningRaised.kind)
        assert warning.message == "goes on on local, which computes other bits than far: from here on it is not bit-exact"
        assert (
            "computes other bits, and are not what an undisturbed run is: baseline/0"
            in cli("report", "moved", "--home", head.home)[1]
        )
        assert "completed (other bits)" in cli("status", "moved", "--home", head.home)[1]
    finally:
        end(odd)
        cli("hosts", "revoke", "far", "--home", head.home)


def installed(directory, content):
    """A package that Gymnasium loads as a plugin, so that it belongs to the code of every experiment."""
    beside = directory / "tiny_plugin-1.0.dist-info"
    beside.mkdir(parents=True, exist_ok=True)
    (directory / "tiny_plugin.py").write_text(f"def register(): pass\n# {content}\n")
    (beside / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-plugin\nVersion: 1.0\n")
    (beside / "entry_points.txt").write_text("[gymnasium.envs]\n__root__ = tiny_plugin:register\n")
    names = ("tiny_plugin.py", *(f"{beside.name}/{name}" for name in ("METADATA", "entry_points.txt", "RECORD")))
    (beside / "RECORD").write_text("".join(f"{name},,\n" for name in names))
    return directory


@pytest.mark.timeout(300)  # two cold starts of a host
def test_a_worker_with_another_package_trains_no_run_of_it_says_what_to_install_and_trains_once_it_is(
    head, tmp_path, worker_home, cli, monkeypatch
):
    monkeypatch.syspath_prepend(installed(tmp_path / "head", "as submitted"))
    there = installed(tmp_path / "there", "another")
    paths = os.pathsep.join(filter(None, (str(there), os.environ.get("PYTHONPATH", ""))))
    surroundings = os.environ | {"PYTHONPATH": paths}
    file = tmp_path / "package.json"
    file.write_text(json.dumps(TINY | {"experiment_id": "package", "eval_episodes": 0}))
    token = tmp_path / "token"
    token.touch(0o600)
    token.write_text(cli("token", "--home", head.home, "--name", "lacking")[1])
    shared = ("--token-file", str(token), "--shared", str(head.home))
    worker = start_worker(head, worker_home, *shared, environment=surroundings)
    try:
        head.wait(lambda: hosts(head, cli).get("lacking", {}).get("state") == "online", "the worker to join")
        cli("hosts", "drain", "local", "--home", head.home)
        assert cli("submit", file, "--home", head.home)[0] == 0
        run = "package/baseline/0"
        head.wait(lambda: head.run(run)["cause"] == "host_unfit", "the worker to say that it cannot train it")
        assert [event.cause for event in head.events(run, "AttemptEnded")] == ["host_unfit"]
        words = "lacking has another tiny-plugin 1.0 (content "
        mended = "pip install --force-reinstall --no-deps tiny-plugin==1.0 there, and start its worker again"
        said = cli("hosts", "--home", head.home)[1]
        assert words in said
        assert f"{mended} (package)" in said
        assert hosts(head, cli)["lacking"]["unfit"][0]["problem"].endswith(mended)
        _, output, errors = cli("status", "package", "--home", head.home)
        assert "waiting for a host that can train it" in output
        assert f"package: {words}" in errors

        others = head.carry_out(experiment("unpackaged", PPO))
        assert {each["host"] for each in others["runs"]} == {"lacking"}, "it lacks nothing for them"
        assert [each["attempt"] for each in head.status("package")["runs"]] == [1, 0], "what has the same needs waits, too"
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(60) == 0
        worker.stderr.close()
        installed(there, "as submitted")
        worker = start_worker(head, worker_home, environment=surroundings)
        ended = head.wait_ended("package")
        assert [(each["host"], each["state"]) for each in ended["runs"]] == [("lacking", "completed")] * 2
        assert hosts(head, cli)["lacking"]["unfit"] == []
    finally:
        end(worker)
        cli("hosts", "resume", "local", "--home", head.home)


def test_a_token_that_others_can_read_or_that_is_none_is_refused(head, tmp_path, cli, token_file):
    shared = ("--shared", head.home)
    token_file.chmod(0o644)
    assert "others may read this token (mode 0644)" in refused(head, tmp_path, cli, "--token-file", token_file, *shared)[1]
    token_file.chmod(0o600)
    token_file.write_text(token_file.read_text()[:50])
    assert "not whole" in refused(head, tmp_path, cli, "--token-file", token_file, *shared)[1]
    assert "cannot be read" in refused(head, tmp_path, cli, "--token-file", tmp_path / "none", *shared)[1]


def test_a_token_says_the_whole_command_that_uses_it(head, cli):
    code, _, err = cli("token", "--home", head.home)
    assert code == 0
    assert f"lander-ctl worker {listens(head)} --token-file FILE" in err


def test_a_supervisor_that_listens_for_nobody_makes_no_token(shared_home, cli):
    code, out, err = cli("token", "--home", shared_home.home)
    assert (code, out) == (2, "")
    assert "--listen" in err


def test_the_home_of_a_supervisor_is_not_that_of_a_worker(head, cli, token_file):
    code, _, err = cli("worker", listens(head), "--home", head.home, "--token-file", token_file, "--shared", head.home)
    assert code == 2
    assert "is the home of a supervisor" in err


@pytest.mark.parametrize("labels", ["a b", "a,,b", ",".join(map(str, range(33)))])
def test_labels_that_are_none_are_refused(cli, labels):
    assert "--labels" in cli("worker", "head:1", "--labels", labels)[2]


@pytest.mark.parametrize("where", ["head", "head:0", ":1", "head:99999", "he ad:1"])
def test_an_address_that_is_none_is_refused(cli, where):
    assert "is no HOST:PORT" in cli("worker", where)[2]


def test_a_launchers_pipe_that_is_none_is_refused(cli, tmp_path):
    assert "--leave-with 999: Bad file descriptor" in cli("worker", "head:1", "--leave-with", 999)[2]
    with (tmp_path / "file").open("w") as file:
        assert "is neither a pipe nor a socket" in cli("worker", "head:1", "--leave-with", file.fileno())[2]


def test_more_cores_than_there_are_cannot_be_offered(cli):
    many = len(os.sched_getaffinity(0)) + 1
    assert "this process may use" in cli("worker", "head:1", "--slots", f"cpu={many}")[2]
