"""Who may stop an experiment: the `run` that set it going, by Ctrl-C, and nothing that merely shows it.

Real pipes and terminals: `2>&1 | true`, `| tee`, Ctrl-C as it is typed, a window that is closed.
"""

import json
import shlex
import subprocess

import pytest

from lander.app import client, conduct, service
from lander.protocol.commands import Accepted
from lander.protocol.errors import OutputClosedError
from tests.support.command_line import ENDLESS, LANDER, SAID_LATE, lander, start, written
from tests.support.live_home import LiveHome, experiment
from tests.support.pseudo_terminal import CTRL_C, window

pytestmark = pytest.mark.usefixtures("nowhere_else")


def into_true(home, *arguments):
    """`lander-ctl … 2>&1 | true`: the exit codes of both."""
    line = (
        f'{shlex.join([*LANDER, *map(str, arguments)])} --home {shlex.quote(str(home))} 2>&1 | true; echo "${{PIPESTATUS[@]}}"'
    )
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=90, check=True).stdout


def assert_goes_on(live_home, name):
    """All of it trains, and nobody is recorded to have wished for anything else, before that and after."""

    def trains():
        assert live_home.stored(name, "OperatorCommanded", "StopRequested") == []
        return {run["state"] for run in live_home.status(name)["runs"]} == {"running"}

    live_home.wait(trains, "both to train")


@pytest.mark.parametrize("closed", ["pipe", pytest.param("window", marks=pytest.mark.long)])
def test_a_closed_pipe_detaches_and_the_supervisor_stays_until_the_experiment_has_ended(home, tmp_path, closed):
    """Nor does a warning that nobody reads, of a name of yesterday, keep it from being submitted."""
    live_home = LiveHome(home)
    path = written(tmp_path / "endless.json", ENDLESS | {"environment": "LunarLander-v2", "seeds": [0]})
    if closed == "pipe":
        assert into_true(home, "run", path) == "141 0\n"
    else:
        with window(home, *LANDER, "run", path) as terminal:
            terminal.wait_for("baseline/0")  # the table
            assert terminal.close() == 141
    assert_goes_on(live_home, "endless")
    supervisor = client.running(home).pid
    assert lander(home, "stop", "endless") == (0, "endless: stopped 2 of 2 runs\n", "")
    live_home.wait(lambda: not live_home.processes(), f"the supervisor, process {supervisor}, to leave by itself")


def test_ctrl_c_in_a_second_run_detaches_it_and_in_the_first_one_stops_the_experiment(shared_home, tmp_path):
    """In the first, `tee` ends by the same Ctrl-C, so that the pipe is closed when the wish is heard."""
    path = written(tmp_path / "watched.json", ENDLESS | {"experiment_id": "watched", "seeds": [0]})
    first_line = f"{shlex.join([*LANDER, 'run', str(path)])} 2>&1 | tee {shlex.quote(str(tmp_path / 'first.log'))}"
    with window(shared_home.home, "bash", "-c", first_line) as first:
        first.wait_for("watched/baseline/0: running")
        with window(shared_home.home, *LANDER, "run", "watched") as second:
            second.wait_for("baseline/0")  # the table
            assert "already submitted, and running; Ctrl-C here does not stop it" in second.text
            second.type(CTRL_C)
            assert second.wait() == 130
        told = "lander-ctl: interrupted: watched was under way before, and goes on; lander-ctl stop watched stops it"
        assert told in second.text.replace("\r\n", "\n")
        assert_goes_on(shared_home, "watched")
        first.type(CTRL_C)
        first.wait()
    assert shared_home.wait_ended("watched")["state"] == "stopped"
    assert [json.loads(line)["command"] for line in commands(shared_home, "watched")] == ["stop"]


def commands(live_home, name):
    return lander(live_home.home, "events", name, "--kind", "OperatorCommanded", "--json")[1].splitlines()


def test_a_run_whose_reader_leaves_says_where_it_can_that_the_experiment_goes_on(shared_home, tmp_path):
    """`lander-ctl run FILE | head -1`: standard error is still read."""
    path = written(tmp_path / "unread.json", ENDLESS | {"experiment_id": "unread", "seeds": [0]})
    with start(shared_home.home, "run", path) as process:
        assert process.stdout.readline().startswith("unread")
        process.stdout.close()
        errors = SAID_LATE.sub("", process.stderr.read())
    assert process.returncode == 141
    assert errors == (
        "lander-ctl: nothing more can be shown (Broken pipe); unread goes on:"
        " lander-ctl run unread shows it again, lander-ctl stop unread stops it\n"
    )
    assert_goes_on(shared_home, "unread")


# --- what is known of who set it going --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("under_way", "started", "joined"), [(False, False, False), (False, True, False), (True, False, True), (True, True, False)]
)
def test_who_started_the_supervisor_set_going_what_a_crash_had_left(tmp_path, monkeypatch, under_way, started, joined):
    """No other command has it in its care: it trained when the machine went down, and trains on because of this one."""
    seen = []
    monkeypatch.setattr(conduct, "submit", lambda *asked: (Accepted(subject="x", under_way=under_way), started))
    monkeypatch.setattr(conduct, "_follow", lambda *args, joined: seen.append(joined))
    monkeypatch.setattr(service, "let_go", lambda home: seen.append("let go"))
    wanted = type("Wanted", (), {"experiment": experiment("x", {})})
    conduct.conduct(wanted, tmp_path, print)
    assert seen == [joined, *(["let go"] if started else [])]


@pytest.mark.parametrize("under_way", [False, True])
def test_a_mistake_of_who_only_looks_on_stops_nothing(tmp_path, monkeypatch, under_way):
    stopped = []

    def fail(*args, joined):
        raise ZeroDivisionError

    monkeypatch.setattr(conduct, "submit", lambda *asked: (Accepted(subject="x", under_way=under_way), False))
    monkeypatch.setattr(conduct, "_follow", fail)
    monkeypatch.setattr(conduct, "_abandon", lambda home, name: stopped.append(name))
    with pytest.raises(ZeroDivisionError):
        conduct.conduct(type("Wanted", (), {"experiment": experiment("x", {})}), tmp_path, print)
    assert stopped == ([] if under_way else ["x"])


@pytest.mark.parametrize("error", [BrokenPipeError(32, "Broken pipe"), OSError(5, "Input/output error")])
def test_an_output_that_fails_stops_nothing_and_lets_the_supervisor_go(shared_home, tmp_path, monkeypatch, error):
    """A window that is gone answers with EIO. The supervisor, once let go, waits for what it has to do."""
    let_go = []
    monkeypatch.setattr(service, "let_go", let_go.append)
    wanted = experiment(f"fails-{error.errno}", {"n_steps": 64, "batch_size": 64}, training_steps=10**7)
    monkeypatch.setattr(conduct, "submit", lambda *asked: (shared_home.submit(wanted), True))

    def fail(standing):
        raise error

    with pytest.raises(OutputClosedError, match=f"{wanted.experiment_id} goes on"):
        conduct.conduct(type("Wanted", (), {"experiment": wanted}), shared_home.home, fail)
    assert let_go == [shared_home.home]
    assert_goes_on(shared_home, wanted.experiment_id)
