"""A folder from anywhere: what it names is refused unless it is well known, and nothing in it is unpickled."""

import json
import os
import sys

import numpy as np
import pytest

from lander.actors.sb3.class_loading import ClassError, load
from lander.app.export.folder_code import named_code
from lander.app.export.hub_folder import About, as_arrays, as_plain, evaluated_folder, read_about
from lander.protocol.errors import NotFoundError, UsageError
from tests.unit.app.export.test_model_card import ARM

ABOUT = About(
    format=1,
    run="x/baseline/0",
    seed=0,
    step=1000,
    which="final",
    model="ppo-CartPole-v1.zip",
    sha256="0" * 64,
    arm=ARM,
    evaluation_environment=None,
    evaluation_episodes=3,
    normalization={},
)


def written(folder, **changes):
    form = json.loads(ABOUT.model_dump_json())
    arm = form["arm"] | changes.pop("arm", {})
    (folder / "lander.json").write_text(json.dumps(form | {"arm": arm} | changes))
    return folder


def test_a_folder_is_read_back(tmp_path):
    assert read_about(written(tmp_path)) == ABOUT
    cached = tmp_path / "cached"  # as the Hub's library keeps files: links to where their bytes are
    cached.mkdir()
    (cached / "lander.json").symlink_to(tmp_path / "lander.json")
    assert read_about(cached) == ABOUT


@pytest.mark.parametrize(
    "arm",
    [
        {"environment": "mine:Env-v0"},
        {"hyperparameters": {"wrappers": [{"os:system": {}}]}},
        {"hyperparameters": {"wrappers": ["./mine.py:Wrapper"]}},
        {"hyperparameters": {"policy_kwargs": {"features_extractor_class": "mine.sub:Extractor"}}},
        {"hyperparameters": {"wrappers": ["subprocess.Popen"]}},
        {"environment_kwargs": {"of": ["mine:function"]}},
        {"algorithm_class": "mine:Algorithm"},
        {"algorithm_class": "torch:save"},
        {"defaults": {"lander": {"wrappers": [{"torch:save": {}}]}}},
        {"defaults": {"policy": {"features_extractor_class": "torch:save"}}},
    ],
)
def test_a_folder_that_names_code_of_its_own_is_refused(tmp_path, arm):
    with pytest.raises(UsageError, match="well-known packages"):
        read_about(written(tmp_path, arm=arm))


def test_well_known_packages_and_ordinary_values_are_no_code_of_its_own(tmp_path):
    hyperparameters = {"wrappers": [{"gymnasium.wrappers:TimeLimit": {}}, "rl_zoo3.wrappers.HistoryWrapper", "AtariWrapper"]}
    arm = {
        "environment": "ale_py:ALE/Pong-v5",
        "environment_kwargs": {"xml_file": "ant.xml"},
        "hyperparameters": hyperparameters,
    }
    assert read_about(written(tmp_path, arm=arm)).arm.environment == "ale_py:ALE/Pong-v5"
    assert list(named_code({"learning_rate": "lin_0.001", "n": [1, None, 2.5]})) == []


@pytest.mark.parametrize(
    "hyperparameters",
    [
        {"policy_kwargs": {"features_extractor_class": "torch:save", "features_extractor_kwargs": {"f": "VICTIM"}}},
        {"wrappers": [{"torch:save": {"f": "VICTIM"}}]},
        {"wrappers": [{"gymnasium.wrappers:RecordVideo": {"video_folder": "VICTIM"}}]},
        {"wrappers": [{"sb3_contrib.common.utils:quantile_huber_loss": {}}]},
        {"wrappers": [{"sb3_contrib.common.wrappers:Nothing": {}}]},
    ],
)
def test_what_a_well_known_package_has_besides_its_classes_is_not_called(tmp_path, hyperparameters):
    victim = tmp_path / "victim"
    written(tmp_path, arm={"hyperparameters": json.loads(json.dumps(hyperparameters).replace("VICTIM", str(victim)))})
    with pytest.raises(UsageError, match="not among the classes that a folder may name"):
        evaluated_folder(tmp_path, 1)
    assert not victim.exists()


@pytest.mark.parametrize(
    ("arm", "problem"),
    [
        ({"algorithm": "Nothing"}, "arm.algorithm: found 'Nothing'; must be one of PPO"),
        ({"hyperparameters": {"n_steps": -1}}, r"arm\.hyperparameters\.n_steps: found"),
        ({"hyperparameters": {"wrappers": 3}}, r"arm\.hyperparameters\.wrappers: found"),
        ({"hyperparameters": {"policy_kwargs": {"activation_fn": "antigravity"}}}, "activation_fn: found 'antigravity'"),
    ],
)
def test_settings_that_no_experiment_could_have_are_refused(tmp_path, arm, problem):
    with pytest.raises(UsageError, match=problem):
        evaluated_folder(written(tmp_path, arm=arm), 1)


def test_a_module_named_by_a_default_alone_is_not_imported(tmp_path):
    with pytest.raises(ClassError, match="must be MODULE:CLASS"):
        load("antigravity", "policy_kwargs.activation_fn")
    assert "antigravity" not in sys.modules


def test_a_description_that_is_no_file_or_too_long_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "lander.json")
    with pytest.raises(OSError, match="is a FIFO and not a regular file"):
        read_about(tmp_path)
    (tmp_path / "lander.json").unlink()
    with (tmp_path / "lander.json").open("wb") as file:
        file.truncate((64 << 20) + 1)
    with pytest.raises(UsageError, match="more than 67,108,864 bytes"):
        read_about(tmp_path)


@pytest.mark.parametrize(
    "changes", [{"model": "../x.zip"}, {"sha256": "no"}, {"format": 2}, {"evaluation_episodes": 10**9}, {"more": 1}]
)
def test_what_is_no_such_description_is_refused_by_its_field(tmp_path, changes):
    with pytest.raises(UsageError, match=rf"lander\.json: {next(iter(changes))}: "):
        read_about(written(tmp_path, **changes))


def test_a_folder_of_others_is_refused_with_the_reason(tmp_path):
    with pytest.raises(NotFoundError, match="holds no model"):
        read_about(tmp_path)
    (tmp_path / "ppo-CartPole-v1.zip").touch()
    with pytest.raises(UsageError, match="the data of its model is pickled, and nothing is unpickled here"):
        read_about(tmp_path)


def test_statistics_come_back_bit_for_bit():
    statistics = {"mean": np.array([0.1, 1e-300]), "var": np.array([1 / 3, np.nextafter(1, 2)]), "count": 12.0001}
    back = as_arrays(json.loads(json.dumps(as_plain(statistics))))
    assert {name: np.asarray(value).tobytes() for name, value in back.items()} == {
        name: np.asarray(value).tobytes() for name, value in statistics.items()
    }
    assert as_arrays(as_plain({"a": statistics}))["a"]["count"] == 12.0001
    assert as_plain(None) == {}
