"""Going on, whatever happened: paused, stopped, killed, extended, restored. Equal to what was never interrupted, to the bit."""

import json
import os
import re
import shutil
import signal
import sqlite3
from contextlib import closing

import pytest

from lander.app.conduct import submit
from lander.app.requests import recorded
from lander.cli.event_lines import plain_line
from lander.experiments.execution import execution_with
from lander.protocol.arrays import pack, unpack
from lander.protocol.events import OperatorCommanded, StepsRecorded
from lander.protocol.wire import decode_event, encode_event
from lander.store.log.reader import DATABASE, Reader
from tests.support.bits import Bits
from tests.support.command_line import ENDLESS, TINY, start, written
from tests.support.command_line import lander_here as lander
from tests.support.live_home import LiveHome, experiment, started

STEPS = 2048
LONG = TINY | {"training_steps": STEPS, "checkpoint_frequency": 256}


@pytest.fixture(autouse=True)
def _nowhere_else(monkeypatch, tmp_path):
    """No test writes into the directory it was started in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LANDER_HOME", raising=False)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A home with an experiment, `whole`, that nobody interrupted; one that is small, since it is copied and checked."""
    directory = tmp_path_factory.mktemp("whole")
    with started(directory / "home") as live_home:
        path = written(directory / "whole.json", LONG | {"experiment_id": "whole"})
        assert lander(live_home.home, "submit", path)[0] == 0
        assert lander(live_home.home, "wait", "whole")[0] == 0
        yield live_home


@pytest.fixture
def home(tmp_path):
    """A home that does not exist yet; whatever the test started there must be gone, or is brought down."""
    live_home = LiveHome(tmp_path / "home")
    yield live_home.home
    live_home.close()


def under_way(live_home, tmp_path, name, **settings):
    """Submit `LONG` under another name, and return once it has trained as far as its first checkpoint."""
    path = written(tmp_path / f"{name}.json", LONG | {"experiment_id": name} | settings)
    assert lander(live_home.home, "submit", path)[:2] == (0, f"{name}\n")
    live_home.wait(lambda: all(run["checkpoint"] for run in live_home.status(name)["runs"]), "a checkpoint of each run")
    return path


def assert_equal_to_whole(live_home, name):
    for arm in ("baseline", "fast"):
        code, output, errors = lander(live_home.home, "diff", f"whole/{arm}/0", f"{name}/{arm}/0")
        assert (code, errors) == (0, "")
        assert output.startswith(f"whole/{arm}/0 and {name}/{arm}/0 are equal: {STEPS:,} steps and ")
        assert live_home.run(f"{name}/{arm}/0")["attempt"] > 1


def test_what_is_paused_waits_and_resumes_exactly(whole, tmp_path):
    under_way(whole, tmp_path, "paused")
    assert lander(whole.home, "pause", "paused") == (0, "paused: 2 of 2 runs paused\n", "")
    assert lander(whole.home, "pause", "paused") == (0, "paused: nothing to pause: all its runs are paused\n", "")
    assert {run["state"] for run in whole.status("paused")["runs"]} == {"paused"}
    assert "2 runs: 2 paused" in lander(whole.home, "status", "paused")[1]
    with start(whole.home, "wait", "paused") as waiter:
        told = (
            "lander-ctl: all that has not ended is paused, and is waited for; lander-ctl resume paused goes on with it,"
            " lander-ctl stop paused ends it\n"
        )
        assert waiter.stderr.readline() == told
        with start(whole.home, "run", tmp_path / "paused.json") as runner:
            assert runner.stdout.readline().startswith("paused")  # to run it again is to resume it
            assert (waiter.wait(60), runner.wait(60)) == (0, 0)
            assert "lander-ctl: paused: continued: 2 runs go on" in runner.stderr.read()
    assert_equal_to_whole(whole, "paused")
    asked = [event.command for event in whole.events("paused", "OperatorCommanded") if isinstance(event, OperatorCommanded)]
    assert asked == ["pause"]


def test_what_was_stopped_goes_on_by_its_name_alone(whole, tmp_path):
    under_way(whole, tmp_path, "stopped")
    assert lander(whole.home, "stop", "stopped") == (0, "stopped: stopped 2 of 2 runs\n", "")
    code, output, errors = lander(whole.home, "run", "--experiment-id", "stopped", "--quiet")
    assert (code, errors) == (0, "lander-ctl: stopped: continued: 2 runs go on\n")
    assert output.startswith("stopped: completed – ")
    assert_equal_to_whole(whole, "stopped")
    code, _, errors = lander(whole.home, "run", "stopped", "hyperparameters.gamma=0.5")
    assert code == 2
    assert "differs in baseline.hyperparameters.gamma" in errors
    assert lander(whole.home, "run", "--experiment-id", "stoped")[0] == 3


def test_runs_are_skipped_retried_and_checkpointed_by_hand(whole, tmp_path):
    path = written(tmp_path / "by-hand.json", ENDLESS | {"experiment_id": "by-hand", "seeds": [0]})
    assert lander(whole.home, "submit", path)[0] == 0
    whole.stop("by-hand/baseline")
    whole.wait(lambda: bool(whole.run("by-hand/fast/0")["step"]), "steps")
    code, output, errors = lander(whole.home, "checkpoint", "by-hand/fast/0")
    assert (code, errors) == (0, "")
    assert output.startswith("by-hand/fast/0: checkpoint at step ")
    assert lander(whole.home, "skip", "by-hand/fast") == (0, "by-hand/fast: skipped 1 of 1 run\n", "")
    assert lander(whole.home, "checkpoint", "by-hand/fast")[1] == "by-hand/fast: nothing to checkpoint: it is skipped\n"
    assert lander(whole.home, "retry", "by-hand/fast") == (0, "by-hand/fast: is tried again\n", "")
    run = whole.wait_state("by-hand/fast/0", "running")
    assert (run["attempt"], run["resume"]) == (2, "exact")
    assert "running (attempt 2)" in lander(whole.home, "status", "by-hand/fast")[1]
    assert lander(whole.home, "stop", "by-hand", "--no-wait")[0] == 0
    whole.wait_state("by-hand/fast/0", "stopped")
    assert lander(whole.home, "resume", "by-hand/fast") == (0, "by-hand/fast: goes on\n", "")
    assert lander(whole.home, "stop", "by-hand")[0] == 0


@pytest.mark.long
def test_whatever_is_killed_carries_on_by_up(home, tmp_path):
    """`kill -9` of everything at once, as in a power cut; then it is carried on with, and verified."""
    live_home = LiveHome(home)
    under_way(live_home, tmp_path, "killed", training_steps=4 * STEPS)
    backup = tmp_path / "backup"
    assert lander(home, "backup", backup)[0] == 0
    assert lander(home, "check")[0] == 0  # both while it trains
    for pid in live_home.processes():
        os.kill(pid, signal.SIGKILL)
    live_home.wait(lambda: not live_home.processes(), "all to be dead")
    code, _, errors = lander(home, "status")
    assert (code, errors.count("lander-ctl up carries on")) == (0, 1)
    code, output, errors = lander(home, "up")
    assert (code, errors) == (0, "")
    assert "killed: carries on with 2 of 2 runs" in output
    assert lander(home, "wait")[0] == 0
    assert all((run["attempt"], run["resume"]) == (2, "exact") for run in live_home.status("killed")["runs"])
    assert lander(home, "check")[0] == 0
    assert lander(home, "down") == (0, f"{home}: supervisor stopped\n", "")

    restored = LiveHome(backup)
    try:
        assert "killed: carries on with 2 of 2 runs" in lander(backup, "up")[1]
        assert lander(backup, "wait")[0] == 0
        code, output, errors = lander(home, "diff", "killed/fast/0", "killed/fast/0", "--other-home", backup)
        assert (code, errors) == (0, "")
        assert f"are equal: {4 * STEPS:,} steps" in output
    finally:
        restored.close()


def test_more_training_steps_extend_what_has_completed(whole, tmp_path):
    path = written(tmp_path / "longer.json", TINY | {"experiment_id": "longer", "checkpoint_frequency": 64})
    assert lander(whole.home, "run", path, "--quiet")[0] == 0
    code, output, errors = lander(whole.home, "run", "longer", "training_steps=384")
    assert code == 0
    assert "lander-ctl: longer: extended: 2 runs go on" in errors
    assert "longer/fast/0: completed after 384 steps" in output


@pytest.mark.long
def test_all_of_what_was_extended_can_be_verified(whole, tmp_path):
    path = written(tmp_path / "longer.json", TINY | {"experiment_id": "longer-twice", "checkpoint_frequency": 64})
    assert lander(whole.home, "run", path, "--quiet")[0] == 0
    assert lander(whole.home, "run", "longer-twice", "training_steps=384", "--quiet")[0] == 0
    code, output, errors = lander(whole.home, "verify", "longer-twice/fast/0", "-q")
    assert (code, errors) == (0, "")
    first, second = output.splitlines()
    assert first.startswith("longer-twice/fast/0: steps 1 to 256 come out the same once more: 256 steps and 4 ")
    assert second.startswith("longer-twice/fast/0: steps 257 to 384 come out the same once more: 128 steps")


@pytest.mark.parametrize(
    "rules",
    [
        {"early_stopping": {"metric": "eval/mean_reward", "patience": 2, "min_improvement": 400}, "eval_frequency": 64},
        pytest.param({"budget": {"hours": 1e-4}}, marks=pytest.mark.long),  # of a clock that `verify` does not have
    ],
)
def test_what_a_rule_has_ended_is_verified_up_to_its_end(whole, tmp_path, rules):
    name = f"ended-{next(iter(rules)).replace('_', '-')}"
    form = TINY | {"experiment_id": name, "checkpoint_frequency": 64, "training_steps": 10_000, "eval_episodes": 1} | rules
    assert lander(whole.home, "run", written(tmp_path / "ended.json", form), "--quiet")[0] == 0
    step = whole.run(f"{name}/fast/0")["step"]
    assert 0 < step < 10_000
    code, output, errors = lander(whole.home, "verify", f"{name}/fast/0", "-q")
    assert (code, errors) == (0, "")
    assert output.startswith(f"{name}/fast/0: steps 1 to {step:,} come out the same once more: {step:,} steps and ")


UNREPEATABLE = """
import gymnasium
from gymnasium.envs.classic_control.cartpole import CartPoleEnv

class Unrepeatable(CartPoleEnv):
    metadata = CartPoleEnv.metadata | {"side_effects": True}  # so it is never played again

gymnasium.register("Unrepeatable-v0", Unrepeatable, max_episode_steps=100)
"""


@pytest.mark.long
def test_what_could_only_go_on_inexactly_is_verified_in_sections(whole, tmp_path):
    """From where it went on, the same new episodes begin once more: an honest record is not called wrong."""
    (tmp_path / "unrepeatable.py").write_text(UNREPEATABLE)
    under_way(whole, tmp_path, "inexact", environment="unrepeatable:Unrepeatable-v0", seeds=[0])
    assert lander(whole.home, "pause", "inexact")[0] == 0
    assert lander(whole.home, "resume", "inexact")[0] == 0
    assert lander(whole.home, "wait", "inexact")[0] == 0
    assert whole.run("inexact/fast/0")["resume"] == "inexact"
    code, output, errors = lander(whole.home, "verify", "inexact/fast/0", "-q")
    assert (code, errors) == (0, "")
    first, second, note = output.splitlines()
    assert "come out the same once more" in first
    assert f"to {STEPS:,} come out the same once more" in second
    assert note.startswith("  note: the run went on at step ")
    assert "with new episodes" in note


def test_verify_finds_what_was_not_so(whole, home):
    """The control: one reward that was forged, and it is named. Only between two checkpoints, so that it is quick."""
    shutil.copytree(whole.home / "artifacts", home / "artifacts")
    with closing(sqlite3.connect(home / DATABASE, isolation_level=None)) as copy:
        with closing(sqlite3.connect(whole.home / DATABASE)) as original:
            original.backup(copy)
        copy.execute("DROP TRIGGER events_are_not_changed")
        rows = copy.execute(
            "SELECT e.position, e.kind, e.body FROM events e JOIN streams s ON s.id = e.stream"
            " WHERE s.name = 'whole/fast/0' AND e.kind = 'StepsRecorded' ORDER BY e.position"
        ).fetchall()
        for position, kind, body in rows:
            event = decode_event(kind, body)
            if isinstance(event, StepsRecorded) and event.first_step <= 750 < event.last_step:
                rewards = unpack(event.rewards).copy()
                rewards[750 - event.first_step, 0] = 0.5
                forged = encode_event(event.model_copy(update={"rewards": pack(rewards)}))
                copy.execute("UPDATE events SET body = ? WHERE position = ?", (forged, position))
    code, output, errors = lander(home, "verify", "whole/fast/0", "--from", 512, "--to", 1024, "-q")
    assert (code, errors) == (1, "")
    assert "step 751: reward 0.5 and 1.0" in output
    assert lander(home, "check")[0] == 1
    code, _, errors = lander(home, "verify", "whole/fast/0", "--from", 1000)
    assert (code, len(errors.splitlines())) == (2, 1)
    assert "no checkpoint at step 1000; the nearest are at 768, 1024, 1280" in errors
    assert lander(home, "verify", "whole/fast")[0] == 2


@pytest.mark.parametrize("number", [signal.SIGHUP, pytest.param(signal.SIGINT, marks=pytest.mark.long)])
def test_a_verification_that_is_interrupted_leaves_nothing_behind(whole, tmp_path, monkeypatch, number):
    scratch = LiveHome(tmp_path / "scratch")
    scratch.home.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch.home))
    with start(whole.home, "verify", "whole/fast/0", "-q") as process:
        whole.wait(lambda: scratch.processes() != [], "its supervisor")
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors) == (130, "", "lander-ctl: interrupted: nothing was verified\n")
    assert (scratch.processes(), list(scratch.home.iterdir())) == ([], [])


def test_runs_that_differ_are_told_where(whole):
    code, output, _ = lander(whole.home, "diff", "whole/baseline/0", "whole/fast/0")
    assert code == 1
    assert output.startswith("whole/baseline/0 and whole/fast/0 differ first at step ")
    assert "checkpoint at step 256: weights " in output


def test_the_past_and_the_collection_of_a_real_home(whole, home):
    status = json.loads(lander(whole.home, "status", "whole", "--json")[1])
    position = whole.stored("whole/fast/0", "CheckpointCommitted")[0].position
    past = json.loads(lander(whole.home, "status", "whole", "--json", "--position", position)[1])
    assert position - 100 < past["position"] <= position  # the end of a commit
    assert [run["state"] for run in past["experiments"][0]["runs"] if run["arm"] == "fast"] == ["running"]
    assert [run["state"] for run in status["experiments"][0]["runs"]] == ["completed"] * 2
    assert lander(whole.home, "backup", home)[0] == 0
    code, output, _ = lander(home, "gc", "--keep", 1, "--keep-every", 0, "--delete")
    assert code == 0
    assert re.search("whole/fast/0: [12] of 8 checkpoints are kept", output)
    code, output, _ = lander(home, "check")
    assert code == 0, output


def test_going_on_keeps_how_it_was_carried_out_but_for_what_is_asked(shared_home):
    wanted = experiment("carried-out", {"n_steps": 64, "batch_size": 64, "n_epochs": 1}, training_steps=128)
    shared_home.carry_out(wanted, mode="sequential", max_workers=1, directory="/somewhere")
    assert recorded(shared_home.home, "carried-out", execution={}).execution == execution_with(
        mode="sequential", max_workers=1, directory="/somewhere"
    )
    more = recorded(shared_home.home, "carried-out", ["training_steps=256"], execution={"mode": "parallel"})
    assert more.execution == execution_with(mode="parallel", max_workers=1, directory="/somewhere")
    submit(more, shared_home.home)
    shared_home.wait_ended("carried-out")
    assert recorded(shared_home.home, "carried-out", execution={}).execution.mode == "parallel"


def test_the_next_seeds_of_every_arm_are_trained_and_nothing_that_was_done_is_done_again(whole, tmp_path):
    """`--seeds +N`; the log still holds together afterwards, and knows how it stood before."""
    assert lander(whole.home, "run", written(tmp_path / "tiny.json", TINY), "--quiet")[0] == 0
    before = json.loads(lander(whole.home, "status", "tiny", "--json")[1])["position"]
    code, output, errors = lander(whole.home, "run", "tiny", "--seeds", "+2")
    assert (code, errors) == (0, "lander-ctl: tiny: 4 more runs\n")
    assert "3 of 3" in output
    states = {run["id"]: (run["state"], run["attempt"], run["step"]) for run in whole.status("tiny")["runs"]}
    assert states == {f"tiny/{arm}/{seed}": ("completed", 1, 256) for seed in (0, 1, 2) for arm in ("baseline", "fast")}
    assert lander(whole.home, "check")[0] == 0
    (past,) = json.loads(lander(whole.home, "status", "tiny", "--json", "--position", before)[1])["experiments"]
    assert [run["id"] for run in past["runs"]] == ["tiny/baseline/0", "tiny/fast/0"]


def test_an_arm_is_added_to_what_has_completed_and_nothing_that_was_done_is_touched(whole, tmp_path):
    """By an override and by the file; and its bits are those of an arm that was there from the beginning."""
    form = TINY | {"experiment_id": "armed"}
    wide, slow = ({"hyperparameters": {"gamma": gamma}} for gamma in (0.5, 0.6))
    assert lander(whole.home, "run", written(tmp_path / "armed.json", form), "--quiet")[0] == 0
    old = ("armed/baseline/0", "armed/fast/0")
    before = [(whole.stored(run), whole.model(run).read_bytes(), whole.model(run).stat().st_mtime_ns) for run in old]

    code, output, errors = lander(whole.home, "run", "armed", "variants.wide.hyperparameters.gamma=0.5")
    assert (code, errors) == (0, "lander-ctl: armed: wide added, 1 more run\n")
    assert re.search(r"^ +wide +1 of 1 ", output, re.MULTILINE)
    assert "note: wide was added on " in output.replace("\n", " ")
    more = form | {"variants": {"slow": slow, **form["variants"], "wide": wide}}
    code, _, errors = lander(whole.home, "run", written(tmp_path / "armed.json", more), "--quiet")
    assert (code, errors) == (0, "lander-ctl: armed: slow added, 1 more run\n")
    assert before == [(whole.stored(run), whole.model(run).read_bytes(), whole.model(run).stat().st_mtime_ns) for run in old]
    states = {run["id"]: (run["state"], run["attempt"], run["step"]) for run in whole.status("armed")["runs"]}
    assert states == {f"armed/{arm}/0": ("completed", 1, 256) for arm in ("baseline", "fast", "wide", "slow")}

    with Reader(whole.home) as reader:
        known = reader.experiment("armed")
    at_once = known.model_copy(update={"experiment_id": "at-once", "arms": (known.baseline, known.arm("wide"))})
    whole.carry_out(at_once)
    assert Bits.of(whole.home, "armed/wide/0").differences(Bits.of(whole.home, "at-once/wide/0")) == []
    assert "  ArmAdded  arm=wide" in plain_line(whole.stored("armed", "ArmAdded")[0])
    code, _, _ = lander(whole.home, "export", "armed/wide", "--to", "csv", "--output", tmp_path / "csv")
    assert (code, (tmp_path / "csv" / "runs.csv").read_text().count("armed/wide/0")) == (0, 1)
    assert lander(whole.home, "check")[0] == 0
