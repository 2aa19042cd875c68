"""The projections by examples: what of a run counts when several attempts have spoken, and what people are shown of it."""

import contextlib

import pytest

from lander.protocol import events as e
from lander.store.log.event_store import batch_of
from lander.store.log.reader import DATABASE, Reader
from lander.store.projections.status import status
from lander.store.writers.sqlite_store import SqliteEventStore
from tests.support.histories import checkpoint, experiment, steps, submitted

RUN = "x/baseline/0"


class Story:
    """One run of an experiment in a store on disk, told event by event."""

    def __init__(self, home, store):
        self.home, self.store = home, store

    async def supervisor(self, *events):
        await self.store.append(batch_of(RUN, *events, at=1))

    async def trainer(self, epoch, *events):
        await self.store.append(batch_of(RUN, *events, at=1 + epoch, producer=epoch))

    async def attempt(self, epoch, *words, from_step=0, from_episode=0, resume="fresh"):
        """An attempt that trains, and is then killed."""
        await self.supervisor(e.AttemptStarted(epoch=epoch, host="local", cpu=1))
        place = {"from_step": from_step, "from_episode": from_episode, "resume": resume}
        await self.trainer(epoch, e.TrainingStarted(epoch=epoch, pid=epoch, n_envs=1, device="cpu", **place), *words)

    async def killed(self, epoch):
        await self.supervisor(e.AttemptEnded(epoch=epoch, cause="crashed", signal="SIGKILL"), e.RunQueued())

    def status(self):
        with Reader(self.home) as reader:
            return status(reader, RUN)["experiments"][0]["runs"][0]

    def shown(self, *names):
        run = self.status()
        return tuple(run[name] for name in names)

    def returns(self):
        with Reader(self.home) as reader:
            return [episode.episode_return for episode in reader.episodes(RUN)]


@pytest.fixture
async def story(tmp_path):
    store = await SqliteEventStore.open(tmp_path / DATABASE)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(store.close)
        await store.append(batch_of("x", submitted(experiment("x")), at=1))
        yield Story(tmp_path, store)


def episode(last_step, episode_return):
    return e.EpisodeFinished(env=0, first_step=0, last_step=last_step, length=1, episode_return=episode_return)


FIRST = (steps(0, 40, 1), episode(15, 1.0), episode(30, 2.0), checkpoint(20, episodes=1), checkpoint(40, episodes=2))


def at(step):
    return {"step": step, "digest": f"{step:064x}"}


async def test_what_an_attempt_says_is_shown(story):
    await story.attempt(1, *FIRST)
    assert story.shown("step", "episodes", "checkpoint", "resume", "attempt") == (40, 2, at(40), "fresh", 1)
    assert story.returns() == [1.0, 2.0]


async def test_while_the_next_attempt_is_starting_what_was_recorded_stands(story):
    await story.attempt(1, *FIRST)
    await story.killed(1)
    await story.supervisor(e.AttemptStarted(epoch=2, host="local", cpu=1))
    assert story.shown("state", "step", "episodes", "checkpoint", "attempt") == ("starting", 40, 2, at(40), 2)
    assert story.shown("pid", "steps_per_second", "cause") == (None, None, None)
    assert story.returns() == [1.0, 2.0]


async def test_an_attempt_that_never_trained_supersedes_nothing(story):
    await story.attempt(1, *FIRST)
    await story.killed(1)
    await story.supervisor(e.AttemptStarted(epoch=2, host="local", cpu=1))
    await story.killed(2)
    assert story.shown("state", "step", "episodes", "checkpoint") == ("queued", 40, 2, at(40))


async def test_when_its_training_starts_what_lies_beyond_is_superseded(story):
    await story.attempt(1, *FIRST)
    await story.killed(1)
    await story.attempt(2, from_step=20, from_episode=1, resume="exact")
    assert story.shown("step", "episodes", "checkpoint", "resume") == (20, 1, at(20), "exact")
    assert story.returns() == [1.0]
    await story.trainer(2, steps(20, 5, 1), episode(25, 7.0))
    assert story.shown("step", "episodes") == (25, 2)
    assert story.returns() == [1.0, 7.0]


async def test_an_attempt_that_began_anew_supersedes_everything(story):
    await story.attempt(1, *FIRST)
    await story.killed(1)
    await story.attempt(2)
    assert story.shown("step", "episodes", "checkpoint", "resume") == (0, 0, None, "fresh")
    assert story.returns() == []


async def test_the_last_words_of_an_attempt_count_until_the_next_one_trains(story):
    await story.attempt(1, *FIRST)
    await story.killed(1)
    await story.trainer(1, steps(40, 5, 1), checkpoint(45))
    assert story.shown("step", "checkpoint") == (45, at(45))
    await story.attempt(2, from_step=40, from_episode=2, resume="exact")
    await story.trainer(1, steps(45, 50, 1), checkpoint(95), episode(50, 9.0))
    assert story.shown("step", "checkpoint", "episodes") == (40, at(40), 2)


async def test_an_episode_beyond_the_step_does_not_stop_the_writer_whatever_number_a_trainer_gives(story):
    """A trainer's count need not agree with what was recorded."""
    await story.attempt(1, *FIRST)
    await story.killed(1)
    await story.attempt(2, episode(21, 5.0), episode(22, 6.0), from_step=20, from_episode=0)
    assert story.returns() == [5.0, 6.0]


async def test_the_model_of_an_extended_run_is_shown_until_it_trains_again(story):
    model = e.ModelSaved(step=1000, path="m.zip", sha256="s")
    await story.attempt(1, steps(0, 1000, 1), model)
    await story.supervisor(e.AttemptEnded(epoch=1, cause="completed"), e.RunCompleted())
    await story.store.append(batch_of("x", e.StepsAdded(arms=("baseline", "v"), training_steps=4000), at=1))
    await story.supervisor(e.RunResumed(reason="extended"))
    assert story.shown("state", "total_steps", "percent", "cause") == ("queued", 4000, 25.0, None)
    with Reader(story.home) as reader:
        assert reader.models("x") == {RUN: story.home / "m.zip"}
    await story.attempt(2, from_step=1000)
    with Reader(story.home) as reader:
        assert reader.models("x") == {}


@pytest.mark.parametrize("given_up", [e.RunFailed, e.RunSkipped])
async def test_why_no_further_attempt_is_made_is_shown_until_one_is(story, given_up):
    await story.attempt(1)
    ended = e.AttemptEnded(epoch=1, cause="crashed", detail="the traceback")
    await story.supervisor(ended, given_up(cause="crashed", detail="the traceback", why="too often"))
    assert story.shown("cause", "detail", "why") == ("crashed", "the traceback", "too often")
    await story.supervisor(e.RunResumed(reason="resumed"))
    assert story.shown("cause", "detail", "why") == (None, None, None)


async def test_a_store_that_is_opened_again_goes_on_where_it_was(story):
    await story.attempt(1, *FIRST)
    await story.killed(1)
    await story.supervisor(e.AttemptStarted(epoch=2, host="local", cpu=1))
    await story.store.close()
    story.store = await SqliteEventStore.open(story.home / DATABASE)
    try:
        await story.trainer(1, checkpoint(45))
        assert story.shown("checkpoint") == (at(45),)
    finally:
        await story.store.close()
