"""The decision core by examples: from which checkpoints an attempt may continue, and which are superseded."""

from lander.protocol import events as e
from lander.supervisor.core.decide import Tick
from tests.support.decision_driver import DecisionDriver

A = "x/baseline/0"


def a_crash_later(*steps, from_step=0):
    """A run that wrote checkpoints at these steps, and is started again."""
    driver = DecisionDriver()
    driver.submit(max_retries=99)
    driver.train(A, from_step=from_step)
    driver.checkpoint(A, *steps)
    return crash(driver)


def crash(driver):
    driver.crash(A)
    driver.now += 100.0
    driver.tell(Tick())
    return driver


def test_an_attempt_is_offered_the_last_checkpoints_the_latest_first():
    assert a_crash_later().offered()[A] == []
    assert a_crash_later(10).offered()[A] == [10]
    assert a_crash_later(10, 20, 30, 40).offered()[A] == [40, 30, 20]


def test_an_order_carries_what_the_experiment_says_of_checkpoints():
    driver = DecisionDriver()
    driver.submit(checkpoint_frequency=77)
    assert {effect.order.checkpoint_frequency for effect in driver.last.effects} == {77}


def test_what_lies_beyond_where_an_attempt_continues_is_superseded_when_its_training_starts():
    driver = a_crash_later(10, 20, 30)
    crash(driver)
    assert driver.offered()[A] == [30, 20, 10]  # that attempt died before its training began: it has superseded nothing
    driver.train(A, from_step=20)
    driver.checkpoint(A, 25)
    assert crash(driver).offered()[A] == [25, 20, 10]


def test_an_attempt_that_began_anew_supersedes_everything():
    driver = a_crash_later(10, 20)
    driver.train(A, from_step=0)
    assert crash(driver).offered()[A] == []


def test_a_checkpoint_written_twice_at_one_step_is_one_checkpoint():
    driver = DecisionDriver()
    driver.submit()
    driver.train(A)
    driver.checkpoint(A, 10, 20)
    driver.checkpoint(A, 20, finished=True)
    (last, first) = driver.run(A).checkpoints
    assert (last.finished, last.step, first.step) == (True, 20, 10)


def test_the_last_words_of_an_attempt_count_though_its_end_was_noted_first():
    driver = DecisionDriver()
    driver.submit()
    driver.train(A)
    driver.crash(A)
    driver.checkpoint(A, 10, epoch=1)
    driver.now += 100.0
    driver.tell(Tick())
    assert driver.offered()[A] == [10]


def test_an_old_attempt_adds_nothing_once_the_next_one_trains():
    driver = a_crash_later(10)
    driver.train(A, from_step=10)
    driver.checkpoint(A, 15, epoch=1)
    driver.word(A, e.TrainingStarted(epoch=1, pid=1, n_envs=1, device="cpu"), epoch=1)
    assert [each.step for each in driver.run(A).checkpoints] == [10]


def test_what_checkpoints_took_is_added_up_over_all_attempts():
    driver = DecisionDriver()
    driver.submit()
    driver.train(A)
    driver.checkpoint(A, 10, 20, written_bytes=100)
    crash(driver)
    driver.train(A)
    driver.checkpoint(A, 5, written_bytes=1)
    assert driver.run(A).written_bytes == 201
