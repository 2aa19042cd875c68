"""The decision core by examples: an arm that is added to an experiment that has run."""

from itertools import pairwise

import pytest

from lander.experiments.writing import as_written
from lander.protocol import commands as c
from lander.protocol import events as e
from lander.protocol.code import Code
from lander.supervisor.core.fold import fold
from tests.support.decision_driver import DecisionDriver
from tests.support.histories import checkpoint, experiment, origin
from tests.support.recorded import recorded

A, B, NEW = "x/baseline/0", "x/v/0", "x/w/0"
CAPTURED = Code(archive="0" * 64, modules=("cart",))


def completed(**form):
    driver = DecisionDriver()
    driver.submit(**form)
    for run in list(driver.state.runs):
        driver.train(run)
        driver.checkpoint(run, 1000, finished=True)
        driver.complete(run)
    assert driver.experiment_state() == "completed"
    return driver


def changed(form, **arms):
    """The recorded experiment of this form, with these settings of its arms."""
    written = as_written(experiment(**form))
    for arm in written["arms"]:
        arm |= arms.get(arm["name"], {})
    return recorded(written)


def order_of(driver, run):
    (order,) = [effect.order for effect in driver.last.effects if effect.run == run]
    return order


# --- only the new arm trains ------------------------------------------------------------------------------------------


def test_a_completed_experiment_gets_an_arm_and_only_its_runs_train():
    driver = completed(seeds=[0, 1])
    before = {run.id: run for run in driver.state.runs_of("x")}
    driver.submit(seeds=[0, 1], variants=("v", "w"))
    assert driver.last.answer == c.Accepted(subject="x", detail="w added, 2 more runs")
    assert driver.kinds() == [
        ("x", "ArmAdded"),
        ("x", "ExperimentResumed"),
        ("x/w/0", "RunQueued"),
        ("x/w/1", "RunQueued"),
        ("x/w/0", "AttemptStarted"),
        ("x/w/1", "AttemptStarted"),
    ]
    after = {run.id: run for run in driver.state.runs_of("x")}
    assert {name: (run.state, run.checkpoints, run.epoch) for name, run in before.items()} == {
        name: (after[name].state, after[name].checkpoints, after[name].epoch) for name in before
    }
    driver.complete("x/w/0", "x/w/1")
    assert driver.experiment_state() == "completed"
    assert driver.submit(seeds=[0, 1], variants=("v", "w")).events == []


def test_an_arm_is_added_while_others_train_and_takes_its_turns():
    driver = DecisionDriver(cpus=1)
    driver.submit(seeds=[0, 1])
    driver.submit(seeds=[0, 1], variants=("v", "w"))
    assert driver.last.answer.detail == "w added, 2 more runs"
    assert driver.started() == []
    order = [run.id for run in sorted(driver.state.runs.values(), key=lambda run: run.place)]
    assert order == [f"x/{arm}/{seed}" for seed in (0, 1) for arm in ("baseline", "v", "w")]
    for run, following in pairwise(order):
        driver.complete(run)
        assert [started for started, *_ in driver.started()] == [following]


def test_what_was_stopped_goes_on_beside_the_new_arm():
    driver = DecisionDriver(cpus=3)
    driver.submit()
    driver.complete(A)
    driver.stop(B)
    driver.exit(B, cause="stopped")
    driver.submit(variants=("v", "w"))
    assert driver.last.answer.detail == "w added, 1 more run: 1 run goes on"
    assert {run for run, *_ in driver.started()} == {B, NEW}


def test_arms_seeds_and_steps_are_added_together():
    driver = completed()
    driver.submit(seeds=[0, 1], training_steps=3000, variants=("v", "w", "u"))
    assert driver.last.answer.detail == "extended, w, u added, 6 more runs: 2 runs go on"
    growth = ["StepsAdded", "SeedsAdded", "ArmAdded", "ArmAdded"]
    assert [kind for _, kind in driver.kinds()[:4]] == growth
    wanted = driver.state.experiments["x"].experiment
    assert [(arm.name, arm.seeds, arm.training_steps) for arm in wanted.arms] == [
        (name, (0, 1), 3000) for name in ("baseline", "v", "w", "u")
    ]


def test_an_archived_experiment_comes_back_with_its_new_arm():
    driver = completed()
    driver.annotate(c.ArchiveExperiment)
    assert driver.state.experiments["x"].annotations.archived
    driver.submit(variants=("v", "w"))
    assert driver.last.answer.detail == "w added, 1 more run"
    assert not driver.state.experiments["x"].annotations.archived


def test_an_arm_that_was_added_is_retried_skipped_and_grows_as_every_other():
    driver = completed()
    driver.submit(variants=("v", "w"), max_retries=0)
    driver.crash(NEW)
    assert driver.run(NEW).state == "failed"
    driver.retry("x/w")
    assert driver.run(NEW).state == "starting"
    driver.ask(c.SkipTarget, "x/w")
    driver.exit(NEW, cause="stopped")
    assert driver.run(NEW).state == "skipped"
    driver.submit(variants=("v", "w"), max_retries=0, seeds=[0, 1])
    assert driver.last.answer.detail == "3 more runs"


# --- what the new arm is ----------------------------------------------------------------------------------------------


def test_an_added_arm_has_the_seeds_and_steps_that_the_experiment_has_by_now():
    """The file was written before they were added."""
    driver = completed()
    driver.submit(seeds=[0, 5], training_steps=2000)
    driver.complete(*(run.id for run in driver.state.runs_of("x") if run.live))
    driver.submit(variants=("v", "w"))
    added = driver.state.experiments["x"].experiment.arm("w")
    assert (added.seeds, added.training_steps) == ((0, 5), 2000)


def test_seeds_and_steps_that_are_the_arms_own_stay():
    driver = completed(seeds=[0, 1])
    driver.submit(changed({"seeds": [0, 1], "variants": ("v", "w")}, w={"seeds": [1, 7], "training_steps": 500}))
    added = driver.state.experiments["x"].experiment.arm("w")
    assert (added.seeds, added.training_steps) == ((1, 7), 500)
    assert driver.last.answer.detail == "w added, 2 more runs"


def test_an_added_arm_has_the_defaults_that_were_recorded():
    """It differs in what is written, and not in what a newer library has for the rest; of another algorithm there are none."""

    def with_gamma(wanted, gamma):
        arms = tuple(arm.model_copy(update={"defaults": {"algorithm": {"gamma": gamma}}}) for arm in wanted.arms)
        return wanted.model_copy(update={"arms": arms})

    driver = DecisionDriver()
    driver.submit(with_gamma(experiment("x"), 0.9))
    driver.complete(A, B)
    more = changed({"variants": ("v", "w", "other")}, w={"hyperparameters": {"n_epochs": 3}}, other={"algorithm": "A2C"})
    driver.submit(with_gamma(more, 0.5))
    wanted = driver.state.experiments["x"].experiment
    assert {arm.name: arm.defaults["algorithm"]["gamma"] for arm in wanted.arms} == {
        "baseline": 0.9,
        "v": 0.9,
        "w": 0.9,
        "other": 0.5,
    }


def test_an_arm_of_a_fork_begins_where_the_fork_begins():
    driver = completed()
    begin = origin({0: checkpoint(1000)})
    driver.submit(name="fork", origin=begin, training_steps=2000)
    driver.complete("fork/baseline/0", "fork/v/0")
    driver.submit(name="fork", origin=begin, training_steps=2000, variants=("v", "w"))
    order = order_of(driver, "fork/w/0")
    assert (order.origin.step, order.checkpoints) == (1000, ())


def test_an_added_arm_trains_on_what_was_captured_or_on_the_new_code_that_is_asked_for():
    now = Code(archive="1" * 64, modules=("cart",))
    for new_code, expected in ((False, CAPTURED), (True, now)):
        driver = DecisionDriver()
        driver.submit(experiment("x").model_copy(update={"code": CAPTURED}))
        driver.complete(A, B)
        wanted = experiment("x", variants=("v", "w")).model_copy(update={"code": now})
        execution = driver.state.experiments["x"].execution
        driver.tell(c.SubmitExperiment(experiment=wanted, execution=execution, manifest={}, new_code=new_code))
        assert order_of(driver, NEW).code == expected
        assert driver.run(A).code == driver.run(B).code == CAPTURED
        assert "the code of cart has changed" in driver.last.answer.detail


def test_an_added_arm_whose_environment_was_not_captured_needs_new_code():
    now = Code(archive="1" * 64, modules=("cart", "pole"))
    driver = DecisionDriver()
    driver.submit(experiment("x").model_copy(update={"code": CAPTURED}))
    wanted = changed({"variants": ("v", "w")}, w={"environment": "pole:Pole-v0"}).model_copy(update={"code": now})
    execution, before = driver.state.experiments["x"].execution, driver.state
    driver.tell(c.SubmitExperiment(experiment=wanted, execution=execution, manifest={}))
    assert driver.last.answer == c.Refused(
        error="configuration",
        detail="w.environment: pole is not in the code that was captured with the experiment; --new-code captures it for the"
        " runs that are added",
    )
    assert (driver.state, driver.last.events) == (before, [])
    driver.tell(c.SubmitExperiment(experiment=wanted, execution=execution, manifest={}, new_code=True))
    assert driver.run(NEW).code == now


# --- in any order, and after any crash --------------------------------------------------------------------------------


def test_the_order_of_the_variants_in_the_file_does_not_matter():
    driver = completed(variants=("v", "w"))
    driver.submit(variants=("w", "u", "v"))
    assert driver.last.answer.detail == "u added, 1 more run"
    assert [arm.name for arm in driver.state.experiments["x"].experiment.arms] == ["baseline", "v", "w", "u"]
    driver.complete("x/u/0")
    assert driver.submit(variants=("u", "w", "v")).events == []


def test_whoever_folds_the_log_knows_the_added_arm():
    driver = completed()
    before = driver.state
    driver.submit(variants=("v", "w"))
    recorded_events = [
        e.Recorded(0, stream, e.SUPERVISOR, 0, e.microseconds(driver.wall), event) for stream, event in driver.last.events
    ]
    assert fold(recorded_events, before) == driver.state


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (
            changed({"variants": ("v", "w")}, v={"hyperparameters": {"gamma": 0.5}}),
            "x: an experiment with this id exists and differs in v.hyperparameters.gamma;",
        ),
        (
            experiment("x", variants=("w",), device="cuda"),
            "x: found without the arm v, and with w; an arm is never taken away, since each one that was tried counts: write it"
            " into the file, too, or go on without the file by lander-ctl run x; lander-ctl skip x/v leaves out what of it has"
            " not completed",
        ),
        (experiment("x", variants=("w",)), "x: w is the arm that it has as v; an arm keeps its name"),
        (
            recorded(
                {
                    "experiment_id": "x",
                    "arms": [
                        {**arm, "role": role}
                        for arm, role in zip(
                            reversed(as_written(experiment("x"))["arms"]), ("baseline", "variant"), strict=True
                        )
                    ],
                }
            ),
            "x: its baseline is baseline, found v; an experiment keeps its baseline, so choose another --experiment-id",
        ),
    ],
    ids=["an arm that exists", "a missing arm", "another name", "another baseline"],
)
def test_what_is_no_addition_is_refused_with_the_next_step(asked, words):
    driver = completed()
    before = driver.state
    driver.submit(asked)
    assert driver.last.answer.error == "conflict"
    assert driver.last.answer.detail.startswith(words)
    assert (driver.state, driver.last.events, driver.last.effects) == (before, [], [])


def test_more_arms_than_one_event_can_hold_are_refused_however_they_come():
    """Each arm alone would fit into the event that adds it, but nobody could say the experiment once more, as `verify` does."""
    note = {"note": "x" * 61_000}
    driver = DecisionDriver()
    form = {"algorithm": "PPO", "environment": "CartPole-v1", "training_steps": 1000, "seeds": [0], "experiment_id": "x"}
    variants = {f"v{number}": {"environment_kwargs": note} for number in range(17)}
    few = dict(list(variants.items())[:2])
    driver.submit(recorded(form | {"baseline": {"environment_kwargs": note}, "variants": few}))
    before = driver.state
    driver.submit(recorded(form | {"baseline": {"environment_kwargs": note}, "variants": variants}))
    assert "more than one event can hold" in driver.last.answer.detail
    assert (driver.state, driver.last.events) == (before, [])
