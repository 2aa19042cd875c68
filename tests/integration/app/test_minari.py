"""A training as a Minari dataset: its observations are those of a rollout that nobody recorded, or it is left out."""

import re

import gymnasium
import minari
import numpy as np
import pytest

from lander.app.export import minari_dataset
from lander.cli.main import main
from lander.protocol import events as e
from lander.store.log.reader import Reader
from lander.store.records.episodes import episodes_by_number
from lander.store.records.run_record import Record
from tests.integration.app.test_replay import changed, one_bit
from tests.support.interrupted_runs import kill_each, starts
from tests.support.live_home import experiment as live_experiment
from tests.support.random_walks import RenderedWalk
from tests.support.trained_runs import RUN, experiment, log, train, train_and_log

WIND = {"enable_wind": True, "turbulence_power": 1.5}
RESUMED = {"cuts": (200, 150), "how": {"frequency": 256}, "n_envs": 2, "training_steps": 1024}
CASES = {
    "continuous, killed and resumed": ("LunarLander-v3", WIND | {"continuous": True}, RESUMED),
    "normalized": ("Acrobot-v1", {"max_episode_steps": 60}, {"normalize": True, "n_envs": 2}),
    "dict": ("tests.support.random_walks:DictWalk-v0", {}, {"policy": "MultiInputPolicy"}),
    "pictures": ("tests.support.random_walks:ImageWalk-v0", {}, {"training_steps": 128}),
    "multi-discrete": ("tests.support.random_walks:MultiDiscreteWalk-v0", {}, {"n_envs": 2}),
}


class NoisyWalk(RenderedWalk):
    """What is seen has noise from the generator of the process, and the rewards have none."""

    def see(self):
        return super().see() + np.float32(np.random.normal())


gymnasium.register("NoisyWalk-v0", NoisyWalk, max_episode_steps=40)


def export(home, target=RUN):
    return main(["-q", "export", target, "--to", "minari", "--home", str(home)])


def dataset_of(home, monkeypatch, run=RUN):
    directory = home / "experiments" / run.split("/")[0] / "exports" / "-".join(["minari", *run.split("/")[1:]])
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(directory))
    return minari.load_dataset(f"{run}-v0")


def by_env(dataset):
    """The episodes of each environment in the order it played them."""
    found = {}
    metadata = dataset.storage.get_episode_metadata(range(len(dataset)))
    for episode, about in sorted(zip(dataset, metadata, strict=True), key=lambda each: each[1]["first_step"]):
        found.setdefault(int(about["env"]), []).append(episode)
    return found


def flat(observation):
    return np.concatenate([np.ravel(each) for each in observation.values()]) if isinstance(observation, dict) else observation


def at(observations, step):
    return {name: each[step] for name, each in observations.items()} if isinstance(observations, dict) else observations[step]


def assert_is_a_plain_rollout(dataset, environment, kwargs, seed):
    """Play it with Gymnasium alone: only the first reset of an environment has a seed."""
    for index, episodes in by_env(dataset).items():
        env = gymnasium.make(environment, **kwargs)
        for number, episode in enumerate(episodes):
            seen = env.reset(seed=None if number else seed + index)[0]
            for step, action in enumerate(episode.actions):
                np.testing.assert_array_equal(flat(seen), flat(at(episode.observations, step)))
                seen, *results, _ = env.step(action)
                columns = (episode.rewards, episode.terminations, episode.truncations)
                assert results == [column[step] for column in columns]
            np.testing.assert_array_equal(flat(seen), flat(at(episode.observations, len(episode))))
            assert episode.terminations[-1] or episode.truncations[-1]


@pytest.mark.parametrize("case", CASES)
def test_the_dataset_of_a_training_is_a_plain_rollout_with_its_seeds_and_actions(case, tmp_path, monkeypatch):
    environment, kwargs, settings = CASES[case]
    if case == "dict":
        monkeypatch.setattr(minari_dataset, "WAITING_BYTES", 1)  # every episode is written by itself
    words = train_and_log(tmp_path, environment, kwargs, **settings)
    assert export(tmp_path) == 0
    dataset = dataset_of(tmp_path, monkeypatch)
    with Reader(tmp_path) as reader:
        episodes = episodes_by_number(Record(reader, RUN))
    assert len(dataset) == len(episodes) > 1
    said = sum(word.last_step - word.first_step for word in words if isinstance(word, e.StepsRecorded))
    assert ("cuts" in settings) == (said > settings.get("training_steps", 512)), "some of it is superseded"
    assert dataset.total_steps == sum(episode.length for episode in episodes.values())
    assert_is_a_plain_rollout(dataset, environment, kwargs, seed=3)


@pytest.mark.long
def test_the_dataset_of_runs_that_were_killed_is_a_plain_rollout(shared_home, monkeypatch):
    wanted = live_experiment("minari", {"n_steps": 64, "batch_size": 32, "n_envs": 2}, training_steps=8192)
    shared_home.submit(wanted.model_copy(update={"checkpoint_frequency": 256}))
    kill_each(shared_home, wanted)
    assert shared_home.wait_ended("minari")["state"] == "completed"
    assert export(shared_home.home, "minari") == 0
    for run in wanted.runs:
        assert len(starts(shared_home, run.id)) > 1
        monkeypatch.setenv("MINARI_DATASETS_PATH", str(shared_home.home / "experiments" / "minari" / "exports" / "minari"))
        assert_is_a_plain_rollout(minari.load_dataset(f"{run.id}-v0"), "CartPole-v1", {}, seed=run.seed)


def test_the_dataset_says_what_it_is_of(tmp_path, monkeypatch):
    train_and_log(tmp_path, "CartPole-v1", {"sutton_barto_reward": True}, n_envs=2)
    assert export(tmp_path) == 0
    dataset = dataset_of(tmp_path, monkeypatch)
    metadata = dataset.storage.metadata
    assert (metadata["algorithm_name"], metadata["lander"]["run"], metadata["lander"]["seed"]) == ("PPO", RUN, 3)
    assert metadata["lander"]["configuration"]["hyperparameters"]["n_envs"] == 2
    assert metadata["lander"]["recorded_steps"] == 512 > dataset.total_steps
    assert dataset.env_spec.kwargs == {"sutton_barto_reward": True}
    assert dataset.recover_environment().spec.id == "CartPole-v1"
    assert (dataset[0].actions.dtype, dataset[0].infos) == (np.int64, {})


def test_an_episode_that_differs_is_named_and_left_out(tmp_path, monkeypatch, capsys):
    wanted = experiment("CartPole-v1")
    words = train(tmp_path, wanted)
    log(tmp_path, wanted, changed(words, e.StepsRecorded, "rewards", one_bit, 3))
    assert export(tmp_path) == 1
    errors = capsys.readouterr().err
    assert re.fullmatch(rf"lander-ctl: {RUN}: episode 1 differs at step 3 of \d+ in its reward: .*: it is left out\n", errors)
    dataset = dataset_of(tmp_path, monkeypatch)
    assert len(dataset) == sum(isinstance(word, e.EpisodeFinished) for word in words) - 1
    assert dataset.storage.metadata["lander"]["left_out"] == [errors.removeprefix("lander-ctl: ").strip()]


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ("tests.support.random_walks:UnrepeatableWalk-v0", "more than 10 episodes differ, so .* at step 1"),
        (f"{__name__}:NoisyWalk-v0", "more than 10 episodes differ, .*: its environment draws from random generators that its"),
    ],
)
def test_a_run_that_cannot_be_observed_again_has_no_dataset(tmp_path, capsys, environment, complaint):
    train_and_log(tmp_path, environment)
    capsys.readouterr()
    assert export(tmp_path) == 1
    assert re.fullmatch(rf"lander-ctl: {RUN}: {complaint}.*\n", capsys.readouterr().err)
    assert not (tmp_path / "experiments" / "x" / "exports" / "minari-baseline-3").exists()


def test_a_run_without_an_episode_is_named(tmp_path, capsys):
    train_and_log(tmp_path, "CartPole-v1")
    assert export(tmp_path, "x") == 1
    assert capsys.readouterr().err == "lander-ctl: x/v/3: no episode has finished yet, so it has no dataset\n"
    assert list((tmp_path / "experiments" / "x" / "exports" / "minari" / "x").iterdir())
