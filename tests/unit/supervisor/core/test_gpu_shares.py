"""Shares of GPUs: counted exactly, whatever comes and goes, and packed so that whole GPUs stay free."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lander.protocol import events as e
from lander.supervisor.core.decide import HostGone
from lander.supervisor.core.gpu_shares import Gpu, Rooms, best_fit, left_of, most_left
from lander.supervisor.core.slots import Taken
from tests.support.decision_driver import DecisionDriver
from tests.support.histories import HOST, checkpoint, origin
from tests.support.recorded import recorded

A, B = "x/baseline/0", "x/v/0"
OTHER_GPU = "e" * 12
GPUS = (Gpu(0, "GPU-a", "d", "h+d"), Gpu(1, "GPU-b", "e", "h+e"))
SHARES = st.lists(st.integers(1, 100), max_size=40)


@given(SHARES)
def test_what_is_left_and_what_is_taken_are_one_whole_gpu_always(shares):
    """Runs come, each to the GPU that is chosen for it, and go in the order in which they came when there is no room."""
    taken = []
    for number, share in enumerate(shares):
        while (gpu := best_fit(left_of(GPUS, taken), share)) is None:
            taken.pop(0)
        taken.append(Taken(str(number), 1, number, gpu.id, share))
        left = left_of(GPUS, taken)
        assert {gpu: 100 - sum(each.share for each in taken if each.gpu == gpu.id) for gpu in GPUS} == left
        assert min(left.values()) >= 0


@given(SHARES, st.integers(1, 100))
def test_the_fullest_gpu_that_has_room_is_chosen(shares, share):
    taken = [Taken(str(number), 1, number, GPUS[number % 2].id, each % 20) for number, each in enumerate(shares)]
    left = left_of(GPUS, taken)
    chosen = best_fit(left, share)
    fits = [room for room in left.values() if room >= share]
    assert (chosen and left[chosen]) == (min(fits) if fits else None)
    assert best_fit(left, share, "h+e") in (None, GPUS[1])
    assert best_fit(left, share, "h") == chosen, "the class of a host is that of each GPU there"


@given(
    st.lists(st.tuples(st.integers(0, 3), st.dictionaries(st.sampled_from(["", "h+d"]), st.integers(1, 100)))),
    st.integers(1, 100),
)
def test_the_index_of_rooms_is_what_a_look_at_each_host_says(changes, share):
    rooms, known = Rooms(), {}
    for place, now in changes:
        rooms, known = rooms.moved(place, known.get(place, {}), now), {**known, place: now}
        for key in ("", "h+d"):
            found = sum(1 << each for each, levels in known.items() if levels.get(key, 0) >= share)
            assert rooms.with_room(share, key) == found
    for place in list(known):
        rooms = rooms.moved(place, known[place], {})
    assert rooms == {}


def test_a_gpu_that_is_full_or_was_taken_away_has_no_room():
    assert most_left(left_of(GPUS, [Taken("x", 1, 0, "GPU-a", 100), Taken("y", 1, 1, "GPU-gone", 30)])) == {"": 100, "h+e": 100}
    assert most_left(left_of((), [])) == {}


def on_gpus(*classes, cpus=4, host=HOST, **offer):
    """What a host says that has a GPU of each of these classes."""
    devices = tuple(e.GpuDevice(id=f"GPU-{place}", bits=bits) for place, bits in enumerate(classes))
    return {"host": host, "cpus": cpus, "gpus": len(classes), "devices": devices, **offer}


def where(driver):
    return {run.id: (attempt.host, attempt.gpu_id, attempt.share) for run, attempt in driver.state.attempts()}


def test_several_runs_train_on_one_gpu_and_the_next_waits_for_a_share():
    driver = DecisionDriver(cpus=0)
    driver.join(**on_gpus("d" * 12, cpus=8))
    driver.submit(seeds=[0, 1, 2], device="cuda", hosts={"gpu": 0.3})
    taken = where(driver)
    assert set(taken.values()) == {(HOST, "GPU-0", 30)}
    assert len(taken) == 3
    assert [event.gpu_share for event in driver.said("AttemptStarted")] == [30, 30, 30]
    driver.submit(name="y", device="cuda")
    assert len(where(driver)) == 3
    driver.complete(A)
    assert {run.partition("/")[0] for run in where(driver)} == {"x"}, "y needs all of it"
    assert len(where(driver)) == 3


def test_a_whole_gpu_is_left_for_a_run_that_needs_one():
    driver = DecisionDriver(cpus=0)
    driver.join(**on_gpus("d" * 12, "d" * 12))
    driver.submit(device="cuda", hosts={"gpu": 0.5})
    driver.submit(name="y", seeds=[0], device="cuda")
    assert where(driver) == {
        A: (HOST, "GPU-0", 50),
        B: (HOST, "GPU-0", 50),
        "y/baseline/0": (HOST, "GPU-1", 100),
    }


def test_an_order_names_the_gpu_as_cuda_knows_it_and_its_share():
    driver = DecisionDriver(cpus=0)
    driver.join(**on_gpus("d" * 12))
    driver.submit(device="cuda", hosts={"gpu": 0.25})
    orders = [effect.order for effect in driver.last.effects]
    assert [(order.gpu, order.gpu_id, order.gpu_share) for order in orders] == [(0, "GPU-0", 25)] * 2


def test_a_run_goes_on_on_the_class_of_gpus_where_it_has_trained_and_waits_for_it_beside_others():
    driver = DecisionDriver(cpus=0)
    driver.join(**on_gpus("d" * 12))
    driver.submit(device="cuda", max_workers=1)
    driver.train(A)
    driver.checkpoint(A, 10)
    driver.tell(HostGone(HOST, "?"))
    driver.now += 100.0
    driver.join(**on_gpus(OTHER_GPU, OTHER_GPU, host="odd"))
    assert where(driver) == {}
    driver.join(**on_gpus(OTHER_GPU, "d" * 12, host="even"))
    assert where(driver) == {A: ("even", "GPU-1", 100)}
    assert not driver.last.effects[0].order.other_bits


def test_a_fork_on_the_cpu_keeps_to_the_class_of_the_host_where_its_origin_trained_on_a_gpu():
    driver = DecisionDriver(cpus=0)
    driver.join(**on_gpus("d" * 12))
    driver.submit(device="cuda", max_workers=1)
    driver.train(A)
    driver.checkpoint(A, 10)
    driver.stop("x")
    driver.exit(A, cause="stopped")
    driver.submit(name="fork", origin=origin({0: checkpoint(10)}))
    (begun, *_) = (effect.order for effect in driver.last.effects)
    assert (begun.run, begun.other_bits) == ("fork/baseline/0", False)


def test_a_gpu_of_its_class_is_waited_for_beside_a_free_one_of_another_on_the_same_host():
    driver = DecisionDriver(cpus=0)
    driver.join(**on_gpus("d" * 12, OTHER_GPU))
    driver.submit(device="cuda")
    assert where(driver) == {A: (HOST, "GPU-0", 100)}
    driver.train(A)
    driver.checkpoint(A, 1000, finished=True)
    driver.complete(A)
    assert where(driver) == {B: (HOST, "GPU-0", 100)}


@pytest.mark.parametrize(("rule", "warned"), [("warn", 1), ("allow", 0)])
def test_on_other_gpus_it_goes_on_marked_if_that_is_allowed(rule, warned):
    driver = DecisionDriver(cpus=0)
    driver.join(**on_gpus("d" * 12))
    driver.submit(device="cuda", max_workers=1, other_hardware=rule)
    driver.train(A)
    driver.checkpoint(A, 10)
    driver.tell(HostGone(HOST, "?"))
    driver.now += 100.0
    driver.join(**on_gpus(OTHER_GPU), pid=2)
    assert where(driver) == {A: (HOST, "GPU-0", 100)}
    assert driver.last.effects[0].order.other_bits
    assert [event.message for event in driver.said("WarningRaised")] == [
        f"goes on on {HOST}, which computes other bits than the host before: from here on it is not bit-exact"
    ] * warned


def test_a_run_on_the_cpu_is_not_kept_on_the_gpus_of_its_pair():
    driver = DecisionDriver(cpus=0)
    driver.join(**on_gpus("d" * 12, cpus=1))
    arms = [{"name": "baseline", "role": "baseline", "device": "cuda"}, {"name": "v", "role": "variant"}]
    common = {"algorithm": "PPO", "environment": "CartPole-v1", "training_steps": 1000, "seeds": [0]}
    driver.submit(recorded({"experiment_id": "x", "arms": [common | arm for arm in arms]}))
    assert where(driver) == {A: (HOST, "GPU-0", 100)}
    driver.join(host="plain", cpus=1)
    assert where(driver)[B] == ("plain", "", 0)


def test_a_log_from_before_gpus_had_names_is_read_as_it_was_meant():
    driver = DecisionDriver(cpus=4, gpus=2)
    driver.submit(device="cuda")
    assert [effect.order.gpu_id for effect in driver.last.effects] == ["0", "1"]
    driver.fold(e.Recorded(0, A, 0, 0, 1, e.AttemptEnded(epoch=1, cause="crashed")))
    old = e.AttemptStarted(epoch=2, host=HOST, cpu=10, gpu=1, bits="a" * 12)
    driver.fold(e.Recorded(0, A, 0, 0, 1, e.RunQueued()))
    driver.fold(e.Recorded(0, A, 0, 0, 1, old))
    attempt = driver.run(A).attempt
    assert (attempt.gpu, attempt.gpu_id, attempt.share, attempt.bits) == (1, "1", 100, "a" * 12)
