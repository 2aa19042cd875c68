"""What happens to trainers: they are stopped, killed, retried, skipped, and never left behind."""

import os
import signal

import pytest

from lander.home.lock import HomeLock
from lander.protocol.error_text import in_one_line
from lander.protocol.errors import ConflictError, HomeError, NotFoundError
from lander.protocol.events import AttemptEnded, AttemptStarted, RunQueued
from tests.support.live_home import experiment
from tests.support.recorded import recorded

LONG = 50_000_000
"""More timesteps than any test waits for."""


def long_experiment(name, **rest):
    """It trains slowly, at some 400 steps a second, since nobody waits for its end."""
    slow = {"environment": "tests.support.faulty_environments:Slow-v0"}
    return experiment(name, {"n_steps": 64, "batch_size": 64, "n_epochs": 1}, training_steps=LONG, **slow | rest)


def kill_trainer(live_home, run):
    """SIGKILL a running trainer; returns its process id."""
    pid = live_home.wait_state(run, "running")["pid"]
    os.kill(pid, signal.SIGKILL)
    return pid


def attempts(live_home, run):
    return [event.named_cause for event in live_home.events(run, "AttemptEnded") if isinstance(event, AttemptEnded)]


def test_a_stopped_experiment_says_so_and_its_trainers_are_gone(shared_home):
    wanted = long_experiment("stopped-experiment")
    shared_home.submit(wanted)
    pids = [shared_home.wait_state(run.id, "running")["pid"] for run in wanted.runs]
    shared_home.stop("stopped-experiment")
    ended = shared_home.wait_ended("stopped-experiment")
    assert ended["state"] == "stopped"
    assert [(run["state"], run["cause"]) for run in ended["runs"]] == [("stopped", "stopped")] * 2
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_stopping_one_run_leaves_the_other_running(shared_home):
    wanted = long_experiment("one-of-two")
    shared_home.submit(wanted)
    for run in wanted.runs:
        shared_home.wait_state(run.id, "running")
    shared_home.stop("one-of-two/variant")
    shared_home.wait_state("one-of-two/variant/0", "stopped")
    assert shared_home.run("one-of-two/baseline/0")["state"] == "running"
    shared_home.stop("one-of-two")
    shared_home.wait_ended("one-of-two")


def test_a_killed_trainer_is_named_retried_and_the_experiment_completes(shared_home):
    steps = {"training_steps": 3_000}
    wanted = experiment("killed-trainer", {"n_steps": 64, "batch_size": 64, "n_epochs": 1}, **steps)
    shared_home.submit(wanted)
    kill_trainer(shared_home, "killed-trainer/baseline/0")
    shared_home.wait(lambda: attempts(shared_home, "killed-trainer/baseline/0") != [], "the kill to be noticed")
    assert attempts(shared_home, "killed-trainer/baseline/0") == ["crashed(SIGKILL)"]
    ended = shared_home.wait_ended("killed-trainer")
    assert ended["state"] == "completed"
    assert [run["attempt"] for run in ended["runs"]] == [2, 1]
    started = [
        event.epoch
        for event in shared_home.events("killed-trainer/baseline/0", "AttemptStarted")
        if isinstance(event, AttemptStarted)
    ]
    assert started == [1, 2]
    (_, retry) = [
        event for event in shared_home.events("killed-trainer/baseline/0", "RunQueued") if isinstance(event, RunQueued)
    ]
    assert "crashed(SIGKILL)" in retry.reason
    assert ended["runs"][0]["step"] >= 3_000


def test_a_run_that_keeps_dying_fails_after_its_retries(shared_home):
    wanted = long_experiment("dying", max_retries=1)
    shared_home.submit(wanted)
    kill_trainer(shared_home, "dying/baseline/0")
    shared_home.wait(lambda: shared_home.run("dying/baseline/0")["attempt"] == 2, "the retry")
    kill_trainer(shared_home, "dying/baseline/0")
    assert shared_home.wait_state("dying/baseline/0", "failed")["cause"] == "crashed(SIGKILL)"
    assert shared_home.run("dying/variant/0")["state"] == "running"
    shared_home.stop("dying")
    shared_home.wait_ended("dying")


def test_skip_goes_on_without_the_run(shared_home):
    wanted = experiment("skipping", {"n_steps": 64, "n_epochs": 1, "batch_size": 64}, training_steps=3_000, on_failure="skip")
    shared_home.submit(wanted)
    kill_trainer(shared_home, "skipping/variant/0")
    ended = shared_home.wait_ended("skipping")
    assert ended["state"] == "completed"
    assert [run["state"] for run in ended["runs"]] == ["completed", "skipped"]
    assert ended["runs"][1]["cause"] == "crashed(SIGKILL)"


def test_abort_stops_the_others(shared_home):
    shared_home.submit(long_experiment("aborting", on_failure="abort"))
    shared_home.wait_state("aborting/baseline/0", "running")
    kill_trainer(shared_home, "aborting/variant/0")
    ended = shared_home.wait_ended("aborting")
    assert ended["state"] == "failed"
    assert [run["state"] for run in ended["runs"]] == ["stopped", "failed"]


def test_an_environment_that_raises_is_named_with_its_traceback(shared_home):
    wanted = experiment(
        "raising",
        {"n_steps": 64, "batch_size": 64},
        environment="tests.support.faulty_environments:Raising-v0",
        max_retries=0,
    )
    shared_home.submit(wanted)
    ended = shared_home.wait_ended("raising")
    assert ended["state"] == "failed"
    for run in ended["runs"]:
        assert (run["state"], run["cause"]) == ("failed", "environment_error")
        assert "RuntimeError: the engine fell off at step 100" in run["detail"]
    log = shared_home.home / "experiments" / "raising" / "logs" / "baseline-0.log"
    assert "the engine fell off at step 100" in log.read_text()


def test_the_cause_of_a_death_is_no_warning_and_no_error_of_an_earlier_attempt(shared_home, tmp_path):
    common = {"algorithm": "PPO", "training_steps": 256, "seeds": [0], "hyperparameters": {"n_steps": 64, "batch_size": 64}}
    exiting = {"environment": "tests.support.faulty_environments:Exiting-v0"}
    exiting |= {"environment_kwargs": {"raised": str(tmp_path / "raised")}}
    arms = [{"name": "baseline", "role": "baseline", **exiting}]
    arms += [{"name": "variant", "role": "variant", "environment": "CartPole-v1"}]
    wanted = recorded({"experiment_id": "exiting", "max_retries": 1, "eval_episodes": 0, "arms": arms, **common})
    shared_home.carry_out(wanted, mode="sequential")
    first, second = shared_home.events("exiting/baseline/0", "AttemptEnded")
    assert (first.cause, in_one_line(first.detail)[-15:]) == ("environment_error", "the first error")
    assert (second.cause, second.detail) == ("crashed", "its process ended with exit status 3; its log does not say why")
    assert "community" in (shared_home.home / "experiments/exiting/logs/baseline-0.log").read_text()


def test_settings_that_sb3_refuses_are_a_config_error_and_not_retried(shared_home):
    wanted = experiment("refused", {"n_steps": 64, "batch_size": 64, "policy_kwargs": {"optimizer_kwargs": {"nonsense": 1}}})
    ended = shared_home.carry_out(wanted)
    assert [(run["state"], run["cause"], run["attempt"]) for run in ended["runs"]] == [("failed", "config_error", 1)] * 2


def test_parameters_that_are_no_longer_numbers_are_noticed(shared_home):
    wanted = experiment(
        "exploding",
        {"n_steps": 64, "batch_size": 64},
        environment="tests.support.faulty_environments:NotANumber-v0",
        training_steps=2000,
        max_retries=0,
    )
    ended = shared_home.carry_out(wanted)
    assert [(run["state"], run["cause"]) for run in ended["runs"]] == [("failed", "non_finite")] * 2


def test_they_are_noticed_where_torch_says_nothing(shared_home):
    """DQN takes the largest of its values and never asks whether they are numbers."""
    wanted = experiment(
        "silent",
        {"learning_starts": 10, "buffer_size": 100, "batch_size": 8, "train_freq": 1},
        algorithm="DQN",
        environment="tests.support.faulty_environments:NotANumber-v0",
        training_steps=400,
        max_retries=0,
    )
    ended = shared_home.carry_out(wanted)
    assert [(run["state"], run["cause"]) for run in ended["runs"]] == [("failed", "non_finite")] * 2


def test_a_zygote_lets_its_trainers_be_where_everything_is_told_to_terminate(restarted_home):
    wanted = experiment("told", {"n_steps": 64, "batch_size": 64, "n_epochs": 1}, training_steps=3_000)
    restarted_home.submit(wanted)
    for run in wanted.runs:
        restarted_home.wait_state(run.id, "running")
    os.kill(restarted_home.process("lander.actors.host.zygote"), signal.SIGTERM)
    restarted_home.wait_ended("told")
    assert [attempts(restarted_home, run.id) for run in wanted.runs] == [["completed"]] * 2


def test_the_same_experiment_twice_is_one_and_other_content_is_refused(shared_home):
    wanted = experiment("twice", {"n_steps": 64, "batch_size": 64})
    shared_home.carry_out(wanted)
    before = len(shared_home.stored("twice"))
    assert "already submitted" in shared_home.submit(wanted).detail
    with pytest.raises(ConflictError, match=r"differs in baseline\.hyperparameters\.n_steps"):
        shared_home.submit(experiment("twice", {"n_steps": 128, "batch_size": 64}))
    assert len(shared_home.stored("twice")) == before


def test_a_target_nobody_knows_is_not_found(shared_home):
    with pytest.raises(NotFoundError, match="no-such-thing"):
        shared_home.stop("no-such-thing")


def test_a_second_supervisor_is_refused(shared_home):
    with pytest.raises(HomeError, match="another supervisor"), HomeLock(shared_home.home):
        pass


def test_a_supervisor_that_was_killed_leaves_nothing_that_needs_cleaning_up(restarted_home):
    """The beacon and the lock file of the dead are recovered from; host and trainers wait for the next one, and are adopted."""
    restarted_home.submit(long_experiment("orphans"), max_workers=1)
    before = restarted_home.wait_state("orphans/baseline/0", "running")
    os.kill(restarted_home.process("lander.supervisor"), signal.SIGKILL)
    restarted_home.start()
    restarted_home.wait(
        lambda: restarted_home.run("orphans/baseline/0")["step"] > before["step"] + 300, "training to be recorded again"
    )
    after = restarted_home.run("orphans/baseline/0")
    assert (after["pid"], after["attempt"]) == (before["pid"], 1)
    restarted_home.stop("orphans")
    assert restarted_home.wait_ended("orphans")["state"] == "stopped"
