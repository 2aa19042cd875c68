"""What the status tells of a run while it trains, evaluates and waits: from events, at the times of these."""

import contextlib

import pytest

from lander.app import status_text
from lander.protocol import events as e
from lander.store.log.event_store import batch_of
from lander.store.log.reader import DATABASE, Reader
from lander.store.projections.status import status
from lander.store.writers.sqlite_store import SqliteEventStore
from tests.support.histories import checkpoint, experiment, steps, submitted

RUN, TOTAL = "x/baseline/0", 6000
EVALUATED = e.EvaluationFinished(step=6144, first_seed=1, returns=(1.0,), lengths=(1,))
PAUSED = (e.AttemptEnded(epoch=1, cause="paused"), e.RunPaused(reason="operator"))


class Told:
    """Experiments in a store on disk, told event by event; times in seconds."""

    def __init__(self, home, store):
        self.home, self.store = home, store

    async def submit(self, name):
        await self.store.append(batch_of(name, submitted(experiment(name, training_steps=TOTAL)), at=1))

    async def supervisor(self, *events, run=RUN, at=0.0):
        await self.store.append(batch_of(run, *events, at=e.microseconds(at)))

    async def trainer(self, *events, epoch=1, run=RUN, at=0.0):
        await self.store.append(batch_of(run, *events, at=e.microseconds(at), producer=epoch))

    async def attempt(self, epoch=1, from_step=0, run=RUN, at=0.0):
        await self.supervisor(e.AttemptStarted(epoch=epoch, host="local", cpu=1), run=run, at=at)
        began = e.TrainingStarted(epoch=epoch, pid=1, n_envs=2, device="cpu", from_step=from_step, resume="exact")
        await self.trainer(began, epoch=epoch, run=run, at=at)

    def experiments(self, target=None, **how):
        with Reader(self.home) as reader:
            return {each["id"]: each for each in status(reader, target, **how)["experiments"]}

    def shown(self, *names):
        (run,) = self.experiments(RUN)["x"]["runs"]
        return tuple(run[name] for name in names)


@pytest.fixture
async def told(tmp_path):
    store = await SqliteEventStore.open(tmp_path / DATABASE)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(store.close)
        told = Told(tmp_path, store)
        await told.submit("x")
        yield told


async def trained_to_the_end(told):
    await told.attempt()
    await told.trainer(steps(0, 3072), at=30.0)


async def test_steps_beyond_the_last_are_not_100_percent_while_an_evaluation_is_under_way(told):
    await trained_to_the_end(told)
    assert told.shown("step", "phase", "percent", "eta_seconds") == (6144, "finishing", 99.99, None)
    await told.trainer(e.EvaluationStarted(step=6144), at=31.0)
    assert told.shown("state", "phase", "percent", "eta_seconds") == ("running", "evaluating", 99.99, None)
    await told.trainer(EVALUATED, at=60.0)
    assert told.shown("phase", "percent") == ("finishing", 99.99)
    await told.supervisor(e.AttemptEnded(epoch=1, cause="completed"), e.RunCompleted())
    assert told.shown("state", "phase", "percent", "eta_seconds") == ("completed", None, 100.0, None)


async def test_nearly_all_steps_are_not_100_percent(told):
    await told.attempt()
    await told.trainer(steps(0, 2999, n_envs=2), steps(5998, 1, n_envs=1), at=30.0)
    assert told.shown("percent") == (99.98,)


@pytest.mark.parametrize(
    ("steps_done", "seconds", "expected"),
    [
        (400, 4.9, None),
        (400, 5.0, 70.0),
        (280, 20.0, None),
        (300, 20.0, 380.0),
        (280, 60.0, 1217.0),
    ],
)
async def test_no_time_left_is_told_in_the_first_steps(told, steps_done, seconds, expected):
    await told.attempt()
    await told.trainer(steps(0, steps_done // 2), at=seconds)
    assert told.shown("phase", "eta_seconds") == ("training", expected)
    assert told.shown("steps_per_second") == (round(steps_done / seconds, 1),)


async def test_the_first_steps_are_those_of_the_attempt(told):
    await told.attempt()
    await told.trainer(steps(0, 1500), checkpoint(3000), at=30.0)
    await told.supervisor(e.AttemptEnded(epoch=1, cause="crashed"), e.RunQueued(), at=31.0)
    await told.attempt(2, from_step=3000, at=100.0)
    await told.trainer(steps(3000, 10), epoch=2, at=110.0)
    assert told.shown("eta_seconds") == (None,)
    await told.trainer(steps(3020, 90), epoch=2, at=120.0)
    assert told.shown("eta_seconds", "steps_per_second") == (280.0, 10.0)


async def test_no_time_left_is_told_of_what_is_asked_to_end(told):
    await told.attempt()
    await told.trainer(steps(0, 1500), at=30.0)
    await told.supervisor(e.StopRequested(reason="pause"))
    assert told.shown("state", "phase", "eta_seconds") == ("stopping", None, None)


async def test_without_a_supervisor_nothing_is_told_of_what_a_live_run_does_now(told):
    await told.attempt()
    await told.trainer(steps(0, 1500), at=30.0)
    usage = e.TrainerUsage(run=RUN, epoch=1, cpu_percent=99.0, memory_mb=10.0)
    sample = e.ResourcesSampled(cpu_percent=1.0, memory_percent=1.0, memory_mb=1.0, disk_free_mb=1.0, trainers=(usage,))
    await told.supervisor(sample, run=e.host_stream("local"), at=30.0)
    assert told.shown("phase", "eta_seconds") == ("training", 30.0)
    assert told.shown("resources") != (None,)
    left = told.experiments(supervised=False)["x"]
    (run, queued) = left["runs"]
    assert (left["state"], left["phase"], left["summary"]) == ("running", "unsupervised", "unsupervised (1 of 2)")
    assert (run["state"], run["phase"], run["eta_seconds"], run["resources"]) == ("running", "unsupervised", None, None)
    assert (run["step"], run["steps_per_second"]) == (3000, 100.0)
    assert status_text.overall(left) == "25% – 2 runs: 1 unsupervised, 1 queued"
    assert [status_text.state(each) for each in (run, queued)] == ["unsupervised", "queued"]
    await told.supervisor(e.AttemptEnded(epoch=1, cause="crashed"), e.RunQueued(), at=31.0)
    assert told.experiments(supervised=False)["x"]["waiting_for"] == "a supervisor"


async def test_an_evaluation_on_the_way_is_told_until_training_goes_on(told):
    await told.attempt()
    await told.trainer(steps(0, 500), e.EvaluationStarted(step=1000), at=10.0)
    assert told.shown("phase", "eta_seconds") == ("evaluating", None)
    assert told.experiments()["x"]["summary"] == "evaluating (1 of 2)"
    await told.trainer(steps(1000, 1), at=20.0)  # nothing said that it had ended; that training goes on does
    assert told.shown("phase") == ("training",)


async def test_what_was_paused_in_an_evaluation_owes_it(told):
    await trained_to_the_end(told)
    await told.trainer(e.EvaluationStarted(step=6144), checkpoint(6144, finished=True), at=40.0)
    await told.supervisor(*PAUSED)
    assert told.shown("state", "phase", "percent") == ("paused", "owes an evaluation", 99.99)
    assert told.experiments()["x"]["summary"] == "waiting for a slot (1 of 2), 1 paused, 1 owes an evaluation"
    await told.supervisor(e.RunResumed(reason="resumed"))
    assert told.shown("state", "phase") == ("queued", "owes an evaluation")
    await told.attempt(2, from_step=6144, at=50.0)
    assert told.shown("state", "phase") == ("running", "evaluating")
    await told.trainer(EVALUATED, epoch=2, at=60.0)
    assert told.shown("phase") == ("finishing",)


async def test_what_was_killed_in_an_evaluation_trains_to_it_again_and_owes_nothing(told):
    await told.attempt()
    await told.trainer(steps(0, 200), checkpoint(400), steps(400, 300), e.EvaluationStarted(step=1000), at=10.0)
    await told.supervisor(e.AttemptEnded(epoch=1, cause="crashed", signal="SIGKILL"), e.RunQueued())
    assert told.shown("state", "phase") == ("queued", None)
    await told.attempt(2, from_step=400, at=20.0)
    assert told.shown("state", "phase", "step") == ("running", "training", 400)


async def test_what_completed_and_is_to_be_evaluated_with_more_episodes_owes_that(told):
    await trained_to_the_end(told)
    await told.trainer(e.EvaluationStarted(step=6144), EVALUATED, checkpoint(6144, finished=True), at=40.0)
    await told.supervisor(e.AttemptEnded(epoch=1, cause="completed"), e.RunCompleted())
    await told.supervisor(e.RunResumed(reason="extended"))
    assert told.shown("state", "phase", "percent") == ("queued", "owes an evaluation", 99.99)


async def test_an_experiment_waits_for_the_one_that_holds_the_slots_whatever_is_asked_for(told):
    await told.submit("y")
    assert told.experiments()["y"]["summary"] == "waiting for a slot"
    await told.attempt()
    for target in (None, "y", "y/v", "y/v/0"):
        shown = told.experiments(target)["y"]
        assert (shown["state"], shown["waiting_for"], shown["summary"]) == ("queued", "x", "waiting for x")


async def test_of_one_run_the_headline_is_that_of_its_experiment(told):
    await told.attempt()
    whole, of_one = told.experiments("x")["x"], told.experiments("x/v/0")["x"]
    assert [run["id"] for run in of_one["runs"]] == ["x/v/0"]
    assert {**of_one, "runs": []} == {**whole, "runs": []}
    assert whole["summary"] == "running (1 of 2)"
