"""The decision core by examples: a host that cannot train a run says so, and the run goes elsewhere, or waits."""

from lander.protocol import commands as c
from lander.protocol import events as e
from lander.protocol.code import Code, Package
from lander.protocol.disk import MIN_FREE_MB
from lander.supervisor.core.decide import HostSilent, Tick
from lander.supervisor.core.disk_room import AGAIN_SECONDS
from lander.supervisor.core.effects import StartAttempt
from lander.supervisor.core.silence import LOST_SECONDS
from tests.support.decision_driver import DecisionDriver
from tests.support.histories import experiment

A, B = "x/baseline/0", "x/v/0"
CODE = Code(packages=(Package(name="mujoco", version="3.1.2", sha256="a" * 64),))
LACKS = "lacks mujoco 3.1.2: pip install mujoco==3.1.2 there, and start its worker again"
OVERDUE = LOST_SECONDS + 1


def driver_with(*hosts, cpus=2):
    driver = DecisionDriver(cpus=0)
    for pid, host in enumerate(hosts, 1):
        driver.join(pid=pid, cpus=cpus, host=host)
    return driver


def submit(driver, code=CODE, alone=False, **form):
    """Two runs, of which the second waits for the first if they are `alone`."""
    driver.submit(experiment(**form).model_copy(update={"code": code}), max_workers=1 if alone else None)


def refuse(driver, run, host="gpu3", lack="packages", epoch=None):
    epoch = driver.run(run).epoch if epoch is None else epoch
    return driver.tell(c.CannotTrain(run=run, epoch=epoch, lack=lack, problem=LACKS, host=host))


def placed(driver):
    """Where the last decision starts runs."""
    return [(each.run, each.host) for each in driver.last.effects if isinstance(each, StartAttempt)]


def test_a_run_that_its_host_cannot_train_goes_to_another_and_nothing_is_held_against_it():
    driver = driver_with("gpu3", "other", cpus=1)
    submit(driver, max_retries=0, alone=True)
    refuse(driver, A)
    assert driver.kinds() == [
        ("host:gpu3", "HostUnfit"),
        (A, "AttemptEnded"),
        (A, "RunQueued"),
        (A, "AttemptStarted"),
    ]
    (ended,) = driver.said("AttemptEnded")
    assert (ended.cause, ended.detail, ended.seconds) == ("host_unfit", f"gpu3 {LACKS}", 0.0)
    assert placed(driver) == [(A, "other")]
    assert (driver.run(A).failures, driver.run(A).epoch) == ((), 2)


def test_a_run_of_the_same_code_is_not_tried_there_and_one_of_other_code_is():
    driver = driver_with("gpu3", cpus=3)
    submit(driver, alone=True)
    refuse(driver, A)
    assert (placed(driver), driver.run(A).state) == ([], "queued")
    submit(driver, name="same")
    assert placed(driver) == []
    submit(driver, code=Code(), name="other")
    assert placed(driver) == [("other/baseline/0", "gpu3"), ("other/v/0", "gpu3")]
    submit(driver, name="elsewhere", environment="Acrobot-v1", alone=True)
    assert placed(driver) == [("elsewhere/baseline/0", "gpu3")], "whether it has that environment is not known"


def test_it_is_asked_again_only_when_its_agent_has_started_anew():
    driver = driver_with("gpu3")
    submit(driver, alone=True)
    refuse(driver, A)
    driver.join(pid=1, host="gpu3")
    driver.now += 1e6
    driver.tell(Tick())
    assert placed(driver) == []
    driver.join(pid=1, host="gpu3", incarnation="another")
    assert placed(driver) == [(A, "gpu3")]


def test_a_supervisor_that_is_restarted_knows_it_still():
    driver = driver_with("gpu3")
    submit(driver, alone=True)
    refuse(driver, A)
    driver.restart()
    driver.tell(Tick())
    assert placed(driver) == []


def test_only_the_host_of_the_attempt_can_say_it_and_only_once():
    driver = driver_with("gpu3", "other", cpus=1)
    submit(driver, alone=True)
    assert refuse(driver, A, host="other").events == []
    refuse(driver, A, epoch=1)
    assert placed(driver) == [(A, "other")]
    assert refuse(driver, A, epoch=1).events == [], "it is repeated until it is noted"
    assert driver.tell(c.CannotTrain(run="nobody/a/0", epoch=1, lack="code", problem="?")).events == []


def test_what_was_asked_to_end_meanwhile_ends_as_it_was_asked():
    driver = driver_with("gpu3")
    submit(driver, alone=True)
    driver.stop(A)
    refuse(driver, A)
    assert driver.run(A).state == "stopped"
    assert [event.cause for event in driver.said("AttemptEnded")] == ["stopped"]


def test_a_slot_on_a_host_that_cannot_train_it_is_no_slot_to_go_to():
    driver = driver_with("gpu3")
    submit(driver, alone=True)
    refuse(driver, A)
    driver.join(pid=9, host="here", cpus=1)
    assert placed(driver) == [(A, "here")]
    driver.train(A)
    driver.hear("gpu3", seconds=OVERDUE)
    assert driver.tell(HostSilent("here")).events == []
    driver.join(pid=10, host="third", cpus=1)
    driver.hear("gpu3", "third")
    assert driver.tell(HostSilent("here")).events != []


def test_a_host_that_is_let_in_anew_is_asked_again():
    driver = driver_with("gpu3")
    driver.fold(e.Recorded(0, "host:gpu3", 0, 0, 1, e.HostEnrolled(public_key="k" * 40, token="t")))
    submit(driver, alone=True)
    refuse(driver, A)
    driver.tell(c.RevokeHost(host="gpu3", operator="me@here"))
    assert (dict(driver.state.unfit), dict(driver.state.without_room)) == ({}, {})


# --- room on the disk -------------------------------------------------------------------------------------------------


def test_a_host_without_room_gets_no_run_for_a_while_and_what_the_wall_clock_says_is_nothing_to_it():
    driver = driver_with("gpu3")
    submit(driver, alone=True)
    refuse(driver, A, lack="disk")
    submit(driver, code=None, name="other", alone=True)
    assert placed(driver) == [], "the disk is full for all"
    driver.clock_error = 1e6
    driver.now += AGAIN_SECONDS - 1
    driver.tell(Tick())
    assert placed(driver) == []
    driver.now += 2
    driver.tell(Tick())
    assert placed(driver) == [(A, "gpu3"), ("other/baseline/0", "gpu3")]
    refuse(driver, A, lack="disk")
    driver.now += AGAIN_SECONDS - 1
    driver.tell(Tick())
    assert placed(driver) == [], "each time anew"


def test_a_host_that_reports_too_little_room_gets_none_until_it_reports_more():
    driver = driver_with("gpu3", "local", cpus=1)
    driver.timers.room.reported("gpu3", MIN_FREE_MB - 1)
    driver.timers.room.reported("local", 0.0)  # the supervisor's disk is its own affair
    submit(driver)
    assert placed(driver) == [(A, "local")]
    driver.timers.room.reported("gpu3", MIN_FREE_MB)
    driver.tell(Tick())
    assert placed(driver) == [(B, "gpu3")]


# --- orders -----------------------------------------------------------------------------------------------------------


def test_an_order_to_another_machine_names_it_and_the_packages_it_must_have():
    driver = driver_with("gpu3", "local", cpus=1)
    submit(driver)
    orders = {each.host: each.order for each in driver.last.effects if isinstance(each, StartAttempt)}
    assert (orders["gpu3"].host, orders["gpu3"].code) == ("gpu3", CODE)
    assert (orders["local"].host, orders["local"].code) == ("", CODE.without_packages())
