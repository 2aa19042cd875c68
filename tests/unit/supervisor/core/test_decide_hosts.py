"""The decision core by examples: which run goes where, and what hosts that come and go mean for the runs on them."""

import pytest

from lander.protocol import commands as c
from lander.protocol import events as e
from lander.supervisor.core.decide import HostGone, Tick
from lander.supervisor.core.restart_policy import INFRASTRUCTURE_RETRIES, STOP_GRACE
from tests.support.decision_driver import DecisionDriver
from tests.support.histories import HOST

A, B = "x/baseline/0", "x/v/0"
GONE = HostGone(HOST, "its process ended")


# --- which run goes where ---------------------------------------------------------------------------------------------


def finishing_order(desk):
    """The order in which runs are started when each completes as soon as it is."""
    order = []
    while live := [run.id for run in desk.state.runs.values() if run.live]:
        order += [live[0]]
        desk.complete(live[0])
    return [run.split("/", 1)[1] for run in order]


def test_in_parallel_runs_go_seed_by_seed_so_that_pairs_finish_together():
    desk = DecisionDriver(cpus=1)
    desk.submit(seeds=[0, 1])
    assert finishing_order(desk) == ["baseline/0", "v/0", "baseline/1", "v/1"]


def test_in_sequence_runs_go_arm_by_arm_one_at_a_time_however_many_slots_there_are():
    desk = DecisionDriver(cpus=8)
    desk.submit(seeds=[0, 1], variants=("w", "v"), mode="sequential")
    assert len(desk.started()) == 1
    assert finishing_order(desk) == ["baseline/0", "baseline/1", "w/0", "w/1", "v/0", "v/1"]


def test_in_sequence_a_run_that_waits_for_its_retry_keeps_its_turn():
    desk = DecisionDriver()
    desk.submit(mode="sequential")
    desk.crash(A)
    assert desk.started() == []
    desk.now += 1.0
    desk.tell(Tick())
    assert desk.started() == [(A, 2, 10, None)]


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_no_more_workers_than_were_asked_for(workers):
    desk = DecisionDriver(cpus=8)
    desk.submit(seeds=[0, 1], max_workers=workers)
    assert len(desk.started()) == workers
    desk.submit(name="y")
    assert len(desk.started()) == 2  # the bound is one experiment's, not everybody's


def test_without_a_bound_there_are_as_many_workers_as_slots():
    desk = DecisionDriver(cpus=3)
    desk.submit(seeds=[0, 1])
    assert len(desk.started()) == 3


def test_a_run_on_cuda_takes_a_gpu_and_a_cpu_and_waits_while_there_is_none():
    desk = DecisionDriver(cpus=8, gpus=1)
    desk.submit(device="cuda")
    assert desk.started() == [(A, 1, 10, 0)]
    desk.submit(name="y")
    assert desk.started() == [("y/baseline/0", 1, 11, None), ("y/v/0", 1, 12, None)]
    desk.complete(A)
    assert desk.started() == [(B, 1, 10, 0)]


def test_where_there_is_no_gpu_a_run_on_cuda_does_not_keep_others_waiting():
    desk = DecisionDriver(cpus=2)
    desk.submit(device="cuda")
    assert desk.started() == []
    desk.submit(name="y")
    assert len(desk.started()) == 2


def test_a_host_that_is_gone_gets_nothing():
    desk = DecisionDriver(cpus=2)
    desk.tell(GONE)
    desk.submit()
    assert desk.started() == []


# --- hosts that go ----------------------------------------------------------------------------------------------------


def test_with_its_host_a_run_is_lost_and_tried_again_when_there_is_one():
    desk = DecisionDriver()
    desk.submit()
    desk.train(A)
    desk.tell(GONE)
    assert desk.kinds() == [
        (f"host:{HOST}", "HostLost"),
        (A, "AttemptEnded"),
        (A, "RunQueued"),
        (B, "AttemptEnded"),
        (B, "RunQueued"),
    ]
    assert {ended.cause for ended in desk.said("AttemptEnded")} == {"lost_contact"}
    desk.now += 1.0
    assert desk.tell(Tick()).effects == []
    desk.join(pid=2)
    assert desk.started() == [(A, 2, 10, None), (B, 2, 11, None)]


def test_a_host_is_gone_once():
    desk = DecisionDriver()
    desk.tell(GONE)
    assert desk.tell(GONE).events == []
    assert desk.tell(HostGone("nobody", "?")).events == []


def test_a_stopping_run_that_is_lost_is_stopped_and_not_tried_again():
    desk = DecisionDriver()
    desk.submit()
    desk.train(A)
    desk.stop(A)
    desk.tell(GONE)
    assert desk.states() == {"baseline/0": "stopped", "v/0": "queued"}


@pytest.mark.parametrize(("on_failure", "state"), [("retry", "failed"), ("skip", "skipped"), ("abort", "failed")])
def test_that_its_host_is_lost_is_no_fault_of_the_run_unless_it_happens_too_often(on_failure, state):
    desk = DecisionDriver()
    desk.submit(on_failure=on_failure, max_retries=0)
    desk.complete(B)
    for pid in range(2, INFRASTRUCTURE_RETRIES + 2):
        desk.tell(GONE)
        assert desk.run(A).state == "queued"
        desk.now += 60.0
        desk.join(pid=pid)
    desk.tell(GONE)
    assert desk.run(A).state == state
    assert desk.experiment_state() == ("completed" if state == "skipped" else "failed")


def test_a_host_that_offers_no_slots_any_more_keeps_what_it_has_and_gets_nothing():
    desk = DecisionDriver(cpus=2)
    desk.submit(seeds=[0, 1])
    desk.train(A, B)
    desk.join(cpus=0, trainers=[(A, 1), (B, 1)])
    assert desk.last.effects == []
    desk.complete(A)
    assert (desk.started(), desk.run(B).state) == ([], "running")
    desk.join(cpus=2, trainers=[(B, 1)])
    assert [run for run, *_ in desk.started()] == ["x/baseline/1"]


def test_what_is_aborted_because_another_run_was_lost_with_it_has_ended_as_it_was_asked():
    desk = DecisionDriver()
    desk.submit(on_failure="abort")
    for pid in range(2, INFRASTRUCTURE_RETRIES + 2):
        desk.tell(GONE)
        desk.now += 60.0
        desk.join(pid=pid)
    desk.tell(GONE)
    assert [event.cause for event in desk.said("AttemptEnded")] == ["lost_contact", "stopped"]
    assert desk.states() == {"baseline/0": "failed", "v/0": "stopped"}
    assert (desk.run(B).stop_reason, desk.experiment_state()) == ("aborted", "failed")


# --- hosts that come back ---------------------------------------------------------------------------------------------


def test_an_order_that_was_lost_on_the_way_is_given_again():
    desk = DecisionDriver()
    desk.submit()
    desk.train(B)
    desk.join(trainers=[(B, 1)])
    assert desk.last.events == []
    assert desk.started() == [(A, 1, 10, None)]
    desk.join(trainers=[(A, 1), (B, 1)])
    assert desk.last.effects == []


def test_a_run_whose_order_to_end_was_lost_on_the_way_is_asked_again():
    desk = DecisionDriver()
    desk.submit()
    desk.train(A)
    desk.stop(A)
    desk.join(trainers=[(A, 1), (B, 1)])
    assert (desk.last.events, desk.started(), desk.ended()) == ([], [], [(A, 1, STOP_GRACE)])


def test_a_run_that_was_stopped_before_the_host_heard_of_it_still_comes_to_an_end():
    """Both orders were lost. A trainer that is started and asked to end reports its exit; one never started would not."""
    desk = DecisionDriver()
    desk.submit()
    desk.stop(A)
    desk.join(trainers=[(B, 1)])
    assert (desk.started(), desk.ended()) == ([(A, 1, 10, None)], [(A, 1, STOP_GRACE)])
    desk.exit(A, cause="stopped")
    assert desk.run(A).state == "stopped"


def test_a_running_trainer_that_the_host_no_longer_has_is_left_to_its_report():
    desk = DecisionDriver()
    desk.submit()
    desk.train(A, B)
    desk.join(trainers=[(B, 1)])
    assert (desk.last.events, desk.last.effects) == ([], [])
    desk.complete(A)
    assert desk.run(A).state == "completed"


@pytest.mark.parametrize(("pid", "incarnation"), [(2, "i"), (2, "j"), (1, "j")])
def test_with_a_new_agent_what_the_old_one_ran_is_lost(pid, incarnation):
    """A pid may come again, above all after a reboot; the incarnation does not."""
    desk = DecisionDriver(pid=1)
    desk.submit()
    desk.train(A)
    desk.join(pid=pid, incarnation=incarnation)
    assert [event.cause for event in desk.said("AttemptEnded")] == ["lost_contact", "lost_contact"]
    assert desk.states() == {"baseline/0": "queued", "v/0": "queued"}
    assert (desk.state.hosts[HOST].pid, desk.state.hosts[HOST].incarnation) == (pid, incarnation)


def test_with_a_new_agent_a_stopping_run_is_stopped_and_not_tried_again():
    desk = DecisionDriver()
    desk.submit()
    desk.train(A)
    desk.stop(A)
    desk.join(pid=2)
    assert desk.states() == {"baseline/0": "stopped", "v/0": "queued"}
    assert desk.run(A).stop_reason == "operator"


def test_trainers_that_nobody_knows_are_ended_at_once():
    desk = DecisionDriver()
    desk.submit()
    desk.crash(A)
    desk.join(trainers=[(A, 1), (B, 1), ("no/such/0", 4)])
    assert desk.ended() == [("no/such/0", 4, 0.0), (A, 1, 0.0)]


def test_a_host_that_was_given_up_and_returns_ends_what_it_kept():
    desk = DecisionDriver()
    desk.submit()
    desk.train(A, B)
    desk.tell(HostGone(HOST, "silent for 30 s"))
    desk.join(trainers=[(A, 1), (B, 1)])
    assert desk.kinds() == [(f"host:{HOST}", "HostJoined")]
    assert desk.ended() == [(A, 1, 0.0), (B, 1, 0.0)]
    desk.now += 1.0
    desk.tell(Tick())
    assert [(run, epoch) for run, epoch, *_ in desk.started()] == [(A, 2), (B, 2)]


def test_a_host_that_says_nothing_new_is_not_recorded_again():
    desk = DecisionDriver()
    assert desk.join().events == []
    assert [event.cpus for event in desk.join(cpus=3).events and desk.said("HostJoined")] == [(10, 11, 12)]


# --- what is heard twice or late --------------------------------------------------------------------------------------


def test_an_exit_that_is_reported_twice_is_recorded_once():
    desk = DecisionDriver()
    desk.submit()
    desk.crash(A)
    before = desk.state
    again = desk.tell(c.TrainerExited(run=A, epoch=1, signal="SIGKILL"))
    assert (again.events, again.effects, desk.state) == ([], [], before)


@pytest.mark.parametrize(("run", "epoch"), [(A, 7), (A, 0), ("no/such/0", 1), ("", 1)])
def test_the_exit_of_an_attempt_that_does_not_count_changes_nothing(run, epoch):
    desk = DecisionDriver()
    desk.submit()
    assert desk.tell(c.TrainerExited(run=run, epoch=epoch, exit_code=0)).events == []


def test_the_words_of_an_attempt_that_is_over_change_nothing():
    desk = DecisionDriver()
    desk.submit()
    desk.train(A)
    desk.crash(A)
    before = desk.state
    for event in (
        e.TrainingStarted(epoch=1, pid=5, n_envs=1, device="cpu"),
        e.ModelSaved(step=1000, path="m", sha256="s"),
        e.TrainingEnded(epoch=1, cause="completed", step=1000),
    ):
        desk.word(A, event, epoch=1)
    assert desk.state == before
