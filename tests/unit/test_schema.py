"""The JSON Schema says what the parser says: of every example, of wrong files, and of every setting changed alone."""

import json
from copy import deepcopy
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lander.cli.main import main
from lander.experiments.environment_settings import BESIDE_ENVIRONMENT
from lander.experiments.hyperparameter_tables import ALGORITHMS
from lander.experiments.hyperparameters import accepted
from lander.experiments.meanings import MEANINGS
from lander.experiments.parsing import parse_experiment, read_experiment
from lander.experiments.schema import experiment_schema, whole_schema
from lander.experiments.schema_sharing import LEAST
from lander.experiments.specification import ArmSpec, ExperimentSpec, HostsSpec, ResourceLimitsSpec
from lander.protocol.errors import ConfigurationError

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "docs" / "reference" / "experiment.schema.json"
EXAMPLES = sorted((ROOT / "examples").iterdir())
SCHEMA = jsonschema.Draft7Validator(experiment_schema())

SHORT = {
    "environment": "LunarLander-v3",
    "algorithm": "PPO",
    "training_steps": 1000,
    "seeds": [0, 1],
    "baseline": {"hyperparameters": {"learning_rate": 3e-4}},
    "variants": {"fast": {"hyperparameters": {"learning_rate": 1e-3}}},
}
SEED = json.loads((ROOT / "examples" / "seed.json").read_text())
MIXED = {
    "environment": "LunarLander-v3",
    "environment_kwargs": {"continuous": True},
    "training_steps": 1000,
    "seed": 0,
    "hyperparameters": {"buffer_size": 1000},
    "baseline": {"algorithm": "SAC", "hyperparameters": {"ent_coef": "auto"}},
    "variants": {"td3": {"algorithm": "TD3", "hyperparameters": {"policy_delay": 2}}, "same": {}},
}
LISTED = {
    "training_steps": 1000,
    "arms": [
        {"name": "a", "role": "baseline", "algorithm": "DQN", "environment": "CartPole-v1", "seeds": [0]},
        {"name": "b", "role": "variant", "algorithm": "A2C", "environment": "CartPole-v1", "seed": 0},
    ],
}
FILES = {"short": SHORT, "seed": SEED, "mixed": MIXED, "listed": LISTED}
VALUES = (None, True, 0, 1, -1, 0.5, 2.0, "text", "lin_1e-3", "lin_0", "auto", [], [64, 64], {}, {"clip_obs": 5.0}, "0-4")


def allows(data):
    return SCHEMA.is_valid(data)


def parses(data):
    try:
        parse_experiment(data, source="exp.yaml")
    except ConfigurationError:
        return False
    return True


def changed(data, path, value):
    copy = deepcopy(data)
    place = copy
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return copy


def places(data, path=()):
    """Every key that stands in the data, and in each mapping of settings some that do not."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield (*path, key)
            yield from places(value, (*path, key))
        yield (*path, "unknown")
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from places(value, (*path, index))


# --- the committed file ---------------------------------------------------------------------------------------------------


def test_the_committed_schema_is_what_the_command_prints(capsys):
    assert main(["schema"]) == 0
    assert capsys.readouterr().out == COMMITTED.read_text(), "lander-ctl schema > docs/reference/experiment.schema.json"


def test_the_schema_is_a_schema():
    jsonschema.Draft7Validator.check_schema(experiment_schema())


def test_every_setting_has_a_meaning_and_every_meaning_a_setting():
    spellings = {"baseline", "variants", "variant", "baseline_config", "variant_config", "seed", "zoo"}
    settings = {*ExperimentSpec.model_fields, *ArmSpec.model_fields, *ResourceLimitsSpec.model_fields, *HostsSpec.model_fields}
    assert MEANINGS.keys() == settings | spellings | {*BESIDE_ENVIRONMENT}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_hyperparameter_stands_in_the_schema(algorithm):
    written = whole_schema()["definitions"][algorithm]["properties"]
    assert list(written) == list(accepted(algorithm))
    assert list(experiment_schema()["definitions"][algorithm]["properties"]) == list(written), "an editor completes these"
    assert list(written["policy_kwargs"]["properties"]) == list(accepted(algorithm, ("policy_kwargs",)))
    assert all("description" in setting or "properties" in setting for setting in written.values())


def resolved(part, definitions):
    """The schema with what each reference stands for in its place."""
    if isinstance(part, list):
        return [resolved(each, definitions) for each in part]
    if not isinstance(part, dict):
        return part
    name = part.get("$ref", "").removeprefix("#/definitions/")
    if name and name not in ("arm", *ALGORITHMS):
        return resolved(definitions[name], definitions)
    return {key: resolved(value, definitions) for key, value in part.items()}


def test_what_stands_several_times_stands_once_and_means_the_same():
    schema, whole = experiment_schema(), whole_schema()
    own = {name: each for name, each in schema["definitions"].items() if name in ("arm", *ALGORITHMS)}
    assert resolved({**schema, "definitions": own}, schema["definitions"]) == whole
    settings = [each["properties"] for name, each in own.items() if name != "arm"]
    long = [json.dumps(value) for group in settings for value in group.values() if len(json.dumps(value)) >= LEAST]
    assert len(long) == len(set(long))
    assert len(COMMITTED.read_bytes()) < 210_000


@pytest.mark.parametrize("example", [each for each in EXAMPLES if each.suffix == ".yaml"], ids=lambda path: path.name)
def test_the_examples_name_the_schema_for_editors(example):
    first, *_ = example.read_text().splitlines()
    named = first.removeprefix("# yaml-language-server: $schema=")
    assert (example.parent / named).resolve() == COMMITTED


# --- examples and wrong files -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_valid(example):
    assert read_experiment(example)
    loaded = yaml.load(example.read_text(), yaml.BaseLoader) if example.suffix == ".yaml" else json.loads(example.read_text())
    SCHEMA.validate(_as_an_editor_reads(loaded))


def _as_an_editor_reads(data):
    """The scalars of YAML 1.2: `3e-4` is a number, and `100_000` is text."""
    if isinstance(data, dict):
        return {key: _as_an_editor_reads(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_as_an_editor_reads(each) for each in data]
    if data in ("true", "false", "null", ""):
        return {"true": True, "false": False}.get(data)
    if isinstance(data, str) and "_" not in data:
        for number in (int, float):
            try:
                return number(data)
            except ValueError:
                pass
    return data


@pytest.mark.parametrize("name", FILES)
def test_every_spelling_is_valid(name):
    assert parses(FILES[name])
    SCHEMA.validate(FILES[name])


@pytest.mark.parametrize(
    "more",
    [
        {"variants": {}},
        {"wrappers": "TimeLimit"},
        {"wrappers": ["own:Wrapper", {"package.module.Other": {"size": 3}}, {"ClipReward": None}], "frame_stack": 4},
        {"vec_env": "subproc", "monitor_kwargs": {"info_keywords": ["is_success"]}, "device": "cuda:1"},
        {"hyperparameters": {"policy": "own:Policy", "policy_kwargs": {"optimizer_class": "torch.optim.AdamW"}}},
    ],
)
def test_a_baseline_alone_and_classes_are_valid(more):
    assert parses(SHORT | more)
    SCHEMA.validate(SHORT | more)


WRONG = [
    {},
    SHORT | {"algorithm": "PPOO"},
    SHORT | {"algorithms": "PPO"},
    SHORT | {"wrappers": "no such name"},
    SHORT | {"wrappers": [{"TimeLimit": {}, "ClipReward": {}}]},
    SHORT | {"callbacks": [{"own:Callback": 3}]},
    SHORT | {"frame_stack": 0},
    SHORT | {"variants": {"baseline": {}}},
    SHORT | {"variants": {"no spaces": {}}},
    SHORT | {"variants": {"a..b": {}}},
    SHORT | {"experiment_id": "a/b"},
    SHORT | {"seeds": []},
    SHORT | {"seeds": [1, 1]},
    SHORT | {"seeds": "0-"},
    SHORT | {"seed": 3},
    SHORT | {"seeds": [2**32]},
    SHORT | {"training_steps": 0},
    SHORT | {"training_steps": "1000"},
    SHORT | {"training_steps": 1.5},
    SHORT | {"device": "gpu"},
    SHORT | {"on_failure": "ignore"},
    SHORT | {"resource_limits": {"memory": 1}},
    SHORT | {"resource_limits": {"memory_mb": 0}},
    SHORT | {"eval_episodes": 10_001},
    SHORT | {"evaluation_environment": "Cart Pole"},
    SHORT | {"evaluation_environment": {"environment_kwargs": {}}},
    SHORT | {"evaluation_environment": {"environment": "CartPole-v1", "seeds": [0]}},
    SHORT | {"compare_budgets": "yes"},
    SHORT | {"baseline_config": SEED["baseline_config"]},
    SHORT | {"hyperparameters": {"buffer_size": 1000}},
    SHORT | {"hyperparameters": {"clip_range": "lin_"}},
    SHORT | {"hyperparameters": {"clip_range": "lin_-1"}},
    SHORT | {"hyperparameters": {"policy": "Mlp"}},
    SHORT | {"hyperparameters": {"seed": 3}},
    SHORT | {"hyperparameters": {"policy_kwargs": {"net_arch": [0]}}},
    SHORT | {"hyperparameters": {"policy_kwargs": {"net_arch": {"qf": [64]}}}},
    SHORT | {"hyperparameters": {"policy_kwargs": {"activation_fn": "swish"}}},
    SHORT | {"hyperparameters": {"normalize": {"clip": 5.0}}},
    SHORT | {"variants": {"sac": {"algorithm": "SAC", "hyperparameters": {"n_epochs": 4}}}},
    MIXED | {"hyperparameters": {"policy_delay": 2}},
    MIXED | {"variants": {"same": {"hyperparameters": {"policy_delay": 2}}}},
    MIXED | {"baseline": {}},
    MIXED | {"variants": {"noise": {"algorithm": "TD3", "hyperparameters": {"action_noise": {"type": "normal"}}}}},
    {key: value for key, value in SEED.items() if key != "variant_config"},
    LISTED | {"arms": LISTED["arms"][::-1]},
    LISTED | {"variants": {"c": {}}},
    {key: value for key, value in LISTED.items() if key != "training_steps"},
]


@pytest.mark.parametrize("data", WRONG, ids=range(len(WRONG)))
def test_what_the_parser_refuses_is_not_valid(data):
    assert (parses(data), allows(data)) == (False, False)


RIGHT = [
    SHORT | {"evaluation_environment": "CartPole-v1", "compare_budgets": True},
    SHORT | {"evaluation_environment": {"environment": "CartPole-v1", "environment_kwargs": {"x": 1}}},
    SHORT | {"evaluation_environment": {"environment": "CartPole-v1", "environment_kwargs": None}},
    SHORT | {"evaluation_environment": None},
    SHORT | {"experiment_id": None, "eval_frequency": None, "environment_kwargs": None},
    SHORT | {"baseline": None, "hyperparameters": None},
    SHORT | {"seeds": "0-4, 7"},
    SHORT | {"training_steps": 1e5},
    SHORT | {"variant": None, "variants": None},
    SHORT | {"variant": {"seed": 3}},
    SHORT | {"environment": "my_package.lander:Windy-v0"},
    SHORT | {"hyperparameters": {"learning_rate": "lin_7.3e-4", "clip_range": "lin_.2", "normalize": True, "n_envs": 4}},
    SHORT | {"hyperparameters": {"policy_kwargs": {"net_arch": {"pi": [64], "vf": [64]}}, "target_kl": None}},
    SHORT
    | {"variants": {"sac": {"algorithm": "SAC", "hyperparameters": {"train_freq": [1, "episode"], "ent_coef": "auto_0.1"}}}},
]


@pytest.mark.parametrize("data", RIGHT, ids=range(len(RIGHT)))
def test_what_the_parser_reads_is_valid(data):
    assert parses(data)
    SCHEMA.validate(data)


# --- one change at a time ---------------------------------------------------------------------------------------------------


COMPARED_WITH_OTHERS = [("n_steps", 1), ("batch_size", 1), ("optimize_memory_usage", True)]
"""Settings that the parser refuses beside other settings, which no schema of one setting can say."""


@pytest.mark.parametrize("name", FILES)
def test_parser_and_schema_agree_on_every_single_change(name):
    data = FILES[name]
    for path in places(data):
        for value in VALUES:
            other = changed(data, path, value)
            if (path[-1], value) not in COMPARED_WITH_OTHERS:
                assert allows(other) == parses(other), (path, value)


@pytest.mark.parametrize("name", FILES)
def test_parser_and_schema_agree_when_a_setting_is_left_out(name):
    data = FILES[name]
    for path in places(data):
        other = deepcopy(data)
        place = other
        for step in path[:-1]:
            place = place[step]
        if isinstance(place, dict) and path[-1] in place:
            del place[path[-1]]
            assert allows(other) == parses(other), path


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_parser_and_schema_agree_on_every_hyperparameter(algorithm):
    for name in accepted(algorithm):
        for value in VALUES:
            other = SHORT | {"algorithm": algorithm, "baseline": {}, "variants": {"fast": {"hyperparameters": {name: value}}}}
            if (name, value) not in COMPARED_WITH_OTHERS:
                assert allows(other) == parses(other), (name, value)


@given(st.text(max_size=20).map(str.strip), st.sampled_from(["experiment_id", "environment", "algorithm", "device"]))
def test_parser_and_schema_agree_on_text(text, name):
    other = SHORT | {name: text}
    assert allows(other) == parses(other)
