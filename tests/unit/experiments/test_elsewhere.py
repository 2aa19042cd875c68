"""What other programs call a setting is refused with what to write in its place, and that exists."""

import gymnasium
import pytest

from lander.experiments import elsewhere as table
from lander.experiments.elsewhere import elsewhere
from lander.experiments.hyperparameter_tables import ALGORITHMS
from lander.experiments.hyperparameters import accepted
from lander.experiments.specification import EXPERIMENT_KEYS
from lander.experiments.spellings import ARM_KEYS

OURS = {*ARM_KEYS, *EXPERIMENT_KEYS, *(name for algorithm in ALGORITHMS for name in accepted(algorithm))}


@pytest.mark.parametrize(
    ("name", "ours"),
    [("env_wrapper", "wrappers"), ("n_stack", "frame_stack"), ("callback", "callbacks"), ("vec_env_cls", "vec_env")],
)
def test_the_refusal_of_a_wrapper_or_a_callback_names_the_way_that_exists(name, ours):
    assert elsewhere(name).startswith(f"; write {ours}: ")
    assert ours in OURS


def test_nothing_that_we_have_is_elsewhere_and_all_that_is_named_exists():
    assert OURS & table._WORDS.keys() == {"n_eval_episodes"}  # ARS has a hyperparameter of this name
    for words in table._WORDS.values():
        for word in words.replace("hyperparameters.", "").split():
            name = word.strip(":;,.").partition(".")[0]
            assert "_" not in name or name.isupper() or name in OURS, name
    assert gymnasium.make("CartPole-v1", max_episode_steps=7).spec.max_episode_steps == 7
    assert elsewhere(7) == elsewhere("gamma") == ""
