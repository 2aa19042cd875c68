"""A folder from anywhere: what it names is refused unless it is well known, and nothing in it is unpickled."""

import json

import numpy as np
import pytest

from lander.app.export.hub_folder import About, as_arrays, as_plain, named_code, read_about
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


@pytest.mark.parametrize(
    "arm",
    [
        {"environment": "mine:Env-v0"},
        {"hyperparameters": {"wrappers": [{"os:system": {}}]}},
        {"hyperparameters": {"wrappers": ["./mine.py:Wrapper"]}},
        {"hyperparameters": {"policy_kwargs": {"features_extractor_class": "mine.sub:Extractor"}}},
        {"hyperparameters": {"wrappers": ["subprocess.Popen"]}},
        {"environment_kwargs": {"of": ["mine:function"]}},
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
