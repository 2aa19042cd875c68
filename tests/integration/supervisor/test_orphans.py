"""Whatever dies, and however: nothing stays behind, least of all what an environment started."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lander.actors.host.control_group import ControlGroup
from lander.app import service
from tests import hooks
from tests.integration.supervisor.test_supervision import attempts
from tests.support.live_home import TIMEOUT_SECONDS, experiment
from tests.support.live_home import started as started_home

RUN = "{}/baseline/0"
END_SECONDS = 20


def control_groups(home):
    """Whether a control group can be made here; without one, what has cleared its environment outlives its ancestors."""
    try:
        ControlGroup.make(home).end()
    except OSError:
        return False
    return True


def leaving_processes(live_home, name, cleared=True, **rest):
    """An experiment whose environments start processes; returns the file that knows them."""
    pid_file = live_home.home / f"{name}.pids"
    wanted = experiment(
        name,
        {"n_steps": 64, "batch_size": 64, "n_epochs": 1},
        environment="tests.support.faulty_environments:LeavingProcesses-v0",
        environment_kwargs={"pid_file": str(pid_file), "cleared": cleared},
        training_steps=50_000_000,
        checkpoint_frequency=50_000_000,
        **rest,
    )
    live_home.submit(wanted)
    for run in wanted.runs:
        live_home.wait_state(run.id, "running")
    return pid_file


def there(pids):
    """Those of them that live."""
    found = []
    for pid in pids:
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                found.append(pid)
    return found


def await_end(pids):
    """Until none of them lives; a killed process needs no longer."""
    deadline = time.monotonic() + END_SECONDS
    while left := there(pids):
        assert time.monotonic() < deadline, f"{END_SECONDS} s later there still are {left}"
        time.sleep(0.02)


def left_by(pid_file, trainer=None):
    """What environments have started so far; those of one trainer, or of all."""
    lines = [[int(word) for word in line.split()] for line in pid_file.read_text().splitlines()]
    return [pid for first, *rest in lines for pid in rest if trainer in (None, first)]


def started(pid_file, trainer=None):
    pids = left_by(pid_file, trainer)
    assert there(pids) == pids != [], "without pid_file there is nothing to show"
    return pids


def kill(*pids):
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def stop(live_home, name):
    live_home.stop(name)
    live_home.wait_ended(name)


def test_a_killed_trainer_leaves_nothing_and_takes_nothing_of_others(restarted_home):
    pid_file = leaving_processes(restarted_home, "trainer")
    victim, other = (restarted_home.run(f"trainer/{arm}/0")["pid"] for arm in ("baseline", "variant"))
    pids, others = started(pid_file, victim), started(pid_file, other)
    kill(victim)
    await_end(pids)
    assert there(others) == others
    stop(restarted_home, "trainer")
    await_end(left_by(pid_file))


@pytest.mark.parametrize("victim", [pytest.param("zygote", marks=pytest.mark.long), "host"])
def test_a_killed_zygote_or_host_leaves_nothing_and_costs_an_attempt(restarted_home, victim):
    pid_file = leaving_processes(restarted_home, victim, cleared=victim == "zygote" or control_groups(restarted_home.home))
    pids, trainer = started(pid_file), restarted_home.run(RUN.format(victim))["pid"]
    kill(restarted_home.process({"zygote": "lander.actors.host.zygote", "host": "lander.actors.host.agent"}[victim]))
    await_end([trainer, *pids])
    restarted_home.wait(lambda: restarted_home.run(RUN.format(victim))["attempt"] == 2, "the next attempt")
    restarted_home.wait_state(RUN.format(victim), "running")
    lost = {"zygote": "lost_contact(SIGKILL)", "host": "lost_contact"}[victim]
    assert attempts(restarted_home, RUN.format(victim)) == [lost]
    stop(restarted_home, victim)
    await_end(left_by(pid_file))


def test_a_killed_guard_is_replaced_by_one_that_knows_everything(restarted_home):
    """When the zygote dies; each of its runs loses an attempt by that, for which it is not blamed."""
    pid_file = leaving_processes(restarted_home, "guard", on_failure="skip")
    pids = started(pid_file)
    zygote = restarted_home.process("lander.actors.host.zygote")
    first = guard_of(zygote)
    kill(first)
    restarted_home.wait(lambda: guard_of(zygote) not in (None, first), "another guard")
    assert restarted_home.run(RUN.format("guard"))["attempt"] == 1
    kill(zygote)
    await_end(pids)
    for run in (RUN.format("guard"), "guard/variant/0"):
        restarted_home.wait(lambda each=run: restarted_home.run(each)["attempt"] == 2, "the next attempt")
        restarted_home.wait_state(run, "running")
        assert attempts(restarted_home, run) == ["lost_contact(SIGKILL)"]
    stop(restarted_home, "guard")


def guard_of(zygote):
    """The one child of a zygote that holds nothing but its standard streams and a pipe."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and (entry / "stat").read_text().rpartition(")")[2].split()[1] == str(zygote):
                held = [str(descriptor.readlink()) for descriptor in (entry / "fd").iterdir() if int(descriptor.name) > 2]
                if len(held) == 1 and held[0].startswith("pipe:"):
                    return int(entry.name)
    return None


def test_a_killed_supervisor_leaves_everything_as_it_was_and_everything_killed_leaves_nothing(live_home):
    pid_file = leaving_processes(live_home, "left", cleared=control_groups(live_home.home))
    pids, before = started(pid_file), live_home.run(RUN.format("left"))
    kill(live_home.process("lander.supervisor"))
    stray = subprocess.Popen(
        [sys.executable, "-m", "lander.actors.host.agent", str(live_home.home), "nobody's"], stdin=subprocess.PIPE
    )
    live_home.start()
    with stray:
        assert stray.wait(timeout=TIMEOUT_SECONDS) == -signal.SIGKILL, "an agent that no log knows of"
    live_home.wait(lambda: live_home.run(RUN.format("left"))["step"] > before["step"] + 300, "training to be recorded again")
    after = live_home.run(RUN.format("left"))
    assert (after["pid"], after["attempt"], there(pids)) == (before["pid"], 1, pids)
    spared = guard_of(live_home.process("lander.actors.host.zygote"))  # it is what is being shown
    kill(*(pid for pid in live_home.processes() if pid != spared and pid not in pids))
    await_end(pids)
    live_home.wait(lambda: not live_home.processes(), "everything to be gone")


def test_what_outlives_even_the_guard_is_ended_by_the_next_host(live_home):
    """Its first half is the control for all the others: with nobody to guard, everything stays."""
    pid_file = leaving_processes(live_home, "everything", cleared=control_groups(live_home.home))
    pids = started(pid_file)
    kill(*(pid for pid in live_home.processes() if pid not in pids))
    live_home.wait(lambda: set(live_home.processes()) <= set(pids), "them to be gone")
    assert there(pids) == pids, "a guard was left"
    service.shut_down(live_home.home)  # which starts what it ends, and ends it before it is quite there
    assert not there(pids)


def test_down_leaves_nothing_not_even_what_was_forked_without_a_program_or_has_cleared_its_environment(live_home):
    """The moment it returns. Its control is that `started` finds all of them alive before."""
    pid_file = leaving_processes(live_home, "down")
    assert len(started(pid_file)) == 2 * 5
    service.shut_down(live_home.home)
    assert there(left_by(pid_file)) == []


@pytest.mark.parametrize("end", ["a killed zygote", pytest.param("down", marks=pytest.mark.long)])
def test_without_a_control_group_a_killed_zygote_and_down_leave_nothing_all_the_same(tmp_path, monkeypatch, end):
    """`doctor` says that there is none: if everything is killed at once, what has cleared its environment stays."""
    hooks.install(monkeypatch, no_control_group="lander.actors.host.zygote")
    with started_home(tmp_path / "home") as live_home:
        pid_file = leaving_processes(live_home, "groupless")
        pids = started(pid_file)
        if end == "down":
            service.shut_down(live_home.home)
            assert there(pids) == []
        else:
            kill(live_home.process("lander.actors.host.zygote"))
            await_end(pids)
        assert "no control group was made" in (live_home.home / "host.log").read_text()
