"""The decision core by examples: on which hosts a run starts, and on which it goes on, by their bits and their labels."""

import pytest

from lander.protocol import commands as c
from lander.protocol import events as e
from lander.supervisor.core.decide import HostGone, HostSilent, Tick
from lander.supervisor.core.silence import LOST_SECONDS
from tests.support.decision_driver import SIGNALLED, DecisionDriver
from tests.support.histories import HOST, checkpoint, origin

A, B = "x/baseline/0", "x/v/0"
OTHER = "b" * 12
GONE = HostGone(HOST, "its process ended")


def cut_off(step=10, cpus=1, **form):
    """The baseline trained on the local host, left a checkpoint (unless `step` is 0), and lost it; its retry is due."""
    driver = DecisionDriver(cpus=cpus)
    driver.submit(**form)
    driver.train(A)
    if step:
        driver.checkpoint(A, step)
    driver.tell(GONE)
    driver.now += 100.0
    return driver


def orders(driver):
    return {effect.run: effect.order for effect in driver.last.effects if hasattr(effect, "order")}


def warnings(driver):
    return {stream: event.message for stream, event in driver.last.events if isinstance(event, e.WarningRaised)}


def test_a_run_goes_on_on_its_class_and_waits_for_it_beside_free_slots():
    driver = cut_off()
    driver.join(host="odd", bits=OTHER, cpus=4)
    assert driver.hosts_of() == {}
    driver.join(host="even", cpus=1)
    assert driver.hosts_of() == {"baseline/0": "even"}
    assert not orders(driver)[A].other_bits


def test_a_run_without_a_checkpoint_begins_anew_anywhere():
    driver = cut_off(step=0)
    driver.join(host="odd", bits=OTHER, cpus=4)
    assert driver.hosts_of() == {"baseline/0": "odd", "v/0": "odd"}
    assert not orders(driver)[A].other_bits


def test_with_warn_it_goes_on_elsewhere_only_if_no_host_of_its_class_is_there_and_it_is_warned_of():
    driver = cut_off(other_hardware="warn")
    driver.join(host="even", cpus=1)
    driver.join(host="odd", bits=OTHER, cpus=4)
    assert driver.hosts_of() == {"baseline/0": "even"}, "the other run of the seed waits for a slot there"
    driver.tell(HostGone("even", "?"))
    assert driver.hosts_of() == {"v/0": "odd"}, "it need not wait for its retry"
    assert not orders(driver)[B].other_bits, "it begins there"
    assert warnings(driver) == {
        B: f"trains on odd, which computes other bits than {HOST}, where {A} trained: they differ in more than the arm"
    }
    driver.now += 100.0
    driver.tell(Tick())
    assert driver.hosts_of() == {"v/0": "odd", "baseline/0": "odd"}
    assert orders(driver)[A].other_bits
    assert warnings(driver) == {A: f"goes on on odd, which computes other bits than {HOST}: from here on it is not bit-exact"}


def test_with_allow_it_goes_on_where_a_slot_is_free_without_a_warning_and_is_marked_all_the_same():
    driver = cut_off(other_hardware="allow")
    driver.join(host="odd", bits=OTHER, cpus=1)
    assert driver.hosts_of() == {"baseline/0": "odd"}
    assert orders(driver)[A].other_bits
    assert warnings(driver) == {}
    driver.train(A, from_step=10)
    driver.tell(HostGone("odd", "?"))
    driver.now += 100.0
    driver.join(host="odd", bits=OTHER, cpus=1, pid=2)
    assert not orders(driver)[A].other_bits, "it went on there before"


def test_the_runs_of_a_seed_are_kept_on_the_class_of_the_first_one_placed():
    driver = DecisionDriver(cpus=1)
    driver.join(host="odd", bits=OTHER, cpus=4)
    driver.submit(seeds=[0, 1])
    assert driver.hosts_of() == {"baseline/0": HOST, "baseline/1": "odd", "v/1": "odd"}


def test_a_seed_stays_on_its_class_after_the_first_run_has_completed():
    driver = DecisionDriver(cpus=1)
    driver.join(host="odd", bits=OTHER, cpus=4)
    driver.submit()
    driver.train(A)
    driver.checkpoint(A, 1000, finished=True)
    driver.tell(c.DrainHost(host=HOST, operator="me@here"))
    driver.exit(A, cause="completed")
    assert driver.hosts_of() == {}
    driver.tell(c.ReopenHost(host=HOST, operator="me@here"))
    assert driver.hosts_of() == {"v/0": HOST}


def test_a_class_on_which_nothing_is_left_binds_no_other_run():
    driver = DecisionDriver(cpus=1)
    driver.join(host="odd", bits=OTHER, cpus=1)
    driver.submit()
    assert driver.hosts_of() == {"baseline/0": HOST}
    driver.tell(GONE)
    assert driver.hosts_of() == {"v/0": "odd"}


def test_a_host_that_was_not_compared_is_a_class_of_its_own_and_stays_that_of_its_runs_once_it_is():
    driver = DecisionDriver(cpus=0)
    driver.join(bits="", cpus=1)
    driver.submit()
    driver.train(A)
    driver.checkpoint(A, 10)
    driver.tell(GONE)
    driver.now += 100.0
    driver.join(host="other", bits="", cpus=4)
    driver.join(host="odd", bits=OTHER, cpus=4)
    assert driver.hosts_of() == {}
    driver.join(bits="c" * 12, cpus=1, pid=2)
    assert driver.hosts_of() == {"baseline/0": HOST}
    assert not orders(driver)[A].other_bits


def test_a_run_waits_for_a_host_with_its_labels_and_a_gpu_if_it_wishes_for_one():
    driver = DecisionDriver(cpus=4)
    driver.submit(hosts={"labels": ["big", "new"]})
    assert driver.hosts_of() == {}
    driver.join(host="big", labels=("big",), gpus=1)
    assert driver.hosts_of() == {}
    driver.join(host="both", labels=("new", "big"), cpus=3)
    assert driver.hosts_of() == {"baseline/0": "both", "v/0": "both"}


def test_a_run_may_wish_for_a_host_with_a_gpu_without_taking_it():
    driver = DecisionDriver(cpus=4)
    driver.submit(hosts={"gpu": True})
    assert driver.hosts_of() == {}
    driver.join(host="gpu", gpus=1, cpus=2)
    assert driver.hosts_of() == {"baseline/0": "gpu", "v/0": "gpu"}
    assert [attempt.gpu for _, attempt in driver.state.attempts()] == [None, None]


def test_wishes_can_be_changed_while_a_run_waits():
    driver = DecisionDriver(cpus=4)
    driver.submit(hosts={"labels": ["bgi"]})
    assert driver.hosts_of() == {}
    driver.submit()
    assert driver.hosts_of() == {"baseline/0": HOST, "v/0": HOST}


def test_other_hardware_can_be_allowed_while_a_run_waits():
    driver = cut_off()
    driver.join(host="odd", bits=OTHER, cpus=4)
    driver.submit(other_hardware="warn")
    assert driver.hosts_of() == {"baseline/0": "odd", "v/0": "odd"}


@pytest.mark.parametrize(
    ("bits", "rule", "given_up"), [(OTHER, "wait", False), (OTHER, "warn", True), ("a" * 12, "wait", True)]
)
def test_a_silent_host_is_given_up_only_if_a_run_of_it_can_go_on_elsewhere_by_its_rule(bits, rule, given_up):
    driver = DecisionDriver(cpus=1)
    driver.submit(max_workers=1, other_hardware=rule)
    driver.train(A)
    driver.checkpoint(A, 10)
    driver.join(host="odd", bits=bits, cpus=1)
    driver.hear("odd", seconds=LOST_SECONDS + 1)
    driver.tell(HostSilent(HOST))
    assert [event.kind for _, event in driver.last.events if event.kind == "HostLost"] == ["HostLost"] * given_up


def test_of_a_silent_host_only_what_is_left_of_it_binds_its_runs():
    """Neither run has left a checkpoint, so both may begin anew anywhere."""
    driver = DecisionDriver(cpus=2)
    driver.submit()
    driver.train(A, B)
    driver.join(host="odd", bits=OTHER, cpus=1)
    driver.hear("odd", seconds=LOST_SECONDS + 1)
    driver.tell(HostSilent(HOST))
    assert driver.said("HostLost")


def test_what_a_host_says_of_its_bits_is_recorded_with_it_and_with_each_attempt():
    driver = DecisionDriver(cpus=1)
    driver.submit()
    assert [event.bits for event in driver.said("AttemptStarted")] == ["a" * 12]
    driver.join(cpus=1, trainers=[(A, 1)], bits=OTHER)
    assert [event.bits for event in driver.said("HostJoined")] == [OTHER]
    driver.join(cpus=1, trainers=[(A, 1)], bits=OTHER, labels=("big",))
    assert [event.labels for event in driver.said("HostJoined")] == [("big",)]
    driver.exit(A, **SIGNALLED)


# --- forks ------------------------------------------------------------------------------------------------------------

FORK = "fork/baseline/0"


def forked(**form):
    """A fork of the baseline at a checkpoint of the local host; that host is gone, and one with other bits is there."""
    driver = cut_off()
    driver.stop("x")
    driver.join(host="odd", bits=OTHER, cpus=4)
    driver.submit(name="fork", origin=origin({0: checkpoint(10)}), **form)
    return driver


def test_a_fork_begins_on_the_class_of_its_origin_and_waits_for_it_beside_free_slots():
    driver = forked()
    assert driver.hosts_of() == {}
    driver.join(host="even", cpus=2)
    assert driver.hosts_of() == {"baseline/0": "even", "v/0": "even"}
    assert not any(order.other_bits for order in orders(driver).values())


def test_a_fork_that_may_begins_on_other_hardware_and_is_marked_and_with_warn_warned_of():
    for rule, warned in (("warn", {FORK, "fork/v/0"}), ("allow", set())):
        driver = forked(other_hardware=rule)
        assert driver.hosts_of() == {"baseline/0": "odd", "v/0": "odd"}
        assert all(order.other_bits for order in orders(driver).values())
        assert warnings(driver).keys() == warned
        driver.train(FORK, from_step=10)
        driver.checkpoint(FORK, 20)
        driver.tell(HostGone("odd", "?"))
        driver.now += 100.0
        driver.join(host="odd", bits=OTHER, cpus=1, pid=2)
        assert not orders(driver)[FORK].other_bits, "it went on there before"


def test_a_fork_is_bound_by_the_class_that_computed_its_checkpoint_and_not_by_where_its_origin_went_later():
    driver = cut_off(step=10, other_hardware="allow")
    driver.join(host="odd", bits=OTHER, cpus=1)
    driver.train(A, from_step=10)
    driver.checkpoint(A, 20)
    driver.stop("x")
    driver.exit(A, cause="stopped")
    driver.submit(name="early", origin=origin({0: checkpoint(10)}))
    assert driver.hosts_of() == {}
    driver.submit(name="late", origin=origin({0: checkpoint(20)}))
    assert driver.hosts_of() == {"baseline/0": "odd"}
    driver.submit(name="again", origin=origin({0: checkpoint(20)}, of=("late", "baseline")), max_workers=1)
    assert driver.run("again/baseline/0").continues_on == OTHER, "of a fork that has not trained, the class is its origin's"
