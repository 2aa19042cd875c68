"""The decision core by examples: which run goes where, and what hosts that come and go mean for the runs on them."""

import pytest

from lander.protocol import commands as c
from lander.protocol import events as e
from lander.supervisor.core.decide import HostGone, HostSilent, Tick
from lander.supervisor.core.restart_policy import INFRASTRUCTURE_RETRIES, STOP_GRACE
from lander.supervisor.core.silence import LOST_SECONDS, SUSPECT_SECONDS
from tests.support.decision_driver import DecisionDriver
from tests.support.histories import HOST

A, B = "x/baseline/0", "x/v/0"
GONE = HostGone(HOST, "its process ended")


# --- which run goes where ---------------------------------------------------------------------------------------------


def finishing_order(driver):
    """The order in which runs are started when each completes as soon as it is."""
    order = []
    while live := [run.id for run in driver.state.runs.values() if run.live]:
        order += [live[0]]
        driver.complete(live[0])
    return [run.split("/", 1)[1] for run in order]


def test_in_parallel_runs_go_seed_by_seed_so_that_pairs_finish_together():
    driver = DecisionDriver(cpus=1)
    driver.submit(seeds=[0, 1])
    assert finishing_order(driver) == ["baseline/0", "v/0", "baseline/1", "v/1"]


def test_in_sequence_runs_go_arm_by_arm_one_at_a_time_however_many_slots_there_are():
    driver = DecisionDriver(cpus=8)
    driver.submit(seeds=[0, 1], variants=("w", "v"), mode="sequential")
    assert len(driver.started()) == 1
    assert finishing_order(driver) == ["baseline/0", "baseline/1", "w/0", "w/1", "v/0", "v/1"]


def test_in_sequence_a_run_that_waits_for_its_retry_keeps_its_turn():
    driver = DecisionDriver()
    driver.submit(mode="sequential")
    driver.crash(A)
    assert driver.started() == []
    driver.now += 1.0
    driver.tell(Tick())
    assert driver.started() == [(A, 2, 10, None)]


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_no_more_workers_than_were_asked_for(workers):
    driver = DecisionDriver(cpus=8)
    driver.submit(seeds=[0, 1], max_workers=workers)
    assert len(driver.started()) == workers
    driver.submit(name="y")
    assert len(driver.started()) == 2  # the bound is one experiment's, not everybody's


def test_without_a_bound_there_are_as_many_workers_as_slots():
    driver = DecisionDriver(cpus=3)
    driver.submit(seeds=[0, 1])
    assert len(driver.started()) == 3


def test_a_run_on_cuda_takes_a_gpu_and_a_cpu_and_waits_while_there_is_none():
    driver = DecisionDriver(cpus=8, gpus=1)
    driver.submit(device="cuda")
    assert driver.started() == [(A, 1, 10, 0)]
    driver.submit(name="y")
    assert driver.started() == [("y/baseline/0", 1, 11, None), ("y/v/0", 1, 12, None)]
    driver.complete(A)
    assert driver.started() == [(B, 1, 10, 0)]


def test_where_there_is_no_gpu_a_run_on_cuda_does_not_keep_others_waiting():
    driver = DecisionDriver(cpus=2)
    driver.submit(device="cuda")
    assert driver.started() == []
    driver.submit(name="y")
    assert len(driver.started()) == 2


def test_a_host_that_is_gone_gets_nothing():
    driver = DecisionDriver(cpus=2)
    driver.tell(GONE)
    driver.submit()
    assert driver.started() == []


# --- hosts that go ----------------------------------------------------------------------------------------------------


def test_with_its_host_a_run_is_lost_and_tried_again_when_there_is_one():
    driver = DecisionDriver()
    driver.submit()
    driver.train(A)
    driver.tell(GONE)
    assert driver.kinds() == [
        (f"host:{HOST}", "HostLost"),
        (A, "AttemptEnded"),
        (A, "RunQueued"),
        (B, "AttemptEnded"),
        (B, "RunQueued"),
    ]
    assert {ended.cause for ended in driver.said("AttemptEnded")} == {"lost_contact"}
    driver.now += 1.0
    assert driver.tell(Tick()).effects == []
    driver.join(pid=2)
    assert driver.started() == [(A, 2, 10, None), (B, 2, 11, None)]


def test_a_host_is_gone_once():
    driver = DecisionDriver()
    driver.tell(GONE)
    assert driver.tell(GONE).events == []
    assert driver.tell(HostGone("nobody", "?")).events == []


def test_a_stopping_run_that_is_lost_is_stopped_and_not_tried_again():
    driver = DecisionDriver()
    driver.submit()
    driver.train(A)
    driver.stop(A)
    driver.tell(GONE)
    assert driver.states() == {"baseline/0": "stopped", "v/0": "queued"}


@pytest.mark.parametrize(("on_failure", "state"), [("retry", "failed"), ("skip", "skipped"), ("abort", "failed")])
def test_that_its_host_is_lost_is_no_fault_of_the_run_unless_it_happens_too_often(on_failure, state):
    driver = DecisionDriver()
    driver.submit(on_failure=on_failure, max_retries=0)
    driver.complete(B)
    for pid in range(2, INFRASTRUCTURE_RETRIES + 2):
        driver.tell(GONE)
        assert driver.run(A).state == "queued"
        driver.now += 60.0
        driver.join(pid=pid)
    driver.tell(GONE)
    assert driver.run(A).state == state
    assert driver.experiment_state() == ("completed" if state == "skipped" else "failed")


def test_a_host_that_offers_no_slots_any_more_keeps_what_it_has_and_gets_nothing():
    driver = DecisionDriver(cpus=2)
    driver.submit(seeds=[0, 1])
    driver.train(A, B)
    driver.join(cpus=0, trainers=[(A, 1), (B, 1)])
    assert driver.last.effects == []
    driver.complete(A)
    assert (driver.started(), driver.run(B).state) == ([], "running")
    driver.join(cpus=2, trainers=[(B, 1)])
    assert [run for run, *_ in driver.started()] == ["x/baseline/1"]


def test_what_is_aborted_because_another_run_was_lost_with_it_has_ended_as_it_was_asked():
    driver = DecisionDriver()
    driver.submit(on_failure="abort")
    for pid in range(2, INFRASTRUCTURE_RETRIES + 2):
        driver.tell(GONE)
        driver.now += 60.0
        driver.join(pid=pid)
    driver.tell(GONE)
    assert [event.cause for event in driver.said("AttemptEnded")] == ["lost_contact", "stopped"]
    assert driver.states() == {"baseline/0": "failed", "v/0": "stopped"}
    assert (driver.run(B).stop_reason, driver.experiment_state()) == ("aborted", "failed")


# --- hosts that fall silent ---------------------------------------------------------------------------------------------

SUSPECT, OVERDUE = SUSPECT_SECONDS + 1, LOST_SECONDS + 1


def two_hosts(cpus=2, gpus=0, **form):
    """A driver with two runs on the local host, and another host with two slots and nothing to do."""
    driver = DecisionDriver(cpus, gpus)
    driver.submit(**form)
    driver.join(pid=7, host="other")
    return driver


def test_a_suspect_host_gets_nothing_and_keeps_what_it_has():
    driver = two_hosts(cpus=3)
    driver.hear("other", seconds=SUSPECT)
    driver.submit(name="y", seeds=[0, 1])
    assert [one.host for one in driver.last.effects] == ["other", "other"]
    assert driver.tell(HostSilent(HOST)).events == [], "it may still return"
    driver.hear(HOST)
    driver.tell(Tick())
    assert [one.host for one in driver.last.effects] == [HOST], "it has a core left"
    assert (driver.run(A).epoch, driver.run(B).epoch) == (1, 1)


def test_an_overdue_host_is_lost_where_its_runs_can_go_elsewhere():
    driver = two_hosts()
    driver.hear("other", seconds=OVERDUE)
    driver.tell(HostSilent(HOST))
    assert [event.detail for event in driver.said("HostLost")] == ["silent for 120 s"]
    assert [event.cause for event in driver.said("AttemptEnded")] == ["lost_contact", "lost_contact"]
    driver.now += 1.0
    driver.tell(Tick())
    assert driver.hosts_of() == {"baseline/0": "other", "v/0": "other"}
    driver.join(trainers=[(A, 1), (B, 1)])
    assert driver.ended() == [(A, 1, 0.0), (B, 1, 0.0)], "who comes too late stops nothing but itself"
    assert driver.hosts_of() == {"baseline/0": "other", "v/0": "other"}


def test_an_overdue_host_is_waited_for_where_no_run_of_it_can_go_elsewhere():
    driver = two_hosts()
    driver.submit(name="y")
    driver.hear("other", seconds=OVERDUE)
    assert driver.tell(HostSilent(HOST)).events == []
    driver.complete("y/v/0")
    driver.hear("other", seconds=1.0)
    assert driver.tell(HostSilent(HOST)).events[0][1].kind == "HostLost"


def test_a_slot_that_another_run_waits_for_is_none_to_go_to():
    driver = two_hosts()
    driver.submit(name="y", max_retries=1)
    driver.hear("other", seconds=OVERDUE)
    driver.crash("y/baseline/0")
    assert driver.tell(HostSilent(HOST)).events == [], "its next attempt will need the slot"
    driver.complete("y/v/0")
    assert driver.tell(HostSilent(HOST)).events != []


def test_a_run_that_is_to_be_placed_comes_first():
    driver = two_hosts()
    driver.submit(name="y", max_retries=1)
    driver.hear("other", seconds=OVERDUE)
    driver.crash("y/baseline/0")
    driver.now += 60.0
    driver.tell(HostSilent(HOST))
    assert [run for run, *_ in driver.started()] == ["y/baseline/0"]
    assert driver.said("HostLost") == []


def test_of_two_overdue_hosts_only_one_is_given_up_for_one_slot():
    driver = DecisionDriver(cpus=1)
    driver.join(pid=7, cpus=1, host="other")
    driver.submit()
    driver.join(pid=8, cpus=1, host="third")
    driver.hear("third", seconds=OVERDUE)
    assert driver.tell(HostSilent(HOST)).events != []
    assert driver.tell(HostSilent("other")).events == []


def test_a_run_on_cuda_can_only_go_where_there_is_a_gpu():
    driver = DecisionDriver(cpus=2, gpus=2)
    driver.submit(device="cuda")
    driver.join(pid=7, host="other")
    driver.hear("other", seconds=OVERDUE)
    assert driver.tell(HostSilent(HOST)).events == []
    driver.join(pid=8, host="third", gpus=1)
    assert driver.tell(HostSilent(HOST)).events != []


def test_a_host_that_is_heard_again_is_not_given_up_even_if_that_was_about_to_be_decided():
    driver = two_hosts()
    driver.hear("other", seconds=OVERDUE)
    driver.hear(HOST)
    assert driver.tell(HostSilent(HOST)).events == []


def test_a_host_of_which_nothing_is_to_go_on_is_not_waited_for():
    """Else a run that somebody stops there would never be stopped, and a supervisor that is to leave would stay."""
    driver = DecisionDriver()
    driver.submit()
    driver.train(A, B)
    driver.stop("x")
    driver.hear(seconds=OVERDUE)
    driver.tell(HostSilent(HOST))
    assert driver.states() == {"baseline/0": "stopped", "v/0": "stopped"}
    idle = DecisionDriver()
    idle.hear(seconds=OVERDUE)
    assert idle.tell(HostSilent(HOST)).events[0][1].kind == "HostLost"


# --- hosts that come back ---------------------------------------------------------------------------------------------


def test_an_order_that_was_lost_on_the_way_is_given_again():
    driver = DecisionDriver()
    driver.submit()
    driver.train(B)
    driver.join(trainers=[(B, 1)])
    assert driver.last.events == []
    assert driver.started() == [(A, 1, 10, None)]
    driver.join(trainers=[(A, 1), (B, 1)])
    assert driver.last.effects == []


def test_a_run_whose_order_to_end_was_lost_on_the_way_is_asked_again():
    driver = DecisionDriver()
    driver.submit()
    driver.train(A)
    driver.stop(A)
    driver.join(trainers=[(A, 1), (B, 1)])
    assert (driver.last.events, driver.started(), driver.ended()) == ([], [], [(A, 1, STOP_GRACE)])


def test_a_run_that_was_stopped_before_the_host_heard_of_it_still_comes_to_an_end():
    """Both orders were lost. A trainer that is started and asked to end reports its exit; one never started would not."""
    driver = DecisionDriver()
    driver.submit()
    driver.stop(A)
    driver.join(trainers=[(B, 1)])
    assert (driver.started(), driver.ended()) == ([(A, 1, 10, None)], [(A, 1, STOP_GRACE)])
    driver.exit(A, cause="stopped")
    assert driver.run(A).state == "stopped"


def test_a_running_trainer_that_the_host_no_longer_has_is_left_to_its_report():
    driver = DecisionDriver()
    driver.submit()
    driver.train(A, B)
    driver.join(trainers=[(B, 1)])
    assert (driver.last.events, driver.last.effects) == ([], [])
    driver.complete(A)
    assert driver.run(A).state == "completed"


@pytest.mark.parametrize(("pid", "incarnation"), [(2, "i"), (2, "j"), (1, "j")])
def test_with_a_new_agent_what_the_old_one_ran_is_lost(pid, incarnation):
    """A pid may come again, above all after a reboot; the incarnation does not."""
    driver = DecisionDriver(pid=1)
    driver.submit()
    driver.train(A)
    driver.join(pid=pid, incarnation=incarnation)
    assert [event.cause for event in driver.said("AttemptEnded")] == ["lost_contact", "lost_contact"]
    assert driver.states() == {"baseline/0": "queued", "v/0": "queued"}
    assert (driver.state.hosts[HOST].pid, driver.state.hosts[HOST].incarnation) == (pid, incarnation)


def test_with_a_new_agent_a_stopping_run_is_stopped_and_not_tried_again():
    driver = DecisionDriver()
    driver.submit()
    driver.train(A)
    driver.stop(A)
    driver.join(pid=2)
    assert driver.states() == {"baseline/0": "stopped", "v/0": "queued"}
    assert driver.run(A).stop_reason == "operator"


def test_trainers_that_nobody_knows_are_ended_at_once():
    driver = DecisionDriver()
    driver.submit()
    driver.crash(A)
    driver.join(trainers=[(A, 1), (B, 1), ("no/such/0", 4)])
    assert driver.ended() == [("no/such/0", 4, 0.0), (A, 1, 0.0)]


def test_a_host_that_was_given_up_and_returns_ends_what_it_kept():
    driver = DecisionDriver()
    driver.submit()
    driver.train(A, B)
    driver.tell(HostGone(HOST, "silent for 120 s"))
    driver.join(trainers=[(A, 1), (B, 1)])
    assert driver.kinds() == [(f"host:{HOST}", "HostJoined")]
    assert driver.ended() == [(A, 1, 0.0), (B, 1, 0.0)]
    driver.now += 1.0
    driver.tell(Tick())
    assert [(run, epoch) for run, epoch, *_ in driver.started()] == [(A, 2), (B, 2)]


def test_a_host_that_says_nothing_new_is_not_recorded_again():
    driver = DecisionDriver()
    assert driver.join().events == []
    assert [event.cpus for event in driver.join(cpus=3).events and driver.said("HostJoined")] == [(10, 11, 12)]


def test_what_a_leaving_host_ends_goes_back_to_the_queue_and_is_no_failure():
    driver = DecisionDriver()
    driver.submit()
    driver.train(A, B)
    driver.stop(B)
    for _ in range(2):  # it says so again at a new connection
        driver.join(trainers=[(A, 1), (B, 1)], leaving=True)
        assert driver.states() == {"baseline/0": "stopping", "v/0": "stopping"}
    driver.exit(A, cause="stopped")
    assert [(event.cause, event.signal) for event in driver.said("AttemptEnded")] == [("preempted", None)]
    assert [event.reason for event in driver.said("RunQueued")] == ["its host leaves"]
    driver.exit(B, cause="stopped")
    assert driver.states() == {"baseline/0": "queued", "v/0": "stopped"}
    assert driver.run(A).failures == ()


def test_a_trainer_that_a_leaving_host_had_no_time_for_is_no_failure_either():
    driver = DecisionDriver()
    driver.submit()
    driver.train(A)
    driver.join(trainers=[(A, 1), (B, 1)], leaving=True)
    driver.crash(A)
    assert [event.named_cause for event in driver.said("AttemptEnded")] == ["preempted(SIGKILL)"]
    assert driver.run(A).failures == ()


# --- what is heard twice or late --------------------------------------------------------------------------------------


def test_an_exit_that_is_reported_twice_is_recorded_once():
    driver = DecisionDriver()
    driver.submit()
    driver.crash(A)
    before = driver.state
    again = driver.tell(c.TrainerExited(run=A, epoch=1, signal="SIGKILL"))
    assert (again.events, again.effects, driver.state) == ([], [], before)


@pytest.mark.parametrize(("run", "epoch"), [(A, 7), (A, 0), ("no/such/0", 1), ("", 1)])
def test_the_exit_of_an_attempt_that_does_not_count_changes_nothing(run, epoch):
    driver = DecisionDriver()
    driver.submit()
    assert driver.tell(c.TrainerExited(run=run, epoch=epoch, exit_code=0)).events == []


def test_the_words_of_an_attempt_that_is_over_change_nothing():
    driver = DecisionDriver()
    driver.submit()
    driver.train(A)
    driver.crash(A)
    before = driver.state
    for event in (
        e.TrainingStarted(epoch=1, pid=5, n_envs=1, device="cpu"),
        e.ModelSaved(step=1000, path="m", sha256="s"),
        e.TrainingEnded(epoch=1, cause="completed", step=1000),
    ):
        driver.word(A, event, epoch=1)
    assert driver.state == before


# --- exclusive runs ---------------------------------------------------------------------------------------------------


def test_what_an_exclusive_run_is_started_with_says_so():
    driver = DecisionDriver()
    driver.submit(exclusive=True)
    assert [effect.order.exclusive for effect in driver.last.effects] == [True, True]
    driver = DecisionDriver()
    driver.submit()
    assert [effect.order.exclusive for effect in driver.last.effects] == [False, False]


def on_two_hosts(exclusive):
    """A driver with four runs, and which of them train on its own host and which on another that can be turned away."""
    driver = DecisionDriver(cpus=2)
    driver.fold(e.Recorded(0, "host:far", 0, 0, 1, e.HostEnrolled(public_key="k" * 40, token="t")))
    driver.join(host="far")
    driver.submit(seeds=[0, 1], exclusive=exclusive)
    here, there = ([f"x/{run}" for run, host in driver.hosts_of().items() if host == place] for place in (HOST, "far"))
    return driver, here, there


@pytest.mark.parametrize("exclusive", [True, False])
def test_an_exclusive_run_of_a_host_that_is_turned_away_waits_until_its_lease_is_over(exclusive):
    driver, here, there = on_two_hosts(exclusive=exclusive)
    driver.tell(c.RevokeHost(host="far", operator="me@here"))
    driver.complete(*here)
    driver.now += LOST_SECONDS - 1.0
    driver.tell(Tick())
    assert sorted(driver.state.live) == ([] if exclusive else sorted(there))
    driver.now += 2.0
    driver.tell(Tick())
    assert sorted(driver.state.live) == sorted(there)


def _person(command, **target):
    return lambda driver: driver.tell(command(operator="me@here", **target))


DRAIN, REVOKE = _person(c.DrainHost, host="far"), _person(c.RevokeHost, host="far")
PAUSE, RESUME, RETRY = (_person(each, target="x") for each in (c.PauseTarget, c.ResumeTarget, c.RetryTarget))


@pytest.mark.parametrize(
    "asked",
    [(DRAIN, REVOKE), (PAUSE, REVOKE, RESUME), (REVOKE, RETRY), (REVOKE, PAUSE, RESUME, RETRY)],
    ids=["drain, revoke", "pause, revoke, resume", "revoke, retry", "revoke, pause, resume, retry"],
)
def test_nothing_that_is_asked_starts_an_exclusive_run_while_its_old_host_may_hold_a_lease(asked):
    driver, here, there = on_two_hosts(exclusive=True)
    driver.complete(*here)
    for ask in asked:
        ask(driver)
    driver.now += LOST_SECONDS - 1.0
    driver.tell(Tick())
    assert sorted(driver.state.live) == []
    driver.now += 2.0
    driver.tell(Tick())
    assert sorted(driver.state.live) == sorted(there)


SOONER = 30.0
"""After so many seconds a host is lost for a supervisor that takes over from one for which it was `LOST_SECONDS`."""


def _taken_over(**form):
    """A supervisor that gives hosts up sooner than the one before it, and a run that this one started on a host now silent."""
    driver = DecisionDriver(cpus=1)
    driver.join(pid=7, cpus=2, host="far")
    driver.submit(seeds=[0], **form)
    driver.restart(SOONER)
    driver.join(pid=1, cpus=4)
    driver.hear(HOST, seconds=SOONER + 1.0)
    return driver, [run.id for run, attempt in driver.state.attempts() if attempt.host == "far"]


def test_a_host_with_an_exclusive_run_is_lost_when_the_lease_is_over_that_an_earlier_supervisor_has_granted():
    driver, (run,) = _taken_over(exclusive=True)
    assert driver.tell(HostSilent("far")).events == []
    driver.hear(HOST, seconds=LOST_SECONDS - SOONER - 2.0)
    assert driver.tell(HostSilent("far")).events == []
    driver.hear(HOST, seconds=2.0)
    driver.tell(HostSilent("far"))
    assert driver.said("AttemptEnded")[0].lease is None
    driver.now += 1.0
    driver.tell(Tick())
    assert driver.run(run).attempt.host == HOST


def test_a_host_whose_runs_are_not_exclusive_is_lost_as_soon_as_the_supervisor_was_told():
    driver, (run,) = _taken_over()
    driver.tell(HostSilent("far"))
    driver.now += 1.0
    driver.tell(Tick())
    assert driver.run(run).attempt.host == HOST


def test_with_its_host_an_exclusive_run_is_lost_for_the_sake_of_others_and_waits_until_its_lease_is_over():
    driver, (run,) = _taken_over(exclusive=True)
    driver.hear(HOST, "far")
    driver.tell(c.DrainHost(host=HOST, operator="me@here"))
    driver.submit(name="y", seeds=[0])
    driver.tell(c.ReopenHost(host=HOST, operator="me@here"))
    driver.hear(HOST, seconds=SOONER + 1.0)
    plain = [one.id for one, attempt in driver.state.attempts() if attempt.host == "far" and one.id != run]
    driver.tell(HostSilent("far"))
    driver.now += 1.0
    driver.tell(Tick())
    assert {driver.run(one).attempt.host for one in plain} == {HOST}
    driver.now += LOST_SECONDS - SOONER - 3.0
    driver.tell(Tick())
    assert driver.run(run).attempt is None
    driver.now += 2.0
    driver.tell(Tick())
    assert driver.run(run).attempt.host == HOST


def test_a_lease_of_which_an_older_log_does_not_say_the_length_is_taken_for_one_of_the_usual_length():
    driver = DecisionDriver(cpus=2)
    driver.submit(exclusive=True)
    for run, attempt in list(driver.state.attempts()):
        older = e.AttemptStarted(epoch=attempt.epoch + 1, host=HOST, cpu=attempt.cpu)
        driver.fold(e.Recorded(0, run.id, 0, 0, 1, e.AttemptEnded(epoch=attempt.epoch, cause="crashed", seconds=1.0)))
        driver.fold(e.Recorded(0, run.id, 0, 0, 1, e.RunQueued()))
        driver.fold(e.Recorded(0, run.id, 0, 0, 1, older))
    driver.restart(SOONER)
    driver.join(pid=7, host="other")
    driver.hear("other", seconds=SOONER + 1.0)
    assert driver.tell(HostSilent(HOST)).events == []
    driver.hear("other", seconds=LOST_SECONDS - SOONER)
    assert driver.tell(HostSilent(HOST)).events != []
