"""`export --to hub`: a folder that Stable-Baselines3 loads, and that `evaluate` plays again without unpickling."""

import json
import shutil
import sys
import zipfile

import numpy as np
import pytest
import torch
import yaml
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecNormalize

from lander.cli.main import main
from lander.store.log.reader import Reader
from lander.store.records.run_record import Record
from tests.support.live_home import experiment
from tests.support.video_reading import read_video

RUN = "hub/baseline/0"
_unpickled: list[str] = []
sys.addaudithook(lambda event, arguments: _unpickled.append(str(arguments)) if event == "pickle.find_class" else None)


@pytest.fixture(scope="module")
def home(shared_home):
    hyperparameters = {"n_steps": 64, "batch_size": 32, "n_epochs": 2, "n_envs": 2, "normalize": True}
    settings = {"eval_frequency": 128, "eval_episodes": 3, "checkpoint_frequency": 128, "training_steps": 256, "seeds": [0, 1]}
    ended = shared_home.carry_out(experiment("hub", hyperparameters, **settings))
    assert ended["state"] == "completed"
    return shared_home.home


@pytest.fixture(scope="module")
def folder(home, tmp_path_factory):
    """That of one run, where it was copied to: there is no home."""
    assert main(["-q", "export", "hub", "--to", "hub", "--home", str(home)]) == 0
    exported = home / "experiments" / "hub" / "exports" / "hub"
    names = {f"{arm}-{seed}" for arm in ("baseline", "variant") for seed in (0, 1)}
    assert {path.name for path in exported.iterdir()} == {*names, "export.json"}
    return shutil.copytree(exported / "baseline-0", tmp_path_factory.mktemp("elsewhere") / "agent")


def recorded(home):
    with Reader(home) as reader:
        return Record(reader, RUN).evaluations()


def evaluate(folder, tmp_path, capsys, *arguments):
    capsys.readouterr()
    code = main(["-q", "evaluate", str(folder), *arguments, "--home", str(tmp_path / "nowhere")])
    return code, *capsys.readouterr()


def test_it_has_the_files_and_names_of_huggingface_sb3(home, folder):
    expected = {"README.md", "config.json", "results.json", "replay.mp4", "vec_normalize.pkl", "lander.json"}
    assert {path.name for path in folder.iterdir()} == {*expected, "ppo-CartPole-v1.zip", "ppo-CartPole-v1"}
    with zipfile.ZipFile(folder / "ppo-CartPole-v1.zip") as archive:
        assert {path.name for path in (folder / "ppo-CartPole-v1").iterdir()} == set(archive.namelist())
    config = json.loads((folder / "config.json").read_text())
    assert (config["num_timesteps"], "Gymnasium" in config["system_info"]) == (256, True)
    results, final = json.loads((folder / "results.json").read_text()), recorded(home)[-1]
    assert (results["mean_reward"], results["std_reward"]) == (final.mean_return, float(np.std(final.returns)))
    assert (results["n_eval_episodes"], results["is_deterministic"]) == (3, True)
    head = yaml.safe_load((folder / "README.md").read_text().split("---\n")[1])
    assert head["model-index"][0]["results"][0]["metrics"][0]["value"].startswith(f"{final.mean_return:.2f} +/- ")
    assert len(read_video(folder / "replay.mp4")[1]) == final.lengths[0] + 1


def test_stable_baselines3_loads_it_and_plays_it_as_it_was_evaluated(home, folder):
    final = recorded(home)[-1]
    env = VecNormalize.load(str(folder / "vec_normalize.pkl"), make_vec_env("CartPole-v1"))
    env.training = env.norm_reward = False
    model = PPO.load(folder / "ppo-CartPole-v1.zip")
    for episode_return, seed in zip(final.returns, range(final.first_seed, final.first_seed + 3), strict=True):
        env.seed(seed)
        assert evaluate_policy(model, env, n_eval_episodes=1, return_episode_rewards=True)[0] == [episode_return]


def test_evaluate_plays_it_again_without_a_home_and_without_unpickling(home, folder, tmp_path, capsys):
    final = recorded(home)[-1]
    _unpickled.clear()
    code, output, errors = evaluate(folder, tmp_path, capsys, "--json")
    assert (code, errors) == (0, "")
    (found,) = json.loads(output)["evaluations"]
    assert (found["run"], found["step"], found["returns"]) == (RUN, 256, list(final.returns))
    assert not [each for each in _unpickled if "torch" not in each and "collections" not in each]
    assert evaluate(folder, tmp_path, capsys, "--episodes", "1")[1].splitlines()[1].split()[2] == "1"
    assert evaluate(folder, tmp_path, capsys, "--at", "last")[0] == 2


def test_a_report_shows_it_beside_the_arms_as_every_run_is_evaluated(home, folder, tmp_path, capsys):
    final = recorded(home)[-1]
    capsys.readouterr()
    before = len(recorded(home))
    assert main(["-q", "report", "hub", "--format", "json", "--beside", str(folder), "--home", str(home)]) == 0
    (found,) = json.loads(capsys.readouterr().out)["published"]
    assert (found["folder"], found["run"], found["step"], found["episodes"]) == ("agent", RUN, 256, 3)
    assert (found["mean"], found["spread"]) == (final.mean_return, float(np.std(final.returns, ddof=1)))
    assert len(recorded(home)) == before
    assert main(["-q", "report", "hub", "--format", "csv", "--beside", str(folder), "--home", str(home)]) == 2
    assert main(["-q", "report", "hub", "--beside", str(tmp_path), "--home", str(home)]) == 3
    assert "holds no model" in capsys.readouterr().err


def test_a_report_refuses_a_policy_of_another_environment(home, folder, tmp_path, capsys):
    copy = shutil.copytree(folder, tmp_path / "copy")
    about = json.loads((copy / "lander.json").read_text())
    about["arm"]["environment"] = "Acrobot-v1"
    (copy / "lander.json").write_text(json.dumps(about))
    assert main(["-q", "report", "hub", "--beside", str(copy), "--home", str(home)]) == 2
    expected = "its policy plays Acrobot-v1, and hub CartPole-v1, so their returns cannot be compared\n"
    assert capsys.readouterr().err.endswith(expected)


def damaged(folder, tmp_path, weights):
    """A copy whose model has other weights, and says that it has."""
    copy = shutil.copytree(folder, tmp_path / "copy")
    model = copy / "ppo-CartPole-v1.zip"
    with zipfile.ZipFile(model, "w") as archive:
        archive.writestr("policy.pth", weights)
    return copy


def described(copy):
    from lander.home.regular_file import sha256_of

    about = json.loads((copy / "lander.json").read_text())
    (copy / "lander.json").write_text(json.dumps(about | {"sha256": sha256_of(copy / "ppo-CartPole-v1.zip")}))
    return copy


def test_other_weights_than_it_describes_are_refused(folder, tmp_path, capsys):
    code, _, errors = evaluate(damaged(folder, tmp_path, b""), tmp_path, capsys)
    assert (code, "is not the model that lander.json describes" in errors) == (2, True)


class Hostile:
    def __reduce__(self):
        return print, ("hostile",)


def test_weights_that_would_have_to_be_unpickled_are_refused(folder, tmp_path, capsys):
    torch.save({"a": Hostile()}, tmp_path / "hostile.pth")
    copy = described(damaged(folder, tmp_path, (tmp_path / "hostile.pth").read_bytes()))
    code, output, errors = evaluate(copy, tmp_path, capsys)
    assert (code, output, "nothing is unpickled" in errors) == (2, "", True)
    assert len(errors.splitlines()) == 1


def test_weights_that_do_not_fit_are_refused(folder, tmp_path, capsys):
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pth")
    copy = described(damaged(folder, tmp_path, (tmp_path / "other.pth").read_bytes()))
    code, _, errors = evaluate(copy, tmp_path, capsys)
    assert (code, "do not fit its configuration" in errors) == (2, True)


def test_the_best_model_is_exported_with_its_own_evaluation(home, tmp_path, capsys):
    output = tmp_path / "best"
    assert main(["-q", "export", RUN, "--to", "hub", "--at", "best", "--output", str(output), "--home", str(home)]) == 0
    best = max(recorded(home), key=lambda each: (each.mean_return, -each.step))
    assert json.loads((output / "baseline-0" / "results.json").read_text())["returns"] == list(best.returns)
    assert "The best model of" in (output / "baseline-0" / "README.md").read_text()
    assert main(["-q", "export", RUN, "--to", "csv", "--at", "best", "--home", str(home)]) == 2


def test_a_run_without_a_model_is_named(shared_home, home, tmp_path, capsys):
    changed = shared_home.model("hub/variant/1")
    before = changed.read_bytes()
    changed.write_bytes(b"other")
    try:
        assert main(["-q", "export", "hub/variant", "--to", "hub", "--output", str(tmp_path / "x"), "--home", str(home)]) == 1
    finally:
        changed.write_bytes(before)
    errors = capsys.readouterr().err
    assert errors == f"lander-ctl: hub/variant/1: {changed} was changed since it was saved\n"
    assert [path.name for path in (tmp_path / "x").glob("variant*")] == ["variant-0"]
