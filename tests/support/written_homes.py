"""Homes written by hand: a log of what was said, and the checkpoint files it names, without anything having run."""

import asyncio
import hashlib

import numpy as np

from lander.home.layout import artifact_path
from lander.protocol import events as e
from lander.protocol.arrays import pack
from lander.store.log.event_store import batch_of
from lander.store.log.reader import DATABASE
from lander.store.writers.sqlite_store import SqliteEventStore
from tests.support.histories import experiment, submitted

RUN = "x/baseline/0"
OTHER = "x/v/0"


def write_log(home, *batches, groups=None):
    """Append batches to the home's log, each a commit; or groups of batches, each group a commit."""
    home.mkdir(parents=True, exist_ok=True)

    async def write():
        store = await SqliteEventStore.open(home / DATABASE)
        try:
            for group in groups if groups is not None else [[batch] for batch in batches]:
                await store.append(*group)
        finally:
            await store.close()

    asyncio.run(write())


def queued_experiment(home, name="x", **settings):
    """An experiment with two runs that wait."""
    wanted = experiment(name, **settings)
    write_log(home, batch_of(name, submitted(wanted)), *(batch_of(run.id, e.RunQueued()) for run in wanted.runs))
    return wanted


def attempt(epoch, *words, run=RUN, from_step=0, from_episode=0, cause="crashed", resume=None, ended=True):
    """The batches of one attempt: dispatched, trained with these words, ended, and back in the queue."""
    resume = resume or ("exact" if from_step else "fresh")
    start = e.TrainingStarted(
        epoch=epoch, pid=1, n_envs=1, device="cpu", from_step=from_step, from_episode=from_episode, resume=resume
    )
    yield batch_of(run, e.AttemptStarted(epoch=epoch, host="local", cpu=0))
    yield batch_of(run, start, *words, producer=epoch)
    if ended:
        yield batch_of(run, e.AttemptEnded(epoch=epoch, cause=cause))


def steps(first, last, value=0.0, actions=None):
    """Steps of one environment, each reward its own timestep plus `value`."""
    rewards = np.arange(first, last, dtype=np.float64)[:, None] + value
    acted = np.zeros((last - first, 1), np.int64) if actions is None else np.asarray(actions, np.int64)[:, None]
    return e.StepsRecorded(
        first_step=first, actions=pack(acted), rewards=pack(rewards), endings=pack(np.zeros((last - first, 1), np.uint8))
    )


def episode(last_step, episode_return=1.0):
    return e.EpisodeFinished(env=0, first_step=0, last_step=last_step, length=1, episode_return=episode_return)


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def checkpoint(home, step, content="", pages=(), **fields):
    """A checkpoint whose files are in the home; its digest is a function of `content` and step, as its files are."""
    files = [f"{step} {content}".encode(), *(f"page {page}".encode() for page in pages)]
    for each in files:
        path = artifact_path(home, sha256(each))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(each)
    names = [sha256(each) for each in files]
    fields = {"episodes": 0, "digest": names[0], "weights": sha256(content.encode())} | fields
    return e.CheckpointCommitted(step=step, sha256=names[0], pages=tuple(names[1:]), **fields)
