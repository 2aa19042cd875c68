"""The folder for the Hub, as the libraries of the Hub themselves read it, without a network."""

import hashlib
import json
import shutil

import pytest
from stable_baselines3 import PPO

from lander.cli.main import main
from tests.support.live_home import experiment

pytestmark = pytest.mark.field


@pytest.fixture(scope="module")
def folder(shared_home):
    settings = {"eval_episodes": 3, "training_steps": 256}
    assert shared_home.carry_out(experiment("field", {"n_steps": 64, "batch_size": 32}, **settings))["state"] == "completed"
    assert main(["-q", "export", "field/baseline", "--to", "hub", "--home", str(shared_home.home)]) == 0
    return shared_home.home / "experiments" / "field" / "exports" / "hub-baseline" / "baseline-0"


def test_the_card_is_one_of_an_agent_with_a_result(folder):
    from huggingface_hub import ModelCard

    card = ModelCard.load(folder / "README.md")
    (result,) = card.data.eval_results
    results = json.loads((folder / "results.json").read_text())
    assert result.metric_value == f"{results['mean_reward']:.2f} +/- {results['std_reward']:.2f}"
    assert (result.task_type, result.dataset_name) == ("reinforcement-learning", "CartPole-v1")
    assert card.data.library_name == "stable-baselines3"


def test_the_card_has_the_metadata_that_huggingface_sb3_makes(folder):
    """As `huggingface_sb3.push_to_hub` calls the Hub's library."""
    from huggingface_hub import ModelCardData
    from huggingface_hub.repocard import metadata_eval_result, metadata_load

    results = json.loads((folder / "results.json").read_text())
    value = f"{results['mean_reward']:.2f} +/- {results['std_reward']:.2f}"
    kind, reward, environment = "reinforcement-learning", "mean_reward", "CartPole-v1"
    theirs = metadata_eval_result(
        model_pretty_name="PPO",
        task_pretty_name=kind,
        task_id=kind,
        metrics_pretty_name=reward,
        metrics_id=reward,
        metrics_value=value,
        dataset_pretty_name=environment,
        dataset_id=environment,
    )
    (ours,) = metadata_load(folder / "README.md")["model-index"]
    assert ModelCardData(**{"model-index": [ours]}).to_dict() == ModelCardData(**theirs).to_dict()


def test_the_model_is_called_and_loaded_as_huggingface_sb3_does(folder, tmp_path, monkeypatch):
    from huggingface_hub import constants
    from huggingface_sb3 import EnvironmentName, ModelName, load_from_hub

    name = ModelName("ppo", EnvironmentName("CartPole-v1")).filename
    commit = hashlib.sha1(b"offline").hexdigest()
    cached = tmp_path / "models--user--agent"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text(commit)
    shutil.copytree(folder, cached / "snapshots" / commit)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("TRUST_REMOTE_CODE", "True")
    assert PPO.load(load_from_hub("user/agent", name)).num_timesteps == 256
