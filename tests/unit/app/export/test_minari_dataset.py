"""How an environment is built again from a dataset, or that this is not known."""

import gymnasium
import pytest
from gymnasium.wrappers import TimeLimit
from stable_baselines3.common.atari_wrappers import ClipRewardEnv
from stable_baselines3.common.monitor import Monitor

from lander.app.export.minari import dataset_ids
from lander.app.export.minari_dataset import specification_of
from lander.protocol.errors import UsageError


def test_an_environment_is_built_again_with_its_arguments_and_wrappers_and_is_not_drawn():
    built = TimeLimit(Monitor(gymnasium.make("CartPole-v1", render_mode="rgb_array", sutton_barto_reward=True)), 7)
    again = gymnasium.make(gymnasium.envs.registration.EnvSpec.from_json(specification_of(built).to_json()))
    assert again.unwrapped.render_mode is None
    assert again.unwrapped._sutton_barto_reward
    assert (type(again), again._max_episode_steps) == (TimeLimit, 7)


@pytest.mark.parametrize("wrap", [ClipRewardEnv, lambda env: type(env.unwrapped)()])
def test_what_cannot_be_built_again_from_text_has_no_specification(wrap):
    assert specification_of(wrap(gymnasium.make("CartPole-v1"))) is None


def test_a_dataset_is_called_as_minari_allows():
    assert dataset_ids(["x/a/0", "x/a.b/1", "x/a/task/0"]) == {
        "x/a/0": "x/a/0-v0",
        "x/a.b/1": "x/a_b/1-v0",
        "x/a/task/0": "x/a/task/0-v0",
    }
    with pytest.raises(UsageError, match=r"x/a\.b/0 and x/a_b/0 would both be the dataset x/a_b/0-v0; export them one by one"):
        dataset_ids(["x/a.b/0", "x/a_b/0"])
