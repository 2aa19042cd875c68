"""Exact resume with real processes: whoever is killed, and whenever, a run ends as the run would have that was left alone.

What a checkpoint must hold, and what becomes of a run without one, is shown in `test_exact_resume.py`; the whole matrix is in
`tests/chaos`.
"""

import contextlib
import os
import signal

import pytest

from lander.app import status_text
from lander.protocol.events import StepsRecorded, WarningRaised
from lander.store.log.reader import Reader
from lander.store.records.run_record import Record
from tests import hooks
from tests.support.interrupted_runs import differences, kill_each, starts, submit_twins, twin_of
from tests.support.live_home import LiveHome, experiment
from tests.support.matrix import REPRESENTATIVE, of_cells
from tests.support.processes import kill, living

pytestmark = pytest.mark.timeout(240)


def recorded(live_home, run):
    """Timesteps in the log, whoever said them; and those that count."""
    said = [event for event in live_home.events(run, "StepsRecorded") if isinstance(event, StepsRecorded)]
    with Reader(live_home.home) as reader:
        return sum(event.last_step - event.first_step for event in said), Record(reader, run).steps().count


def test_killed_three_times_a_run_has_the_bits_of_its_undisturbed_twin(shared_home):
    wanted = of_cells("killed-thrice", REPRESENTATIVE, part=0.5, eval_frequency=500, eval_episodes=1)
    twin = submit_twins(shared_home, wanted)
    kill_each(shared_home, wanted)
    assert shared_home.wait_ended(wanted.experiment_id)["state"] == "completed"
    assert shared_home.wait_ended(twin.experiment_id)["state"] == "completed"
    assert differences(shared_home, wanted, twin) == {}
    for run in wanted.runs:
        begun = starts(shared_home, run.id)
        assert any(start.from_step > 0 for start in begun), "no kill came after the first checkpoint: nothing was resumed"
        assert {start.resume for start in begun if start.from_step > 0} == {"exact"}


def test_while_environments_are_played_again_the_run_is_shown_and_not_taken_for_stalled(shared_home):
    """Longer than `stall_timeout`: heartbeats count as progress."""
    wanted = experiment(
        "slow",
        {"n_steps": 64, "batch_size": 64, "n_epochs": 1},
        environment="tests.support.remembering_environments:SlowBonus-v0",
        training_steps=1024,
        checkpoint_frequency=64,
        stall_timeout=2,
    )
    shared_home.submit(wanted)
    run = wanted.runs[0].id
    shared_home.wait(lambda: (shared_home.run(run)["checkpoint"] or {"step": 0})["step"] >= 800, "a late checkpoint")
    os.kill(shared_home.run(run)["pid"], signal.SIGKILL)
    shared_home.wait(lambda: shared_home.run(run)["replay"] is not None, "how far it is played again")
    assert "replaying" in status_text.state(shared_home.run(run))
    assert shared_home.wait_ended(wanted.experiment_id)["state"] == "completed"
    assert [start.resume for start in starts(shared_home, run)] == ["fresh", "exact"]
    assert shared_home.events(run, "ProgressStalled") == []
    assert shared_home.run(run)["replay"] is None


@pytest.mark.long
def test_killed_while_it_mostly_writes_checkpoints(shared_home):
    wanted = of_cells("always-writing", [("PPO", 1, False), ("SAC", 4, True)], checkpoint_frequency=1)
    twin = submit_twins(shared_home, wanted)
    kill_each(shared_home, wanted, kills=5)
    assert shared_home.wait_ended(wanted.experiment_id)["state"] == "completed"
    assert shared_home.wait_ended(twin.experiment_id)["state"] == "completed"
    assert differences(shared_home, wanted, twin) == {}


@pytest.fixture
def hooked_home(tmp_path, monkeypatch):
    """`hooked_home(hook)`: a home whose zygote has it."""
    live_home = LiveHome(tmp_path / "home")

    def start(hook):
        hooks.install(monkeypatch, **{hook: "lander.actors.host.zygote"})
        live_home.start()
        return live_home

    yield start
    kill(*living(live_home.home))


@pytest.mark.long
def test_killed_at_every_call_of_a_checkpoints_write(hooked_home):
    """Each attempt one call later: in the file, before its name, before its directory, before and after the event."""
    live_home = hooked_home("kill_during_checkpoint")
    wanted = of_cells("killed", [("PPO", 1, False), ("DQN", 1, False)], checkpoint_frequency=64)
    ended = live_home.carry_out(wanted)
    assert [(run["state"], run["attempt"]) for run in ended["runs"]] == [("completed", hooks.KILLED_ATTEMPTS + 1)] * 2
    twin = twin_of(wanted)
    live_home.carry_out(twin)  # afterwards: what it writes, the others would find written
    assert differences(live_home, wanted, twin) == {}
    for run in wanted.runs:
        assert {start.resume for start in starts(live_home, run.id)[1:]} == {"exact"}
        assert warnings(live_home, run.id) == "", "a checkpoint that was announced could not be used"


@pytest.mark.long
def test_without_checkpoints_it_starts_over_and_says_so(shared_home):
    """The bits are the same all the same: it is what is said that tells a resume from a fresh start."""
    wanted = of_cells("no-checkpoints", [("A2C", 1, False), ("PPO", 1, False)], checkpoint_frequency=10**9)
    twin = submit_twins(shared_home, wanted)
    kill_each(shared_home, wanted, kills=1)
    assert shared_home.wait_ended(wanted.experiment_id)["state"] == "completed"
    shared_home.wait_ended(twin.experiment_id)
    assert differences(shared_home, wanted, twin) == {}
    for run in wanted.runs:
        assert {(start.from_step, start.resume) for start in starts(shared_home, run.id)} == {(0, "fresh")}
        said, counting = recorded(shared_home, run.id)
        assert said > counting, "a reader that knew nothing of lineage would not have seen steps twice"


@pytest.mark.long
def test_while_the_artifacts_cannot_be_written_training_goes_on_and_resumes_from_the_last_good_checkpoint(shared_home):
    cells = [("PPO", 1, False), ("A2C", 1, False)]
    wanted = of_cells("no-room", cells, seed=5, checkpoint_frequency=250)  # another seed: no file is there already
    run = wanted.runs[0].id
    twin = submit_twins(shared_home, wanted)
    shared_home.wait(lambda: shared_home.run(run)["checkpoint"] is not None, "a checkpoint")
    with blocked(shared_home.home / "artifacts"):
        shared_home.wait(lambda: "no checkpoint at step" in warnings(shared_home, run), "a warning that there is none")
        os.kill(shared_home.run(run)["pid"], signal.SIGKILL)
        good = shared_home.events(run, "CheckpointCommitted")[-1].step
        shared_home.wait(lambda: len(starts(shared_home, run)) == 2, "the next attempt")
    assert (starts(shared_home, run)[1].from_step, starts(shared_home, run)[1].resume) == (good, "exact")
    assert shared_home.wait_ended(wanted.experiment_id)["state"] == "completed"
    assert shared_home.wait_ended(twin.experiment_id)["state"] == "completed"
    assert shared_home.run(run)["checkpoint"]["step"] > good
    assert differences(shared_home, wanted, twin) == {}


def warnings(live_home, run):
    return "".join(event.message for event in live_home.events(run, "WarningRaised") if isinstance(event, WarningRaised))


@contextlib.contextmanager
def blocked(artifacts):
    """What is there can be read, but there is a file where almost every new directory would have to be."""
    obstacles = [artifacts / f"{first:02x}" for first in range(256) if not (artifacts / f"{first:02x}").exists()]
    for obstacle in obstacles:
        with contextlib.suppress(IsADirectoryError):
            obstacle.touch()
    try:
        yield
    finally:
        for obstacle in obstacles:
            if obstacle.is_file():
                obstacle.unlink()


@pytest.mark.long
def test_a_trainer_that_does_not_play_its_episodes_again_is_found_out(hooked_home):
    """Negative control: the comparison can fail."""
    live_home = hooked_home("skip_env_replay")
    wanted = of_cells("skip_env_replay", [("PPO", 1, False), ("A2C", 1, False)])
    twin = submit_twins(live_home, wanted)
    kill_each(live_home, wanted, kills=1)
    assert live_home.wait_ended(wanted.experiment_id)["state"] == "completed"
    assert live_home.wait_ended(twin.experiment_id)["state"] == "completed"
    different = differences(live_home, wanted, twin)
    assert different != {}
    for run in different:
        assert {"policy", "steps"} <= set(different[run])
