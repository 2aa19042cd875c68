"""Files and overrides: what is read, and the one plain line for each thing that is wrong."""

# ruff: noqa: E501 - a table of messages is read best with each beside what provokes it

import json
import math
from copy import deepcopy
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lander.experiments.file_formats import MAX_FILE_BYTES
from lander.experiments.hyperparameter_tables import ALGORITHMS
from lander.experiments.parsing import parse_experiment, read_experiment
from lander.experiments.writing import as_written
from lander.protocol.digests import digest
from lander.protocol.errors import ConfigurationError
from tests.support.recorded import recorded

ALGORITHM = f"one of {', '.join(ALGORITHMS)}"
EXAMPLES = Path(__file__).parents[3] / "examples"
SHORT = {
    "environment": "LunarLander-v3",
    "algorithm": "PPO",
    "training_steps": 1000,
    "seeds": [0, 1],
    "baseline": {"hyperparameters": {"learning_rate": 3e-4, "policy_kwargs": {"net_arch": [64], "ortho_init": False}}},
    "variants": {"fast": {"hyperparameters": {"learning_rate": 1e-3}}, "lr.0.01": {"training_steps": 2000}},
}
SEED = json.loads((EXAMPLES / "seed.json").read_text())
NORMAL = as_written(recorded(SHORT))


def parse(data, *overrides, **options):
    return parse_experiment(data, source="exp.yaml", overrides=overrides, **options)[0]


def refused(data, *overrides, **options):
    with pytest.raises(ConfigurationError) as caught:
        parse(data, *overrides, **options)
    return str(caught.value)


def read_refused(path):
    with pytest.raises(ConfigurationError) as caught:
        read_experiment(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


def settings_of(experiment, field):
    return {arm.name: getattr(arm, field) for arm in experiment.arms}


def hyperparameter_of(experiment, name):
    return {arm.name: arm.hyperparameters.get(name) for arm in experiment.arms}


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(EXAMPLES.iterdir()), ids=lambda path: path.name)
def test_the_examples_are_experiments(path):
    experiment, _ = read_experiment(path)
    assert experiment.runs


def test_the_seeds_file_works_as_it_stands_and_says_what_runs_instead():
    experiment, notices = read_experiment(EXAMPLES / "seed.json")
    assert [run.id for run in experiment.runs] == [
        "ppo_learning_rate_comparison/baseline/42",
        "ppo_learning_rate_comparison/variant/42",
    ]
    assert notices == ("LunarLander-v2 no longer exists in Gymnasium; running LunarLander-v3 in its place",)


def test_json_yaml_and_toml_say_the_same(tmp_path):
    toml = """
    environment = "LunarLander-v3"
    algorithm = "PPO"
    training_steps = 1_000
    seeds = [0, 1]
    [baseline.hyperparameters]
    learning_rate = 3e-4
    policy_kwargs = {net_arch = [64], ortho_init = false}
    [variants.fast.hyperparameters]
    learning_rate = 1e-3
    [variants."lr.0.01"]
    training_steps = 2e3
    """
    texts = {"a.json": json.dumps(SHORT), "a.yaml": yaml.dump(SHORT), "a.YML": yaml.dump(SHORT), "a.toml": toml}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    assert {digest(read_experiment(tmp_path / name)[0]) for name in texts} == {digest(recorded(SHORT))}


def test_a_byte_order_mark_is_no_content(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(SHORT), encoding="utf-8-sig")
    assert read_experiment(tmp_path / "a.json")[0] == recorded(SHORT)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3e-4", 3e-4),
        ("1e5", 1e5),
        ("+1.5E3", 1500.0),
        (".5", 0.5),
        ("100_000", 100_000),
        ("-7", -7),
        ("010", 10),
        ("on", "on"),
        ("no", "no"),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("'3e-4'", "3e-4"),
        ("'true'", "true"),
        ("True", True),
        ("~", None),
        ("", None),
        ("<<", "<<"),
        ("0x1F", "0x1F"),
    ],
)
def test_yaml_scalars_are_what_people_mean(tmp_path, text, value):
    (tmp_path / "a.yaml").write_text(yaml.dump(SHORT) + f"environment_kwargs: {{x: {text}}}\n")
    assert read_experiment(tmp_path / "a.yaml")[0].baseline.environment_kwargs["x"] == value


def test_yaml_keys_are_names_whatever_they_look_like(tmp_path):
    text = yaml.dump({**SHORT, "variants": None}).replace("variants: null", "variants: {on: , 64: , null: }")
    (tmp_path / "a.yaml").write_text(text)
    assert [arm.name for arm in read_experiment(tmp_path / "a.yaml")[0].variants] == ["on", "64", "null"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.json", b"", "is empty"),
        ("a.yaml", b" \n\n", "is empty"),
        ("a.yaml", b"# nothing yet\n", "found nothing; must be a mapping of settings"),
        ("a.yaml", b"\x89PNG\r\n\x1a\n\x00", "is not text: byte 0 is not UTF-8"),
        ("a.yaml", b"a: \x00", "not valid YAML"),
        ("a.json", b"{}" + b" " * MAX_FILE_BYTES, "is larger than 1 MiB"),
        ("a.ini", b"[a]", "found the suffix '.ini'; must be .json, .yaml, .yml or .toml"),
        ("a", b"{}", "found the suffix ''"),
        ("a.json", b'{"a": 1,\n "b" 2}', "line 2: not valid JSON: Expecting ':' delimiter"),
        ("a.yaml", b"a: 1\nb: [1, 2\nc: 3\n", "line 3: not valid YAML"),
        ("a.yaml", b"a: 1\n\tb: 2\n", "line 2: not valid YAML"),
        ("a.yaml", b'a: "\\UFFFFFFFF"', "not valid YAML"),
        ("a.toml", b"a = 1\nb =\n", "line 2: not valid TOML: Invalid value"),
        ("a.toml", b"a = [1", "line 1: not valid TOML: Unclosed array"),
        ("a.toml", b"a = 1\na = 2\n", "line 2: not valid TOML: Cannot overwrite a value"),
        ("a.json", b'{"a": 1, "b": {"seed": 1, "seed": 2}}', "seed: found twice in one mapping; must stand once"),
        ("a.yaml", b"a: 1\nb: {seed: 1, seed: 2}", "line 2: seed: found twice in one mapping; must stand once"),
        ("a.yaml", b"a: &x 1\n", "line 1: found an anchor, an alias or a tag; must be plain data"),
        ("a.yaml", b"a: 1\nb: *x\n", "line 2: found an anchor, an alias or a tag; must be plain data"),
        ("a.yaml", b"!!python/object:os.system {}\n", "line 1: found an anchor, an alias or a tag"),
        ("a.yaml", b"? [a]\n: 1\n", "line 1: found a key that is not plain text; must be a name"),
        ("a.yaml", b"a: 1\n---\nb: 1\n", "found 2 YAML documents; must be one"),
        ("a.json", b"[1, 2]", "found [1, 2]; must be a mapping of settings, such as algorithm: PPO"),
        ("a.yaml", b"PPO", "found 'PPO'; must be a mapping"),
        ("a.json", b"[" * 100_000, "nested too deeply"),
        ("a.yaml", b"[" * 10_000, "nested too deeply"),
        ("a.toml", b"a = " + b"[" * 10_000, "nested too deeply"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_one_line(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    assert words in read_refused(tmp_path / name)


def test_a_file_that_is_not_there(tmp_path):
    assert read_refused(tmp_path / "missing.yaml") == "no such file"
    (tmp_path / "folder.yaml").mkdir()
    assert read_refused(tmp_path / "folder.yaml") == "is a directory; must be a file"


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    (tmp_path / "a.yaml").write_text("a: 1")

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert read_refused(tmp_path / "a.yaml") == "cannot be read: Permission denied"


# --- what is wrong, in the words of the file --------------------------------------------------------------------------


LISTED = "[NAME, {NAME: {ARGUMENT: VALUE}}]"


def changed(**changes):
    return {**deepcopy(SHORT), **changes}


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (changed(hypotesis="x"), "hypotesis: unknown key; did you mean hypothesis?"),
        (changed(learning_rate=1), "learning_rate: unknown key; did you mean hyperparameters.learning_rate?"),
        (changed(baseline={"sede": 1}), "baseline.sede: unknown key; did you mean seed?"),
        (changed(resource_limits={"ram": 1}), "resource_limits.ram: unknown key; must be one of memory_mb, cpu_percent, disk_gb, wall_hours"),
        (changed(resource_limits=8), "resource_limits: found 8; must be a mapping"),
        (changed(env_wrapper="x"), f"env_wrapper: unknown key; write wrappers: {LISTED}"),
        (changed(hyperparameters={"N_Stack": 4}), "hyperparameters.N_Stack: unknown hyperparameter of PPO; write frame_stack: N"),
        (changed(baseline={"vec_env_wrapper": 4}), f"baseline.vec_env_wrapper: unknown key; write vec_wrappers: {LISTED}"),
        (changed(n_envs=4), "n_envs: unknown key; did you mean hyperparameters.n_envs?"),
        (changed(hyperparameters={"policy_kwargs": {"n_envs": 3}}, baseline={}), "hyperparameters.policy_kwargs.n_envs: unknown key; did you mean hyperparameters.n_envs?"),
        (changed(hyperparameters={"training_steps": 4}), "hyperparameters.training_steps: unknown hyperparameter of PPO; it stands beside the hyperparameters, as training_steps"),
        (changed(hyperparameters={"n_timesteps": 4}), "hyperparameters.n_timesteps: unknown hyperparameter of PPO; write training_steps"),
        (changed(max_episode_steps=4), "max_episode_steps: unknown key; write environment_kwargs.max_episode_steps"),
        (changed(algorithm="PP0"), f"algorithm: found 'PP0'; must be {ALGORITHM}; did you mean PPO?"),
        (changed(algorithm="ppo"), f"algorithm: found 'ppo'; must be {ALGORITHM}; did you mean PPO?"),
        (changed(device="gpu"), "device: found 'gpu'; must be cpu, cuda, auto or cuda:N"),
        (changed(on_failure="rerty"), "on_failure: found 'rerty'; must be one of abort, retry, skip; did you mean retry?"),
        (changed(environment=3), "environment: found 3; must be the name of a Gymnasium environment, such as LunarLander-v3, or MODULE:ENV_ID or FILE.py:ENV_ID for yours"),
        (changed(environment_kwargs={"gravity": math.nan}), "environment_kwargs: found nan; must be plain data: text, finite numbers, true, false, lists, mappings"),
        (changed(environment_kwargs=3), "environment_kwargs: found 3; must be a mapping"),
        (changed(hyperparameters={"n_step": 3}), "hyperparameters.n_step: unknown hyperparameter of PPO; did you mean n_steps?"),
        (changed(hyperparameters={"gamma": math.nan}), "hyperparameters.gamma: found nan; must be a number from 0 to 1"),
        (changed(hyperparameters={"policy_kwargs": {"netarch": 3}}, baseline={}), "hyperparameters.policy_kwargs.netarch: unknown key; did you mean net_arch?"),
        (changed(variants={"fast": {"hyperparameters": {"learning_rte": 1}}}), "variants.fast.hyperparameters.learning_rte: unknown hyperparameter of PPO; did you mean learning_rate?"),
        (changed(variants={"fast": {"hyperparameters": 3}}), "variants.fast.hyperparameters: found 3; must be a mapping"),
        (changed(training_steps=-5), "training_steps: found -5; must be a whole number above 0"),
        (changed(training_steps="many"), "training_steps: found 'many'; must be a whole number above 0"),
        (changed(training_steps=math.nan), "training_steps: found nan; must be a whole number above 0"),
        (changed(training_steps="x" * 500), "training_steps: found 'xxxxxxxxxxxxxxxxx...xxxxxxxxxxxxxxxxxx'; must be a whole number above 0"),
        (changed(variants={"fast": {"training_steps": 0}}), "variants.fast.training_steps: found 0; must be a whole number above 0"),
        (changed(seeds=[]), "seeds: found no seeds; must be 1 to 10000, such as [0, 1, 2]"),
        (changed(seeds=[1, 2, 1]), "seeds: found seed 1 2 times; must stand once"),
        (changed(seeds=7), "seeds: found 7; must be like 0-6 for 7 seeds, or [7] for seed 7 alone"),
        (changed(seeds=[0, -1]), "seeds[1]: found -1; must be a whole number from 0 to 4294967295"),
        (changed(variants={"fast": {"seed": 1.5}}), "variants.fast.seed: found 1.5; must be a whole number from 0 to 4294967295"),
        ({**{k: v for k, v in SHORT.items() if k != "seeds"}, "seed": 1, "variants": {"fast": {"seeds": [-1]}}}, "variants.fast.seeds[0]: found -1; must be a whole number from 0 to 4294967295"),
        (changed(variants={"baseline": {}}), "variants: found 2 arms called baseline; must have names that differ"),
        (changed(variants={"a/b": {}}), "variants.a/b: found 'a/b'; must be 1 to 64 letters, digits, '.', '_' or '-', no '..', beginning with a letter or digit"),
        (changed(variants={f"v{number}": {} for number in range(1000)}), "variants: found 1001 arms; must be at most 1000"),
        (changed(variants=["fast"]), "variants: found ['fast']; must be a mapping"),
        (changed(experiment_id="a/b"), "experiment_id: found 'a/b'; must be 1 to 64 letters, digits, '.', '_' or '-', no '..', beginning with a letter or digit"),
        (changed(experiment_id=".."), "experiment_id: found '..'; must be 1 to 64 letters, digits, '.', '_' or '-', no '..', beginning with a letter or digit"),
        (changed(baseline_config={}), "baseline: does not go together with baseline_config; use one of the two"),
        ({**SEED, "baseline_config": {**SEED["baseline_config"], "algorithm": "TD4"}}, f"baseline_config.algorithm: found 'TD4'; must be {ALGORITHM}; did you mean TD3?"),
        ({key: SEED[key] for key in SEED if key != "variant_config"}, "variant_config: missing; must be a complete configuration"),
        ({key: SHORT[key] for key in SHORT if key != "seeds"}, "seeds: missing; must be 1 to 10000 seeds, such as [0, 1, 2]"),
        ({**NORMAL, "arms": [{**NORMAL["arms"][0], "role": "base"}, *NORMAL["arms"][1:]]}, "arms[0].role: found 'base'; must be one of baseline, variant; did you mean baseline?"),
        ({**NORMAL, "arms": [*NORMAL["arms"], NORMAL["arms"][1]]}, "arms: found 2 arms called fast; must have names that differ"),
        ({**SHORT, 7: 1}, "[7]: found 7; must be text, as every key"),
    ],
)  # fmt: skip
def test_every_problem_is_one_line_that_names_the_field_as_written(data, line):
    assert refused(data) == f"exp.yaml: {line}"


def test_several_problems_are_several_lines_and_never_endless():
    assert len(refused(changed(training_steps=0, seeds=[])).splitlines()) == 2
    assert refused(changed(**{f"x{number}": 1 for number in range(50_000)})).splitlines()[20:] == ["exp.yaml: and more"]


def test_no_message_breaks_the_terminal():
    assert refused(changed(**{"a\x1b[2J\n": 1})).startswith("exp.yaml: a\\x1b[2J\\n: unknown key")
    assert refused(changed(**{"\ud800": 1})) == "exp.yaml: found '\\ud800'; must be plain data"
    assert len(refused(changed(**{"x" * 100_000: 1}))) < 2000


# --- overrides --------------------------------------------------------------------------------------------------------


def test_a_setting_without_an_arm_changes_every_arm_wherever_it_was_written():
    everywhere = {"baseline": 20_000, "fast": 20_000, "lr.0.01": 20_000}
    assert settings_of(parse(SHORT, "training_steps=20_000"), "training_steps") == everywhere
    assert settings_of(parse(SEED, "training_steps=2048"), "training_steps") == {"baseline": 2048, "variant": 2048}
    assert settings_of(parse(NORMAL, "training_steps=2e4"), "training_steps") == everywhere
    rates = hyperparameter_of(parse(SHORT, "hyperparameters.learning_rate=1e-2"), "learning_rate")
    assert set(rates.values()) == {1e-2}
    assert settings_of(parse(SEED, "device=cuda"), "device") == {"baseline": "cuda", "variant": "cuda"}
    assert set(settings_of(parse(SHORT, "algorithm=A2C"), "algorithm").values()) == {"A2C"}


def test_an_arms_name_changes_that_arm():
    fast = hyperparameter_of(parse(SHORT, "fast.hyperparameters.learning_rate=1"), "learning_rate")
    assert fast == {"baseline": 3e-4, "fast": 1.0, "lr.0.01": 3e-4}
    assert parse(SHORT, "variants.fast.training_steps=5").arm("fast").training_steps == 5
    assert parse(SHORT, "lr.0.01.training_steps=5").arm("lr.0.01").training_steps == 5
    assert parse(NORMAL, "fast.training_steps=5").arm("fast").training_steps == 5
    assert parse(NORMAL, "arms[1].training_steps=5").arm("fast").training_steps == 5
    for name in ("variant", "variant_config"):
        changed_seed = parse(SEED, f"{name}.hyperparameters.learning_rate=1e-2")
        assert hyperparameter_of(changed_seed, "learning_rate") == {"baseline": 3e-4, "variant": 1e-2}


def test_variant_means_the_only_variant_whatever_its_name():
    data = changed(variants={"fast": {}})
    assert parse(data, "variant.training_steps=5").arm("fast").training_steps == 5


def test_what_the_baseline_is_told_its_variants_inherit_unless_the_configurations_are_complete():
    assert set(hyperparameter_of(parse(SHORT, "baseline.hyperparameters.gamma=0.5"), "gamma").values()) == {0.5}
    assert parse(SEED, "baseline.hyperparameters.gamma=0.5").arm("variant").hyperparameters.get("gamma") is None


def test_what_surrounds_an_overridden_value_stays():
    inherited = parse(SHORT, "fast.hyperparameters.policy_kwargs.net_arch=[8]")
    assert inherited.arm("fast").hyperparameters["policy_kwargs"] == {"net_arch": [8], "ortho_init": False}
    assert inherited.baseline.hyperparameters["policy_kwargs"] == {"net_arch": [64], "ortho_init": False}
    everywhere = hyperparameter_of(parse(SHORT, "hyperparameters.policy_kwargs.net_arch=[8]"), "policy_kwargs")
    assert list(everywhere.values()) == [{"net_arch": [8], "ortho_init": False}] * 3


def test_later_overrides_win_and_values_are_yaml():
    experiment = parse(
        SHORT,
        "training_steps=5",
        "training_steps=6",
        "fast.training_steps=7",
        "hypothesis=faster, is better",
        "resource_limits.memory_mb=100",
        "environment_kwargs={continuous: true}",
        "hyperparameters.target_kl=null",
        "on_failure=skip",
    )
    assert settings_of(experiment, "training_steps") == {"baseline": 6, "fast": 7, "lr.0.01": 6}
    assert experiment.hypothesis == "faster, is better"
    assert experiment.resource_limits.memory_mb == 100
    assert experiment.baseline.environment_kwargs == {"continuous": True}
    assert experiment.baseline.hyperparameters["target_kl"] is None
    assert experiment.on_failure == "skip"


@pytest.mark.parametrize("override", ["seed=5", "seeds=[5]", "seeds=5-5"])
@pytest.mark.parametrize("data", [SHORT, SEED, NORMAL, changed(variants={"fast": {"seed": 1}})])
def test_seed_and_seeds_override_one_another(data, override):
    assert set(settings_of(parse(data, override), "seeds").values()) == {(5,)}


def test_the_options_of_the_command_line():
    experiment = parse(SEED, seeds="0-2,9", experiment_id="again", checkpoint_frequency=50)
    assert set(settings_of(experiment, "seeds").values()) == {(0, 1, 2, 9)}
    assert (experiment.experiment_id, experiment.checkpoint_frequency) == ("again", 50)
    assert (experiment.eval_frequency, experiment.eval_episodes) == (None, 20)
    evaluated = parse(SEED, "eval_episodes=3", eval_frequency=700, eval_episodes=0)
    assert (evaluated.eval_frequency, evaluated.eval_episodes) == (700, 0)
    assert parse(SHORT, "lr.0.01.seed=3", seeds="7").arm("lr.0.01").seeds == (7,)


def test_the_users_data_is_left_as_it_was():
    before = deepcopy(SHORT)
    parse(SHORT, "fast.hyperparameters.policy_kwargs.net_arch=[8]", "training_steps=3", seeds="3")
    assert before == SHORT


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("training_steps", "training_steps: found no KEY=VALUE; must be like training_steps=20_000"),
        ("=3", "=3: found no KEY=VALUE; must be like training_steps=20_000"),
        ("seed=", "seed=: found no KEY=VALUE; must be like training_steps=20_000"),
        ("a..b=1", "a..b=1: found no KEY=VALUE; must be like training_steps=20_000"),
        ("training_stps=1", "training_stps=1: found no arm or setting called training_stps; did you mean training_steps?"),
        ("fats.training_steps=1", "fats.training_steps=1: found no arm or setting called fats; did you mean fast?"),
        ("variant.training_steps=1", "variant.training_steps=1: found no arm or setting called variant; did you mean variants.fast?"),
        ("qqq=1", "qqq=1: found no arm or setting called qqq; the arms are baseline, variants.fast, variants.lr.0.01, fast, lr.0.01"),
        ("learning_rate=1", "learning_rate=1: found no arm or setting called learning_rate; did you mean hyperparameters.learning_rate?"),
        ("wrapper_class=x", f"wrapper_class=x: found no arm or setting called wrapper_class; write wrappers: {LISTED}"),
        ("n_envs=4", "n_envs=4: found no arm or setting called n_envs; did you mean hyperparameters.n_envs?"),
        ("fast=3", "fast=3: found a whole arm; must name one of its settings, such as fast.training_steps"),
        ("seeds=[1", "seeds=[1: line 1: not valid YAML: expected ',' or ']', but got '<stream end>'"),
        ("training_steps.x=1", "training_steps.x=1: training_steps is 1000; must be a mapping to have x"),
        ("fast.training_steps=x", "variants.fast.training_steps: found 'x'; must be a whole number above 0"),
        ("fast.learning_rate=1", "variants.fast.learning_rate: unknown key; did you mean hyperparameters.learning_rate?"),
        ("hyperparameters.gama=1", "hyperparameters.gama: unknown hyperparameter of PPO; did you mean gamma?"),
        ("fast.hyperparameters.learning_rate.x=1", "fast.hyperparameters.learning_rate.x=1: learning_rate is 0.001; must be a mapping to have x"),
        ("hypothesis.x=1", "hypothesis: found {'x': 1}; must be text"),
    ],
)  # fmt: skip
def test_an_override_that_means_nothing_is_named(override, line):
    assert refused(SHORT, override) == f"exp.yaml: {line}"


def test_options_that_mean_nothing():
    assert refused(SHORT, seeds="zero").startswith("exp.yaml: seeds: found 'zero'; must be seeds and ranges such as 0-4")
    assert refused(SHORT, experiment_id="").startswith("exp.yaml: experiment_id: found ''; must be")
    assert refused(SHORT, checkpoint_frequency=0).startswith("exp.yaml: checkpoint_frequency: found 0; must be")
    assert refused(SHORT, eval_episodes=10_001).endswith(": found 10001; must be a whole number from 0 to 10000")


# --- whatever is thrown at it -----------------------------------------------------------------------------------------

KEYS = st.sampled_from(
    [
        *("arms", "baseline", "variants", "variant", "baseline_config", "variant_config", "seeds", "seed", "algorithm"),
        *("name", "environment", "environment_kwargs", "training_steps", "hyperparameters", "resource_limits", "x"),
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["PPO", "SAC", "0-3"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=3), inner, max_size=4),
    max_leaves=8,
)


def _says_what_is_wrong(act):
    try:
        act()
    except ConfigurationError as error:
        message = str(error)
    else:
        return
    assert message
    assert all(line.isprintable() for line in message.split("\n"))


@pytest.mark.parametrize("suffix", ["json", "yaml", "toml"])
@given(text=st.text() | VALUES.map(lambda value: json.dumps(value)) | VALUES.map(lambda value: yaml.safe_dump(value)))
@example(text="!!bool x")
@example(text="a: !!timestamp x")
@example(text="%YAML 1.99999")
@example(text="1" * 5000)
@example(text="a = " + "1" * 5000)
@example(text='"\\ud800": "\\ud800"')
@settings(max_examples=60, deadline=None)
def test_no_text_raises_anything_but_a_configuration_error(tmp_path_factory, suffix, text):
    path = tmp_path_factory.getbasetemp() / f"any.{suffix}"
    path.write_bytes(text.encode(errors="surrogatepass"))
    _says_what_is_wrong(lambda: read_experiment(path))


@given(data=st.dictionaries(KEYS, VALUES, max_size=6), base=st.sampled_from([{}, SHORT, SEED, NORMAL]))
@settings(max_examples=150, deadline=None)
def test_no_data_raises_anything_but_a_configuration_error(data, base):
    _says_what_is_wrong(lambda: parse({**base, **data}))


@given(key=st.lists(KEYS | st.sampled_from(["fast", "x"]), max_size=4).map(".".join), value=st.text(max_size=8))
@settings(max_examples=150, deadline=None)
def test_no_override_raises_anything_but_a_configuration_error(key, value):
    _says_what_is_wrong(lambda: parse(SHORT, f"{key}={value}"))


@given(steps=st.integers(1, 10**12), base=st.sampled_from([SHORT, SEED, NORMAL]))
@settings(max_examples=30, deadline=None)
def test_an_override_is_what_editing_the_file_would_have_been(steps, base):
    assert set(settings_of(parse(base, f"training_steps={steps}"), "training_steps").values()) == {steps}
    assert parse(base, f"baseline.training_steps={steps}").baseline.training_steps == steps


@pytest.mark.parametrize("data", [SHORT, SEED, NORMAL])
def test_what_was_parsed_parses_to_itself(data):
    experiment = parse(data)
    assert parse_experiment(as_written(experiment), source="again") == (experiment, ())
