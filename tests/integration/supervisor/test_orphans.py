"""Whatever dies, and however: nothing stays behind, least of all what an environment started."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lander.app import client
from tests.support.live_home import PATIENCE, experiment

RUN = "{}/baseline/0"


def littering(lab, name):
    """An experiment whose environments start processes; returns the file that knows them."""
    litter = lab.home / f"{name}.pids"
    wanted = experiment(
        name,
        {"n_steps": 64, "batch_size": 64, "n_epochs": 1},
        environment="tests.support.faulty_environments:LeavingProcesses-v0",
        environment_kwargs={"litter": str(litter)},
        training_steps=50_000_000,
        checkpoint_frequency=50_000_000,
    )
    lab.submit(wanted)
    for run in wanted.runs:
        lab.wait_state(run.id, "running")
    return litter


def there(pids):
    """Those of them that live."""
    found = []
    for pid in pids:
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                found.append(pid)
    return found


def left_by(litter, trainer=None):
    """What environments have started so far; those of one trainer, or of all."""
    lines = [[int(word) for word in line.split()] for line in litter.read_text().splitlines()]
    return [pid for first, *rest in lines for pid in rest if trainer in (None, first)]


def started(litter, trainer=None):
    pids = left_by(litter, trainer)
    assert there(pids) == pids != [], "without litter there is nothing to show"
    return pids


def kill(*pids):
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def stop(lab, name):
    lab.stop(name)
    lab.wait_ended(name)


def test_a_killed_trainer_leaves_nothing_and_takes_nothing_of_others(restarted_lab):
    litter = littering(restarted_lab, "trainer")
    victim, other = (restarted_lab.run(f"trainer/{arm}/0")["pid"] for arm in ("baseline", "variant"))
    pids, others = started(litter, victim), started(litter, other)
    kill(victim)
    restarted_lab.wait(lambda: not there(pids), "its processes to be gone")
    assert there(others) == others
    stop(restarted_lab, "trainer")
    restarted_lab.wait(lambda: not there(left_by(litter)), "the rest to be gone")


@pytest.mark.parametrize("victim", ["zygote", "host"])
def test_a_killed_zygote_or_host_leaves_nothing(restarted_lab, victim):
    litter = littering(restarted_lab, victim)
    pids = started(litter)
    kill(restarted_lab.process({"zygote": "lander.actors.host.zygote", "host": "lander.actors.host.agent"}[victim]))
    restarted_lab.wait(lambda: not there(pids), "its trainers' processes to be gone")
    restarted_lab.wait(lambda: restarted_lab.run(RUN.format(victim))["attempt"] == 2, "the next attempt")
    restarted_lab.wait_state(RUN.format(victim), "running")
    stop(restarted_lab, victim)
    restarted_lab.wait(lambda: not there(left_by(litter)), "the rest to be gone")


def test_a_killed_guard_is_replaced_by_one_that_knows_everything(restarted_lab):
    litter = littering(restarted_lab, "guard")
    pids = started(litter)
    zygote = restarted_lab.process("lander.actors.host.zygote")
    first = guard_of(zygote)
    kill(first)
    restarted_lab.wait(lambda: guard_of(zygote) not in (None, first), "another guard")
    assert restarted_lab.run(RUN.format("guard"))["attempt"] == 1
    kill(zygote)
    restarted_lab.wait(lambda: not there(pids), "its trainers' processes to be gone")
    restarted_lab.wait_state(RUN.format("guard"), "running")
    stop(restarted_lab, "guard")


def guard_of(zygote):
    """The one child of a zygote that holds nothing but its standard streams and a pipe."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and (entry / "stat").read_text().rpartition(")")[2].split()[1] == str(zygote):
                held = [str(descriptor.readlink()) for descriptor in (entry / "fd").iterdir() if int(descriptor.name) > 2]
                if len(held) == 1 and held[0].startswith("pipe:"):
                    return int(entry.name)
    return None


def test_a_killed_supervisor_leaves_everything_as_it_was_and_everything_killed_leaves_nothing(lab):
    litter = littering(lab, "left")
    pids, before = started(litter), lab.run(RUN.format("left"))
    kill(lab.process("lander.supervisor"))
    stray = subprocess.Popen(
        [sys.executable, "-m", "lander.actors.host.agent", str(lab.home), "nobody's"], stdin=subprocess.PIPE
    )
    lab.start()
    with stray:
        assert stray.wait(timeout=PATIENCE) == -signal.SIGKILL, "an agent that no log knows of"
    lab.wait(lambda: lab.run(RUN.format("left"))["step"] > before["step"] + 2000, "training to be recorded again")
    after = lab.run(RUN.format("left"))
    assert (after["pid"], after["attempt"], there(pids)) == (before["pid"], 1, pids)
    spared = guard_of(lab.process("lander.actors.host.zygote"))  # it is what is being shown
    kill(*(pid for pid in lab.processes() if pid != spared and pid not in pids))
    lab.wait(lambda: not there(pids) and not lab.processes(), "everything to be gone")


def test_what_outlives_even_the_guard_is_ended_by_the_next_host(lab):
    """Its first half is the control for all the others: with nobody to guard, something stays."""
    litter = littering(lab, "everything")
    pids = started(litter)
    kill(*lab.processes())
    lab.wait(lambda: not lab.processes(), "them to be gone")
    assert there(pids), "a guard was left"
    client.shut_down(lab.home)  # which starts what it ends, and ends it before it is quite there
    assert not there(pids)
