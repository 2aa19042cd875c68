"""Classes in an experiment file: every way to name one, where it may be written, and what of it is recorded and captured."""

import pytest

from lander.app.environment_code import capture
from lander.experiments.file_formats import parse_yaml
from lander.experiments.parsing import parse_experiment
from lander.experiments.writing import as_written, experiment_file
from lander.protocol.digests import digest
from lander.protocol.errors import ConfigurationError
from lander.protocol.named_code import named_code

FORM = {"environment": "CartPole-v1", "algorithm": "PPO", "training_steps": 100, "seeds": [0], "variants": {"b": {}}}
LIMIT = {"max_episode_steps": 9}
ATARI = "stable_baselines3.common.atari_wrappers:AtariWrapper"


def parsed(form, *overrides):
    return parse_experiment(FORM | form, source="exp.yaml", overrides=overrides)[0]


def refused(form, *overrides):
    with pytest.raises(ConfigurationError) as error:
        parsed(form, *overrides)
    return str(error.value)


@pytest.mark.parametrize(
    ("written", "recorded"),
    [
        ("AtariWrapper", [{ATARI: {}}]),
        (["rl_zoo3.wrappers.HistoryWrapper"], [{"rl_zoo3.wrappers:HistoryWrapper": {}}]),
        ({"mine:Scaled": {"factor": 2}}, [{"mine:Scaled": {"factor": 2}}]),
        ([{"TimeLimit": LIMIT}, "a.b:C.D"], [{"gymnasium.wrappers:TimeLimit": LIMIT}, {"a.b:C.D": {}}]),
        ([{"mine:Scaled": None}], [{"mine:Scaled": {}}]),
        (None, []),
    ],
)
def test_every_way_to_name_a_class_has_one_recorded_form(written, recorded):
    experiment = parsed({"wrappers": written})
    assert [arm.hyperparameters["wrappers"] for arm in experiment.arms] == [recorded] * 2
    assert parsed({"hyperparameters": {"wrappers": written}}) == experiment


def test_a_class_is_named_by_its_file(tmp_path, monkeypatch):
    (tmp_path / "mine.py").touch()
    monkeypatch.chdir(tmp_path)
    form = {
        "wrappers": ["./mine.py:Scaled", {"mine.py:Other": {"n": 1}}],
        "hyperparameters": {"policy": "mine.py:Policy", "policy_kwargs": {"features_extractor_class": "./mine.py:Narrow"}},
    }
    experiment = parsed(form)
    assert named_code(experiment.baseline) == ("CartPole-v1", "mine:Scaled", "mine:Other", "mine:Policy", "mine:Narrow")
    assert refused({"wrappers": ["./no.py:Scaled"]}).startswith(
        "exp.yaml: wrappers[0]: found './no.py:Scaled'; there is no no.py"
    )


def test_what_classes_are_made_of_is_captured_but_for_the_libraries(tmp_path):
    for name in ("inner", "mine", "policies", "calls"):
        (tmp_path / f"{name}.py").write_text("import inner\n")
    hyperparameters = {"policy": "policies:Own", "policy_kwargs": {"optimizer_class": "AdamW"}, "callbacks": ["calls:Patience"]}
    experiment = parsed({"wrappers": ["mine:Scaled", "AtariWrapper"], "hyperparameters": hyperparameters})
    captured = capture(experiment, [str(tmp_path)])
    assert set(captured.code.modules) == {"inner", "mine", "policies", "calls"}
    assert not {"torch", "stable_baselines3"} & {package.name for package in captured.code.packages}
    assert capture(parsed({"wrappers": ["lacking:Scaled"]}), [str(tmp_path)]).missing == ("lacking",)


def test_settings_of_the_environment_are_inherited_also_by_another_algorithm():
    baseline = {"wrappers": ["mine:Scaled"], "frame_stack": 2, "hyperparameters": {"n_epochs": 3}}
    experiment = parsed({"baseline": baseline, "variants": {"dqn": {"algorithm": "DQN"}, "b": {"wrappers": []}}})
    dqn, b = experiment.variants
    assert dqn.hyperparameters == {"wrappers": [{"mine:Scaled": {}}], "frame_stack": 2}
    assert b.hyperparameters == {"wrappers": [], "frame_stack": 2, "n_epochs": 3}


def test_overrides_replace_what_a_file_says():
    experiment = parsed({"wrappers": ["mine:Scaled"]}, "wrappers=[AtariWrapper]", "variants.b.frame_stack=4")
    assert experiment.baseline.hyperparameters == {"wrappers": [{ATARI: {}}]}
    assert experiment.variants[0].hyperparameters == {"wrappers": [{ATARI: {}}], "frame_stack": 4}


@pytest.mark.parametrize(
    ("form", "line"),
    [
        (
            {"wrappers": ["AtariWraper"]},
            "wrappers: found 'AtariWraper'; must be a wrapper of environments, MODULE:CLASS or a known name; did you mean"
            " AtariWrapper?",
        ),
        (
            {"baseline": {"frame_stack": 0}},
            "baseline.frame_stack: found 0; must be a whole number of at least 1, or null for none",
        ),
        ({"wrappers": [{"a:B": 3}]}, "wrappers: found 3 as the arguments of 'a:B'; must be a mapping"),
        ({"wrappers": [{"a:B": {}, "c:D": {}}]}, "wrappers: found {'a:B': {}, 'c:D': {}}; must be one name with its arguments"),
        ({"wrappers": [], "hyperparameters": {"wrappers": []}}, "wrappers: does not go together with hyperparameters.wrappers"),
        ({"monitor_kwargs": {"filename": "x"}}, "monitor_kwargs.filename: unknown key; must be one of info_keywords"),
        ({"vec_env": "threads"}, "vec_env: found 'threads'; must be one of dummy, subproc"),
        (
            {"hyperparameters": {"callbacks": [7]}},
            "hyperparameters.callbacks: found 7; must be a callback (BaseCallback): MODULE:CLASS, FILE.py:CLASS, or one of",
        ),
    ],
)
def test_what_is_wrong_is_one_line_at_the_place_where_it_is_written(form, line):
    assert refused(form).startswith(f"exp.yaml: {line}")


def test_a_baseline_may_be_alone_and_is_written_as_it_was():
    alone = parse_experiment({**FORM, "variants": {}, "wrappers": ["mine:Scaled"]}, source="exp.yaml")[0]
    assert [arm.name for arm in alone.arms] == ["baseline"]
    for data in (as_written(alone), parse_yaml(experiment_file(alone))):
        assert digest(parse_experiment(data, source="again")[0]) == digest(alone)


def test_a_device_is_recorded_as_what_this_machine_has():
    experiment, notices = parse_experiment(FORM | {"device": "auto"}, source="exp.yaml", automatic_device=lambda: "cuda")
    assert {arm.device for arm in experiment.arms} == {"cuda"}
    assert notices == ("device: auto is recorded as cuda, which is what this machine has",)
    experiment, (notice,) = parse_experiment(FORM | {"device": "cuda:1"}, source="exp.yaml")
    assert experiment.baseline.device == "cuda"
    assert "CUDA_VISIBLE_DEVICES=1" in notice


def test_atari_from_raw_pictures_with_a_network_for_vectors_is_pointed_out():
    raw = FORM | {"environment": "ale_py:ALE/Breakout-v5"}
    assert all("12.9 M parameters" in notice for notice in parse_experiment(raw, source="exp.yaml")[1])
    assert len(parse_experiment(raw, source="exp.yaml")[1]) == 2
    assert parse_experiment(raw | {"wrappers": "AtariWrapper"}, source="exp.yaml")[1] == ()
