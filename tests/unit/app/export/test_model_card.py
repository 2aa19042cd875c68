"""The model card: metadata that the Hub reads, and numbers with what they are based on."""

import re

import pytest
import yaml

from lander.app.export.hub import model_file
from lander.app.export.model_card import Agent, Recorded, model_card
from lander.protocol.events import EvaluationFinished
from lander.protocol.experiment import RunKey
from tests.support.recorded import recorded

FORM = {"experiment_id": "x", "hypothesis": "```\n# not mine", "environment": "CartPole-v1", "algorithm": "PPO"}
ARM = recorded(FORM | {"training_steps": 1000, "seeds": [0, 1], "baseline": {}, "variants": {"v": {}}}).baseline


def evaluation(*returns):
    return EvaluationFinished(step=1000, first_seed=7, returns=returns, lengths=tuple(1 for _ in returns), final=True)


def agent(**changes):
    own, other = evaluation(1.0, 3.0), evaluation(10.0, 10.0)
    runs = [Recorded(RunKey("x", "baseline", seed), "completed", final) for seed, final in enumerate((own, other))]
    settings = {
        "run": runs[0].run,
        "arm": ARM,
        "environment": "CartPole-v1",
        "which": "final",
        "step": 1000,
        "interruptions": "",
        "file": "ppo-CartPole-v1.zip",
        "normalized": False,
        "evaluation": own,
        "evaluations": 4,
        "runs": runs,
        "without_film": "",
    }
    return Agent(**settings | changes)


def test_the_metadata_are_those_of_huggingface_sb3():
    head = yaml.safe_load(model_card(agent()).split("---\n")[1])
    assert head["library_name"] == "stable-baselines3"
    assert {"CartPole-v1", "reinforcement-learning", "stable-baselines3"} < set(head["tags"])
    (result,) = head["model-index"][0]["results"]
    assert result["dataset"] == {"name": "CartPole-v1", "type": "CartPole-v1"}
    assert result["metrics"] == [{"type": "mean_reward", "value": "2.00 +/- 1.00", "name": "mean_reward", "verified": False}]


def test_the_numbers_are_given_with_their_seeds_and_those_of_every_other_training():
    card = model_card(agent())
    assert "over 2 episodes without exploration, with the seeds 7 to 8" in card
    assert "It is one of 2 trainings" in card
    assert "| 0 (this) | completed | 2.00 | 2 |\n| 1 | completed | 10.0 | 2 |" in card
    assert "Over 2 seeds: mean 6.00, standard deviation 5.66." in card
    assert "One seed says nothing" in model_card(agent(runs=agent().runs[:1]))
    assert "best of 4 evaluations" not in card
    assert "best of 4 evaluations in the same episodes" in model_card(agent(which="best"))
    assert "There is no film: it cannot be drawn" in model_card(agent(without_film="it cannot be drawn"))


def test_a_card_says_how_statistics_are_loaded_and_what_was_interrupted():
    assert "vec_normalize.pkl" not in model_card(agent())
    assert 'load_from_hub("USER/NAME", "vec_normalize.pkl")' in model_card(agent(normalized=True))
    assert "It was interrupted." in model_card(agent(interruptions="It was interrupted."))


def test_no_value_of_a_configuration_ends_its_block():
    card = model_card(agent(arm=ARM.model_copy(update={"environment_kwargs": {"a": "```\n# heading"}, "defaulted": ()})))
    assert re.search(r"^````+yaml$", card, re.MULTILINE)


@pytest.mark.parametrize(
    ("environment", "name"),
    [("ALE/Pong-v5", "ppo-ALE-Pong-v5.zip"), ("ale_py:ALE/Pong-v5", "ppo-ALE-Pong-v5.zip"), ("a:B-v0", "ppo-B-v0.zip")],
)
def test_a_model_is_called_as_the_agents_of_the_hub(environment, name):
    assert model_file("PPO", environment) == name
