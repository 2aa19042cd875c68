"""The log alone tells all: what a run did can be computed from its events, and the status agrees with it."""

from functools import reduce
from operator import add

import numpy as np
import pytest

from lander.protocol.arrays import unpack
from lander.protocol.events import EpisodeFinished, MetricsLogged, Recorded, StepsRecorded
from lander.store.log.reader import Reader
from lander.store.projections.projections import Projections
from tests.support.live_home import experiment


@pytest.fixture(scope="module", params=[1, 3], ids=["one environment", "three environments"])
def recorded(request, shared_home):
    """A finished run of LunarLander, and its live_home."""
    n_envs = request.param
    wanted = experiment(
        f"log-{n_envs}",
        {"n_steps": 256, "n_envs": n_envs, "batch_size": 64, "n_epochs": 2},
        environment="LunarLander-v3",
        training_steps=1536,
        variants={"variant": {"training_steps": 256}},
    )
    shared_home.carry_out(wanted)
    return shared_home, wanted.runs[0].id, n_envs


def steps_of(live_home, run):
    """Every recorded reward and ending, indexed [vector step, environment]; checks that the batches join."""
    batches = live_home.events(run, "StepsRecorded")
    at = 0
    for batch in batches:
        assert isinstance(batch, StepsRecorded)
        assert batch.first_step == at
        at = batch.last_step
    rewards = np.concatenate([unpack(batch.rewards) for batch in batches])
    endings = np.concatenate([unpack(batch.endings) for batch in batches])
    actions = np.concatenate([unpack(batch.actions) for batch in batches])
    return rewards, endings, actions


def test_every_step_is_there(recorded):
    live_home, run, n_envs = recorded
    rewards, endings, actions = steps_of(live_home, run)
    assert rewards.dtype == np.float64
    assert rewards.shape == endings.shape == actions.shape == (1536 // n_envs, n_envs)
    assert set(np.unique(actions)) <= {0, 1, 2, 3}
    assert live_home.run(run)["step"] == rewards.size == 1536


def test_every_return_and_length_is_the_exact_sum_of_its_rewards(recorded):
    live_home, run, n_envs = recorded
    rewards, endings, _ = steps_of(live_home, run)
    episodes = [episode for episode in live_home.events(run, "EpisodeFinished") if isinstance(episode, EpisodeFinished)]
    assert len(episodes) == np.count_nonzero(endings) > 5
    for episode in episodes:
        first = episode.first_step // n_envs
        column = rewards[first : first + episode.length, episode.env]
        assert reduce(add, column.tolist(), 0.0) == episode.episode_return
        assert episode.last_step == (first + episode.length) * n_envs
        flags = endings[first : first + episode.length, episode.env]
        assert flags[-1] == (2 if episode.truncated else 1)
        assert not flags[:-1].any()
        assert (episode.reset_seed is None) == (len(episode.reset_rng) == 37)


def test_the_status_is_what_the_log_says(recorded):
    live_home, run, _ = recorded
    episodes = [episode for episode in live_home.events(run, "EpisodeFinished") if isinstance(episode, EpisodeFinished)]
    status = live_home.run(run)
    assert status["episodes"] == len(episodes)
    assert status["mean_return"] == pytest.approx(np.mean([e.episode_return for e in episodes[-100:]]), rel=1e-12)
    with Reader(live_home.home) as reader:
        kept = reader.episodes(run)
    assert [(e.last_step, e.length, e.episode_return) for e in episodes] == [tuple(e) for e in kept]


def test_sb3s_own_figures_agree(recorded):
    """`rollout/ep_rew_mean` is SB3's mean of the last hundred returns, each rounded to six digits by its Monitor."""
    live_home, run, n_envs = recorded
    metrics = [event for event in live_home.events(run, "MetricsLogged") if isinstance(event, MetricsLogged)]
    assert len(metrics) == 1536 // (256 * n_envs)
    last = metrics[-1]
    returns = [
        episode.episode_return
        for episode in live_home.events(run, "EpisodeFinished")
        if isinstance(episode, EpisodeFinished) and episode.last_step <= last.step
    ]
    assert last.values["rollout/ep_rew_mean"] == pytest.approx(np.mean(returns[-100:]), abs=1e-6)
    assert {"train/loss", "train/learning_rate", "time/fps", "time/total_timesteps"} <= metrics[-1].values.keys()


def test_the_projections_are_what_a_rebuild_gives(recorded):
    """Folding the experiment's events from the first gives the rows that the store has kept up to date."""
    live_home, run, _ = recorded
    name = run.partition("/")[0]
    rebuilt = Projections()
    with Reader(live_home.home) as reader:
        for stored in reader.events(name):
            rebuilt.apply(Recorded(*stored[:4], stored.at, stored.decode()))
        kept = {run: len(reader.episodes(run)) for run in reader.states(name)}
    assert list(rebuilt.rows.experiments) == [name]
    assert kept == {run: row.episodes for run, row in rebuilt.rows.progress.items()}
    assert len(kept) == 2
    assert all(kept.values())
