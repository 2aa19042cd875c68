"""What happens to trainers: they are stopped, killed, retried, skipped, and never left behind."""

import os
import signal

import pytest

from lander.home.lock import HomeLock
from lander.protocol.errors import ConflictError, HomeError, NotFoundError
from lander.protocol.events import AttemptEnded, AttemptStarted, RunQueued
from tests.support.live_home import experiment

LONG = 50_000_000
"""More timesteps than any test waits for."""


def long_experiment(name, **rest):
    return experiment(name, {"n_steps": 64, "batch_size": 64, "n_epochs": 1}, training_steps=LONG, **rest)


def kill_trainer(lab, run):
    """SIGKILL a running trainer; returns its process id."""
    pid = lab.wait_state(run, "running")["pid"]
    os.kill(pid, signal.SIGKILL)
    return pid


def attempts(lab, run):
    return [event.named_cause for event in lab.events(run, "AttemptEnded") if isinstance(event, AttemptEnded)]


def test_a_stopped_experiment_says_so_and_its_trainers_are_gone(shared_lab):
    wanted = long_experiment("stopped-experiment")
    shared_lab.submit(wanted)
    pids = [shared_lab.wait_state(run.id, "running")["pid"] for run in wanted.runs]
    shared_lab.stop("stopped-experiment")
    ended = shared_lab.wait_ended("stopped-experiment")
    assert ended["state"] == "stopped"
    assert [(run["state"], run["cause"]) for run in ended["runs"]] == [("stopped", "stopped")] * 2
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_stopping_one_run_leaves_the_other_running(shared_lab):
    wanted = long_experiment("one-of-two")
    shared_lab.submit(wanted)
    for run in wanted.runs:
        shared_lab.wait_state(run.id, "running")
    shared_lab.stop("one-of-two/variant")
    shared_lab.wait_state("one-of-two/variant/0", "stopped")
    assert shared_lab.run("one-of-two/baseline/0")["state"] == "running"
    shared_lab.stop("one-of-two")
    shared_lab.wait_ended("one-of-two")


def test_a_killed_trainer_is_named_retried_and_the_experiment_completes(shared_lab):
    steps = {"training_steps": 15_000}
    wanted = experiment("killed-trainer", {"n_steps": 64, "batch_size": 64, "n_epochs": 1}, **steps)
    shared_lab.submit(wanted)
    kill_trainer(shared_lab, "killed-trainer/baseline/0")
    shared_lab.wait(lambda: attempts(shared_lab, "killed-trainer/baseline/0") != [], "the kill to be noticed")
    assert attempts(shared_lab, "killed-trainer/baseline/0") == ["crashed(SIGKILL)"]
    ended = shared_lab.wait_ended("killed-trainer")
    assert ended["state"] == "completed"
    assert [run["attempt"] for run in ended["runs"]] == [2, 1]
    started = [
        event.epoch
        for event in shared_lab.events("killed-trainer/baseline/0", "AttemptStarted")
        if isinstance(event, AttemptStarted)
    ]
    assert started == [1, 2]
    (_, retry) = [
        event for event in shared_lab.events("killed-trainer/baseline/0", "RunQueued") if isinstance(event, RunQueued)
    ]
    assert "crashed(SIGKILL)" in retry.reason
    assert ended["runs"][0]["step"] >= 15_000


def test_a_run_that_keeps_dying_fails_after_its_retries(shared_lab):
    wanted = long_experiment("dying", max_retries=1)
    shared_lab.submit(wanted)
    kill_trainer(shared_lab, "dying/baseline/0")
    shared_lab.wait(lambda: shared_lab.run("dying/baseline/0")["attempt"] == 2, "the retry")
    kill_trainer(shared_lab, "dying/baseline/0")
    assert shared_lab.wait_state("dying/baseline/0", "failed")["cause"] == "crashed(SIGKILL)"
    assert shared_lab.run("dying/variant/0")["state"] == "running"
    shared_lab.stop("dying")
    shared_lab.wait_ended("dying")


def test_skip_goes_on_without_the_run(shared_lab):
    wanted = experiment("skipping", {"n_steps": 64, "n_epochs": 1, "batch_size": 64}, training_steps=15_000, on_failure="skip")
    shared_lab.submit(wanted)
    kill_trainer(shared_lab, "skipping/variant/0")
    ended = shared_lab.wait_ended("skipping")
    assert ended["state"] == "completed"
    assert [run["state"] for run in ended["runs"]] == ["completed", "skipped"]
    assert ended["runs"][1]["cause"] == "crashed(SIGKILL)"


def test_abort_stops_the_others(shared_lab):
    shared_lab.submit(long_experiment("aborting", on_failure="abort"))
    shared_lab.wait_state("aborting/baseline/0", "running")
    kill_trainer(shared_lab, "aborting/variant/0")
    ended = shared_lab.wait_ended("aborting")
    assert ended["state"] == "failed"
    assert [run["state"] for run in ended["runs"]] == ["stopped", "failed"]


def test_an_environment_that_raises_is_named_with_its_traceback(shared_lab):
    wanted = experiment(
        "raising",
        {"n_steps": 64, "batch_size": 64},
        environment="tests.support.faulty_environments:Raising-v0",
        max_retries=0,
    )
    shared_lab.submit(wanted)
    ended = shared_lab.wait_ended("raising")
    assert ended["state"] == "failed"
    for run in ended["runs"]:
        assert (run["state"], run["cause"]) == ("failed", "environment_error")
        assert "RuntimeError: the engine fell off at step 100" in run["detail"]
    log = shared_lab.home / "experiments" / "raising" / "logs" / "baseline-0.log"
    assert "the engine fell off at step 100" in log.read_text()


def test_settings_that_sb3_refuses_are_a_config_error_and_not_retried(shared_lab):
    wanted = experiment("refused", {"n_steps": 64, "batch_size": 64, "policy_kwargs": {"optimizer_kwargs": {"nonsense": 1}}})
    ended = shared_lab.carry_out(wanted)
    assert [(run["state"], run["cause"], run["attempt"]) for run in ended["runs"]] == [("failed", "config_error", 1)] * 2


def test_parameters_that_are_no_longer_numbers_are_noticed(shared_lab):
    wanted = experiment(
        "exploding",
        {"n_steps": 64, "batch_size": 64},
        environment="tests.support.faulty_environments:NotANumber-v0",
        training_steps=2000,
        max_retries=0,
    )
    ended = shared_lab.carry_out(wanted)
    assert [(run["state"], run["cause"]) for run in ended["runs"]] == [("failed", "non_finite")] * 2


def test_they_are_noticed_where_torch_says_nothing(shared_lab):
    """DQN takes the largest of its values and never asks whether they are numbers."""
    wanted = experiment(
        "silent",
        {"learning_starts": 10, "buffer_size": 100, "batch_size": 8, "train_freq": 1},
        algorithm="DQN",
        environment="tests.support.faulty_environments:NotANumber-v0",
        training_steps=400,
        max_retries=0,
    )
    ended = shared_lab.carry_out(wanted)
    assert [(run["state"], run["cause"]) for run in ended["runs"]] == [("failed", "non_finite")] * 2


def test_a_killed_zygote_costs_each_run_one_attempt_for_which_it_is_not_blamed(restarted_lab):
    wanted = experiment("forkless", {"n_steps": 64, "batch_size": 64, "n_epochs": 1}, training_steps=15_000, on_failure="skip")
    restarted_lab.submit(wanted)
    for run in wanted.runs:
        restarted_lab.wait_state(run.id, "running")
    os.kill(restarted_lab.process("lander.actors.host.zygote"), signal.SIGKILL)
    assert restarted_lab.wait_ended("forkless")["state"] == "completed"
    for run in wanted.runs:
        assert attempts(restarted_lab, run.id) == ["lost_contact(SIGKILL)", "completed"]


def test_a_zygote_lets_its_trainers_be_where_everything_is_told_to_terminate(restarted_lab):
    wanted = experiment("told", {"n_steps": 64, "batch_size": 64, "n_epochs": 1}, training_steps=15_000)
    restarted_lab.submit(wanted)
    for run in wanted.runs:
        restarted_lab.wait_state(run.id, "running")
    os.kill(restarted_lab.process("lander.actors.host.zygote"), signal.SIGTERM)
    restarted_lab.wait_ended("told")
    assert [attempts(restarted_lab, run.id) for run in wanted.runs] == [["completed"]] * 2


def test_a_killed_host_costs_an_attempt_and_nothing_else(restarted_lab):
    steps = {"training_steps": 15_000}
    wanted = experiment("hostless", {"n_steps": 64, "batch_size": 64, "n_epochs": 1}, **steps)
    restarted_lab.submit(wanted)
    trainer = restarted_lab.wait_state("hostless/baseline/0", "running")["pid"]
    os.kill(restarted_lab.process("lander.actors.host.agent"), signal.SIGKILL)
    restarted_lab.wait(lambda: attempts(restarted_lab, "hostless/baseline/0") != [], "the loss to be noticed")
    assert attempts(restarted_lab, "hostless/baseline/0") == ["lost_contact"]
    restarted_lab.wait(lambda: trainer not in restarted_lab.processes(), "the trainer to die with its host")
    assert restarted_lab.wait_ended("hostless")["state"] == "completed"


def test_the_same_experiment_twice_is_one_and_other_content_is_refused(shared_lab):
    wanted = experiment("twice", {"n_steps": 64, "batch_size": 64})
    shared_lab.carry_out(wanted)
    before = len(shared_lab.stored("twice"))
    assert "already submitted" in shared_lab.submit(wanted).detail
    with pytest.raises(ConflictError, match=r"differs in baseline\.hyperparameters\.n_steps"):
        shared_lab.submit(experiment("twice", {"n_steps": 128, "batch_size": 64}))
    assert len(shared_lab.stored("twice")) == before


def test_a_target_nobody_knows_is_not_found(shared_lab):
    with pytest.raises(NotFoundError, match="no-such-thing"):
        shared_lab.stop("no-such-thing")


def test_a_second_supervisor_is_refused(shared_lab):
    with pytest.raises(HomeError, match="another supervisor"), HomeLock(shared_lab.home):
        pass


def test_a_supervisor_that_was_killed_leaves_nothing_that_needs_cleaning_up(restarted_lab):
    """The beacon and the lock file of the dead are recovered from; host and trainers wait for the next one, and are adopted."""
    wanted = long_experiment("orphans")
    restarted_lab.submit(wanted)
    before = restarted_lab.wait_state("orphans/baseline/0", "running")
    os.kill(restarted_lab.process("lander.supervisor"), signal.SIGKILL)
    restarted_lab.start()
    restarted_lab.wait(
        lambda: restarted_lab.run("orphans/baseline/0")["step"] > before["step"] + 2000, "training to be recorded again"
    )
    after = restarted_lab.run("orphans/baseline/0")
    assert (after["pid"], after["attempt"]) == (before["pid"], 1)
    restarted_lab.stop("orphans")
    assert restarted_lab.wait_ended("orphans")["state"] == "stopped"
