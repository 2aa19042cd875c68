"""What runs cost, from the clocks of those who say so."""

import pytest

from lander.protocol import events as e
from lander.store.log.event_store import batch_of
from lander.store.log.reader import Reader
from lander.store.records.costs import Cost, costs
from tests.support.histories import HOST
from tests.support.written_homes import OTHER, RUN, queued_experiment, write_log

SECOND = 1_000_000


def trained(run, epoch, start, end, last=None):
    """An attempt that trained from `start` to its last word at `end` (seconds), and whose end was noticed at `last`."""
    started = e.TrainingStarted(epoch=epoch, pid=1, n_envs=1, device="cpu")
    yield batch_of(run, e.AttemptStarted(epoch=epoch, host=HOST, cpu=0), at=(start - 5) * SECOND)
    yield batch_of(run, started, at=start * SECOND, producer=epoch)
    yield batch_of(run, e.WarningRaised(message="!"), at=end * SECOND, producer=epoch)
    yield batch_of(run, e.AttemptEnded(epoch=epoch, cause="lost_contact"), at=(last or end) * SECOND)


def sampled(at, *usages, seconds=None):
    trainers = tuple(
        e.TrainerUsage(run=run, epoch=epoch, cpu_percent=percent, memory_mb=1.0, seconds=seconds)
        for run, epoch, percent in usages
    )
    sample = e.ResourcesSampled(cpu_percent=1.0, memory_percent=1.0, memory_mb=1.0, disk_free_mb=1.0, trainers=trainers)
    return batch_of(e.host_stream(HOST), sample, at=at * SECOND)


def cost(home):
    with Reader(home) as reader:
        return costs(reader, "x")


def test_every_attempt_costs_the_time_from_its_start_to_its_last_word(tmp_path):
    """Also one that was superseded; and not the hours that pass until a lost one is noticed."""
    queued_experiment(tmp_path)
    write_log(tmp_path, *trained(RUN, 1, 100, 160, last=9_000), *trained(RUN, 2, 200, 230), *trained(OTHER, 1, 100, 101))
    assert cost(tmp_path) == {RUN: Cost(90.0, None), OTHER: Cost(1.0, None)}


def test_a_processor_is_paid_for_by_the_measurement_times_the_time_since_the_one_before(tmp_path):
    queued_experiment(tmp_path)
    write_log(tmp_path, *trained(RUN, 1, 100, 110), *trained(RUN, 2, 200, 204))
    write_log(
        tmp_path, sampled(98, (RUN, 1, 100.0)), sampled(102, (RUN, 1, 50.0), (OTHER, 1, 90.0)), sampled(104, (RUN, 1, 100.0))
    )
    write_log(tmp_path, sampled(203, (RUN, 2, 200.0)), sampled(204, (RUN, 3, 99.0), ("no/such/0", 1, 99.0)))
    assert cost(tmp_path)[RUN] == Cost(14.0, pytest.approx(2 * 0.5 + 2 * 1.0 + 3 * 2.0))


def test_a_long_silence_is_no_measurement(tmp_path):
    queued_experiment(tmp_path)
    write_log(tmp_path, *trained(RUN, 1, 100, 1_000), sampled(102, (RUN, 1, 100.0)), sampled(902, (RUN, 1, 100.0)))
    assert cost(tmp_path)[RUN].cpu_seconds == pytest.approx(2 + 10)


def test_what_never_trained_cost_nothing(tmp_path):
    queued_experiment(tmp_path)
    assert cost(tmp_path) == {}


def test_a_measurement_that_says_what_it_covers_needs_no_clock(tmp_path):
    """Not even one that was set back by a day in between."""
    queued_experiment(tmp_path)
    write_log(tmp_path, *trained(RUN, 1, 100_000, 100_010))
    write_log(tmp_path, sampled(100_002, (RUN, 1, 50.0), seconds=2.0), sampled(13_604, (RUN, 1, 100.0), seconds=2.5))
    assert cost(tmp_path)[RUN].cpu_seconds == pytest.approx(2 * 0.5 + 2.5)
