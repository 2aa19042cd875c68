"""What queued runs are said to wait for: from a log written by hand."""

import pytest

from lander.protocol import events as e
from lander.store.log.event_store import batch_of
from lander.store.log.reader import Reader
from lander.store.projections.status import status
from lander.store.records.run_places import seeds_apart
from lander.store.records.waiting import waiting
from tests.support.histories import checkpoint, origin
from tests.support.written_homes import OTHER, RUN, queued_experiment, write_log

CLASS, ANOTHER = "a" * 12, "b" * 12
AS_FAR = "a host that computes the same bits as far, where"


def joined(name, bits=CLASS, cpus=1, **offer):
    offer = {"gpus": (), "memory_mb": 1.0, "bits": bits, "cpus": tuple(range(cpus))} | offer
    return batch_of(e.host_stream(name), e.HostJoined(pid=1, **offer))


def trained(run=RUN, host="far", bits=CLASS, epoch=1, *, over=True, step=10, **how):
    """An attempt that trained and left a checkpoint."""
    yield batch_of(run, e.AttemptStarted(epoch=epoch, host=host, cpu=0, bits=bits))
    began = e.TrainingStarted(epoch=epoch, pid=1, n_envs=1, device="cpu", **how)
    yield batch_of(run, began, *([checkpoint(step)] if step else []), producer=epoch)
    if over:
        yield batch_of(run, e.AttemptEnded(epoch=epoch, cause="preempted"), e.RunQueued())


def gone(name):
    return batch_of(e.host_stream(name), e.HostLeft())


def told(home):
    with Reader(home) as reader:
        return waiting(reader, "x")


def test_a_run_waits_for_its_class_and_the_other_of_its_seed_with_it(tmp_path):
    queued_experiment(tmp_path)
    write_log(tmp_path, joined("local", ANOTHER, 2), joined("far"), *trained(), gone("far"))
    assert told(tmp_path) == {RUN: f"{AS_FAR} it has trained", OTHER: f"{AS_FAR} {RUN} has trained"}
    with Reader(tmp_path) as reader:
        (shown,) = status(reader)["experiments"]
    assert shown["waiting_for"] == "hosts that fit"
    assert [run["why"] for run in shown["runs"]] == [f"{AS_FAR} it has trained", f"{AS_FAR} {RUN} has trained"]
    write_log(tmp_path, joined("even"))
    assert told(tmp_path) == {}


def test_where_a_drained_host_would_do_it_is_named(tmp_path):
    queued_experiment(tmp_path)
    drained = batch_of(e.host_stream("far"), e.HostDrained(operator="me"))
    write_log(tmp_path, joined("local", ANOTHER, 2), joined("far"), *trained(), drained)
    said = "a host that is not drained: lander-ctl hosts resume gives far runs again"
    assert told(tmp_path) == {RUN: said, OTHER: said}
    write_log(tmp_path, batch_of(e.host_stream("far"), e.HostReopened(operator="me")))
    assert told(tmp_path) == {}


def test_a_fork_waits_for_the_class_of_the_checkpoint_from_which_it_begins(tmp_path):
    queued_experiment(tmp_path)
    more = (joined("odd", ANOTHER), *trained(epoch=2, host="odd", bits=ANOTHER, from_step=10, step=20), gone("odd"))
    write_log(tmp_path, joined("local", "c" * 12, 2), joined("far"), *trained(), *more, gone("far"))
    for name, step, host in (("early", 10, "far"), ("late", 20, "odd")):
        queued_experiment(tmp_path, name=name, origin=origin({0: checkpoint(step)}))
        with Reader(tmp_path) as reader:
            said = f"a host that computes the same bits as {host}, where {RUN} has trained"
            assert waiting(reader, name) == dict.fromkeys((f"{name}/baseline/0", f"{name}/v/0"), said)


def test_if_all_slots_of_its_class_are_taken_it_waits_for_one_of_them(tmp_path):
    queued_experiment(tmp_path)
    write_log(tmp_path, joined("local", ANOTHER, 2), joined("far"), *trained(over=False))
    assert told(tmp_path) == {OTHER: f"a slot on {AS_FAR} {RUN} trains"}


def test_what_left_nothing_behind_binds_nobody(tmp_path):
    queued_experiment(tmp_path)
    write_log(tmp_path, joined("local", ANOTHER, 2), joined("far"), *trained(step=0), gone("far"))
    assert told(tmp_path) == {}


@pytest.mark.parametrize("rule", ["warn", "allow"])
def test_a_run_that_may_go_on_elsewhere_waits_for_no_class(tmp_path, rule):
    queued_experiment(tmp_path, other_hardware=rule)
    write_log(tmp_path, joined("local", ANOTHER, 2), joined("far"), *trained(), gone("far"))
    assert told(tmp_path) == {}


def test_a_host_that_computes_otherwise_by_now_is_said_to_have_done_so(tmp_path):
    queued_experiment(tmp_path)
    write_log(tmp_path, joined("local", CLASS), joined("far"), gone("far"), *trained(host="local"), joined("local", ANOTHER))
    assert told(tmp_path)[RUN] == "a host that computes the same bits as local did, where it has trained"


@pytest.mark.parametrize(
    ("wishes", "device", "said"),
    [
        ({"labels": ["big"]}, "cpu", "a host with the label big"),
        ({"labels": ["new", "big"]}, "cpu", "a host with the labels big, new"),
        ({"gpu": True, "labels": ["big"]}, "cpu", "a host with a GPU and with the label big"),
        ({"gpu": True}, "cpu", "a host with a GPU"),
    ],
)
def test_a_wish_that_no_host_fulfils_is_named_also_where_there_is_one_host(tmp_path, wishes, device, said):
    queued_experiment(tmp_path, hosts=wishes, device=device)
    write_log(tmp_path, joined("local", labels=("small",)))
    assert told(tmp_path) == {RUN: said, OTHER: said}
    write_log(tmp_path, joined("far", labels=("big", "new"), gpus=("GPU",)))
    assert told(tmp_path) == {}


def shown(home):
    with Reader(home) as reader:
        return status(reader)["experiments"][0]["summary"]


def test_while_the_supervisors_own_host_has_yet_to_join_again_a_run_that_fits_it_waits_for_that(tmp_path):
    queued_experiment(tmp_path, seeds=[0, 1])
    local = joined("local", CLASS, 2)
    write_log(tmp_path, local, *trained(host="local"), gone("local"))
    assert shown(tmp_path) == "waiting for host local to join", "also where it is the only one"
    write_log(tmp_path, joined("far", ANOTHER), gone("far"))
    assert set(told(tmp_path).values()) == {"host local to join"}
    write_log(tmp_path, joined("far", ANOTHER))
    assert told(tmp_path) == {RUN: "host local to join", OTHER: "host local to join"}, "the others can go to far"
    write_log(tmp_path, local)
    assert told(tmp_path) == {}


@pytest.mark.parametrize(
    ("settings", "before"),
    [
        ({"hosts": {"labels": ["big"]}}, ()),
        ({}, (batch_of(e.host_stream("local"), e.HostDrained(operator="me@here")),)),
    ],
    ids=["a wish", "drained"],
)
def test_for_the_supervisors_own_host_no_run_waits_that_would_not_begin_there(tmp_path, settings, before):
    queued_experiment(tmp_path, **settings)
    write_log(tmp_path, joined("local", CLASS, 2), joined("far", CLASS), gone("far"), *before, gone("local"))
    assert "host local to join" not in told(tmp_path).values()


def test_a_wish_is_named_also_before_any_host_is_there(tmp_path):
    queued_experiment(tmp_path, hosts={"labels": ["big"]})
    assert told(tmp_path)[RUN] == "a host with the label big"


def test_seeds_of_which_runs_trained_with_different_bits_are_found(tmp_path):
    queued_experiment(tmp_path, seeds=[0, 1])
    write_log(
        tmp_path, *trained(bits=""), *trained("x/v/0", bits=CLASS), *trained("x/baseline/1"), *trained("x/v/1", "odd", ANOTHER)
    )
    with Reader(tmp_path) as reader:
        assert seeds_apart(reader, "x") == [1]


def test_a_run_that_came_from_other_bits_is_apart_from_those_that_trained_where_it_ended(tmp_path):
    queued_experiment(tmp_path, seeds=[0, 1])
    moved = trained(bits=ANOTHER, epoch=2, from_step=10, step=20, resume="other_bits")
    alone = trained("x/baseline/1", bits=ANOTHER, epoch=2, from_step=10, step=20, resume="other_bits")
    write_log(tmp_path, *trained(), *moved, *trained("x/v/0", bits=ANOTHER), *trained("x/baseline/1"), *alone)
    with Reader(tmp_path) as reader:
        assert seeds_apart(reader, "x") == [0]
