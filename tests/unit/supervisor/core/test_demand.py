"""For which runs workers are ordered: for those that the workers of the launcher could take, as far as that is known."""

from hypothesis import given, settings
from hypothesis import strategies as st

from lander.protocol import commands as c
from lander.protocol.code import Code, Package
from tests.support.histories import experiment
from tests.support.launcher_lab import Lab

OTHER = "b" * 12
CODE = Code(packages=(Package(name="mujoco", version="3.1.2", sha256="a" * 64),))
A = "x/baseline/0"


def submit(lab, code=None, mode="parallel", **form):
    lab.submit(experiment(**form).model_copy(update={"code": code}), mode=mode)


def refuse(lab, run):
    """The host of a run lacks what it needs."""
    standing = lab.run(run)
    return lab.tell(
        c.CannotTrain(run=run, epoch=standing.epoch, lack="packages", problem="lacks it", host=standing.attempt.host)
    )


def numbers(lab):
    return [order.number for order in lab.orders()]


def test_no_worker_is_ordered_for_a_run_that_wants_a_label_which_the_workers_are_not_given():
    lab = Lab(labels=("fast",))
    submit(lab, hosts={"labels": ["a100"]}, seeds=range(3))
    assert not lab.orders()
    submit(lab, name="y", hosts={"labels": ["fast"]})
    assert numbers(lab) == [2]
    lab.launch()
    lab.configure(labels=("fast", "a100"))
    assert numbers(lab) == [1], "and three is the most"


def test_no_worker_is_ordered_for_a_run_that_wants_a_gpu_once_a_worker_had_none():
    for wish in ({"device": "cuda"}, {"hosts": {"gpu": True}}):
        lab = Lab()
        submit(lab, **wish)
        assert numbers(lab) == [2]
        for name in lab.launch():
            lab.enrol(name)
        lab.check()
        assert len(lab.ordered) == 1


def test_no_worker_is_ordered_for_a_run_of_another_class_once_a_worker_computed_other_bits_unless_it_may():
    for rule, expected in (("wait", []), ("warn", [1]), ("allow", [1])):
        lab = Lab()
        lab.join(host="gone", cpus=1, bits=OTHER)
        submit(lab, other_hardware=rule)
        lab.train(A)
        lab.checkpoint(A, 10)
        first = lab.launch()
        lab.enrol(first[0])
        lab.leave_host("gone")
        lab.check(1000.0)
        assert numbers(lab) == expected, rule


def test_no_second_worker_is_ordered_for_runs_whose_code_the_first_lacked_and_some_for_others_are():
    lab = Lab(max_workers=8)
    submit(lab, code=CODE, mode="sequential")
    lab.enrol(lab.launch()[0])
    refuse(lab, A)
    assert not lab.check().events
    lab.configure(max_workers=8)
    assert numbers(lab) == [1], "who asks again has it tried again"
    lab.enrol(lab.launch()[0])
    refuse(lab, A)
    submit(lab, name="y", seeds=range(2))
    assert numbers(lab) == [2], "two of four are at the workers that are there"


def test_where_an_engine_has_places_each_is_tried_and_one_that_fits_is_proof():
    lab = Lab(max_workers=2)
    submit(lab, code=CODE, mode="sequential")
    first = lab.launch()[0]
    lab.enrol(first)
    lab.answer(most=2)
    refuse(lab, A)
    assert numbers(lab) == [1]
    second = lab.launch()[0]
    lab.enrol(second)
    assert lab.hosts_of() == {"baseline/0": second}
    lab.train(A)
    assert lab.standing.lacking == {}


def test_in_sequence_workers_are_ordered_for_the_first_run_alone():
    lab = Lab(labels=("fast",))
    submit(lab, mode="sequential", hosts={"labels": ["a100"]}, seeds=range(3))
    assert not lab.orders()


def test_runs_for_which_one_launcher_has_workers_coming_are_not_counted_for_the_next():
    lab = Lab(max_workers=1)
    lab.configure(launcher="other", prefix="other-3f2a")
    submit(lab, seeds=(0, 1, 2))
    assert {order.launcher: order.number for order in lab.orders()} == {"lab": 1, "other": 3}


WISHES = {
    "plain": {},
    "label": {"hosts": {"labels": ["fast"]}},
    "gpu": {"hosts": {"gpu": True}},
    "cuda": {"device": "cuda"},
    "code": {},
}


@settings(max_examples=40, deadline=None)
@given(
    wishes=st.lists(st.tuples(st.sampled_from(sorted(WISHES)), st.integers(1, 2)), min_size=1, max_size=4),
    fast=st.booleans(),
    gpus=st.integers(0, 1),
    lacking=st.booleans(),
    cores=st.integers(1, 3),
    most=st.integers(1, 6),
)
def test_of_an_engine_with_workers_of_one_kind_no_second_one_is_ordered_in_vain(wishes, fast, gpus, lacking, cores, most):
    """Once the kind is known: each run that fits it has a slot, unless there are as many workers as there may be, and each
    worker that was ordered since has had a run.
    """
    labels = ("fast",) if fast else ()
    lab = Lab(max_workers=most, labels=labels, slots=cores)
    for wish, code in (("first", None), ("lacking", CODE)):
        submit(lab, name=wish, code=code)
        settle(lab, cores, gpus, labels, lacking)
    before = {name for name, job in lab.standing.jobs.items() if not job.trained}
    for number, (wish, seeds) in enumerate(wishes):
        code = CODE if wish == "code" else None
        submit(lab, name=f"e{number}", code=code, seeds=range(seeds), **WISHES[wish])
        settle(lab, cores, gpus, labels, lacking)
    fits = {"plain": True, "label": fast, "gpu": gpus > 0, "cuda": gpus > 0, "code": not lacking}
    kinds = {f"e{number}": wish for number, (wish, _) in enumerate(wishes)} | {"first": "plain", "lacking": "code"}
    waiting = [run.id for run in lab.state.runs.values() if run.state == "queued" and fits[kinds[run.experiment]]]
    assert not waiting or len(lab.standing.jobs) == most
    assert before >= {name for name, job in lab.standing.jobs.items() if not job.trained}


def settle(lab, cores, gpus, labels, lacking):
    """Workers join until no more are ordered; runs of the code that they lack are refused."""
    for _ in range(40):
        refused = [run.id for run, _ in lab.state.attempts() if lacking and run.code == CODE]
        if refused:
            refuse(lab, refused[0])
        elif lab.ordered:
            for name in lab.launch(lab.ordered.pop(0)):
                lab.enrol(name, cpus=cores, gpus=gpus, labels=labels)
        else:
            lab.check(100.0)
            if not lab.ordered:
                return
    raise AssertionError("workers are ordered without end")
