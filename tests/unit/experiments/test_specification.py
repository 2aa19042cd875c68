"""The models: three spellings, one normal form."""

import subprocess
import sys

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lander.experiments.hyperparameter_tables import ALGORITHMS
from lander.experiments.spellings import resolve
from lander.experiments.writing import as_written, experiment_file
from lander.protocol.digests import content, digest
from lander.protocol.experiment import Experiment, ResourceLimits, RunKey, Task
from tests.support.recorded import recorded

SEED_FORM = {
    "experiment_id": "ppo_learning_rate_comparison",
    "hypothesis": "A larger learning rate speeds up training",
    "baseline_config": {
        "algorithm": "PPO",
        "environment": "LunarLander-v2",
        "hyperparameters": {"learning_rate": 3e-4, "n_steps": 2048, "batch_size": 64},
        "training_steps": 100000,
        "seed": 42,
    },
    "variant_config": {
        "algorithm": "PPO",
        "environment": "LunarLander-v2",
        "hyperparameters": {"learning_rate": 1e-3, "n_steps": 2048, "batch_size": 64},
        "training_steps": 100000,
        "seed": 42,
    },
}
SHARED = {"environment": "LunarLander-v3", "algorithm": "PPO", "training_steps": 1000, "seeds": [0, 1]}
SHORT_FORM = {
    **SHARED,
    "baseline": {"hyperparameters": {"learning_rate": 3e-4, "n_steps": 64}},
    "variants": {"fast": {"hyperparameters": {"learning_rate": 1e-3}}},
}
ARM = {"name": "baseline", "role": "baseline", **SHARED}
VARIANT = {**ARM, "name": "fast", "role": "variant"}


def built(**data):
    return recorded(data)


def short(**changes):
    return recorded({**SHORT_FORM, **changes})


def problems(data):
    with pytest.raises(ValidationError) as caught:
        recorded(data)
    return [(each["loc"], each["msg"]) for each in caught.value.errors()]


# --- the three spellings ----------------------------------------------------------------------------------------------


def test_the_seed_form_is_two_complete_configurations():
    experiment = built(**SEED_FORM)
    assert experiment.experiment_id == "ppo_learning_rate_comparison"
    assert [(arm.name, arm.role, arm.seeds) for arm in experiment.arms] == [
        ("baseline", "baseline", (42,)),
        ("variant", "variant", (42,)),
    ]
    assert experiment.arm("variant").hyperparameters == {"learning_rate": 1e-3, "n_steps": 2048, "batch_size": 64}
    assert experiment.baseline.environment == "LunarLander-v3"


def test_a_variant_of_the_short_form_says_only_what_differs():
    experiment = built(**SHORT_FORM)
    assert experiment.arm("baseline").hyperparameters == {"learning_rate": 3e-4, "n_steps": 64}
    assert experiment.arm("fast").hyperparameters == {"learning_rate": 1e-3, "n_steps": 64}
    assert {arm.training_steps for arm in experiment.arms} == {1000}
    assert experiment.variants == (experiment.arm("fast"),)


def test_mappings_merge_key_by_key_from_the_top_through_the_baseline_to_the_variant():
    experiment = short(
        hyperparameters={"learning_rate": 1.0, "n_steps": 1000, "gamma": 0.5},
        environment_kwargs={"gravity": -5.0, "enable_wind": True},
        baseline={"hyperparameters": {"learning_rate": 0.1, "n_steps": 64}, "environment_kwargs": {"gravity": -6.0}},
        variants={"fast": {"hyperparameters": {"learning_rate": 0.2}, "environment_kwargs": {"enable_wind": False}}},
    )
    assert experiment.arm("baseline").hyperparameters == {"learning_rate": 0.1, "n_steps": 64, "gamma": 0.5}
    assert experiment.arm("fast").hyperparameters == {"learning_rate": 0.2, "n_steps": 64, "gamma": 0.5}
    assert experiment.arm("fast").environment_kwargs == {"gravity": -6.0, "enable_wind": False}


def test_a_variant_with_another_algorithm_leaves_the_baselines_hyperparameters_and_keeps_the_top_levels():
    experiment = short(hyperparameters={"gamma": 0.5}, variants={"a2c": {"algorithm": "A2C"}})
    assert experiment.baseline.hyperparameters == {"learning_rate": 3e-4, "n_steps": 64, "gamma": 0.5}
    assert experiment.arm("a2c").hyperparameters == {"gamma": 0.5}


def test_a_variant_that_names_the_same_algorithm_again_still_inherits():
    assert short(variants={"same": {"algorithm": "PPO"}}).arm("same").hyperparameters["n_steps"] == 64


def test_a_single_variant_is_called_variant():
    experiment = built(**SHARED, baseline={}, variant={"training_steps": 7})
    assert [arm.name for arm in experiment.arms] == ["baseline", "variant"]
    assert experiment.arm("variant").training_steps == 7


def test_the_baseline_may_be_all_that_stands_at_the_top():
    assert [arm.name for arm in built(**SHARED, variants={"same": None}).arms] == ["baseline", "same"]


def test_seeds_may_differ_where_an_arm_gives_its_own():
    experiment = short(variants={"fast": {"seeds": [1, 2]}})
    assert [run.id.split("/", 1)[1] for run in experiment.runs] == ["baseline/0", "baseline/1", "fast/1", "fast/2"]


def test_the_normal_form_may_be_written():
    assert [arm.name for arm in built(arms=[ARM, VARIANT]).arms] == ["baseline", "fast"]


def test_every_spelling_of_one_experiment_is_the_same_experiment():
    config = {**SHARED, "hyperparameters": {}}
    forms = [
        {"arms": [ARM, {**VARIANT, "name": "variant"}]},
        {**SHARED, "variant": {}},
        {"baseline_config": config, "variant_config": config},
    ]
    assert len({digest(recorded(form)) for form in forms}) == 1


@pytest.mark.parametrize(
    ("written", "runs", "kwargs"),
    [
        ("LunarLander-v2", "LunarLander-v3", {}),
        ("LunarLanderContinuous-v2", "LunarLander-v3", {"continuous": True}),
        ("LunarLanderContinuous-v3", "LunarLander-v3", {"continuous": True}),
        ("BipedalWalker-v2", "BipedalWalker-v3", {}),
    ],
)
def test_environments_that_were_renamed_run_under_their_new_name_and_it_is_said_once(written, runs, kwargs):
    normal, notices = resolve({**SHORT_FORM, "environment": written})
    assert [(arm["environment"], arm.get("environment_kwargs", {})) for arm in normal["arms"]] == [(runs, kwargs)] * 2
    assert len(notices) == 1
    assert notices[0].startswith(f"{written} ")
    assert f"running {runs}" in notices[0]
    assert resolve(normal) == (normal, ())


def test_what_the_user_says_of_a_renamed_environment_has_the_last_word():
    data = {**SHORT_FORM, "environment": "LunarLanderContinuous-v2", "environment_kwargs": {"continuous": False}}
    assert built(**data).baseline.environment_kwargs == {"continuous": False}


def test_a_common_environment_of_evaluations_is_a_name_or_a_mapping():
    named = built(**SHORT_FORM, evaluation_environment="CartPole-v1")
    assert named == built(**SHORT_FORM, evaluation_environment={"environment": "CartPole-v1", "environment_kwargs": None})
    assert named.evaluation(named.runs[0]).environment == "CartPole-v1"
    assert named.configuration(named.runs[0]).environment == "LunarLander-v3"
    assert digest(recorded(yaml.safe_load(experiment_file(named)))) == digest(named)


def test_a_common_environment_that_was_renamed_is_replaced_too():
    normal, notices = resolve({**SHORT_FORM, "evaluation_environment": "LunarLanderContinuous-v2"})
    assert normal["evaluation_environment"] == {"environment": "LunarLander-v3", "environment_kwargs": {"continuous": True}}
    assert len(notices) == 1


def test_what_is_compared_is_part_of_the_identity_where_it_is_said_and_only_there():
    """An experiment without these keys keeps the digest, and so the id, that it had before there were any."""
    plain, common, budgets = (
        built(**SHORT_FORM, **more) for more in ({}, {"evaluation_environment": "CartPole-v1"}, {"compare_budgets": True})
    )
    assert len({digest(each) for each in (plain, common, budgets)}) == 3
    assert not {"evaluation_environment", "compare_budgets"} & (content(plain).keys() | as_written(plain).keys())
    assert built(**SHORT_FORM, evaluation_environment=None, compare_budgets=False) == plain


# --- the normal form --------------------------------------------------------------------------------------------------


def test_defaults_are_filled_in():
    experiment = built(**SHORT_FORM)
    assert (experiment.on_failure, experiment.max_retries, experiment.checkpoint_frequency) == ("retry", 3, 10_000)
    assert experiment.resource_limits == ResourceLimits()
    assert {arm.device for arm in experiment.arms} == {"cpu"}


def test_runs_go_seed_by_seed_so_that_pairs_finish_together():
    ids = [run.id for run in short(experiment_id="x").runs]
    assert ids == ["x/baseline/0", "x/fast/0", "x/baseline/1", "x/fast/1"]


def test_an_id_is_derived_from_the_content():
    experiment = built(**SHORT_FORM)
    assert experiment.experiment_id == f"ppo-lunarlander-v3-{digest(experiment)[:8]}"
    assert built(**SHORT_FORM, experiment_id=None) == experiment
    assert built(arms=[{**arm, "environment": "ALE/" + "x" * 190} for arm in (ARM, VARIANT)]).experiment_id


def test_the_digest_is_of_the_content_and_not_of_the_name_or_the_notation():
    before = digest(recorded(SHORT_FORM))
    assert digest(short(experiment_id="other")) == before
    assert digest(short(training_steps=1e3, max_retries=3)) == before
    assert digest(short(training_steps=1001)) != before
    assert digest(short(hypothesis="other")) != before


def test_the_normal_form_cannot_be_changed():
    with pytest.raises(ValidationError):
        built(**SHORT_FORM).max_retries = 4


def test_no_arm_of_that_name():
    with pytest.raises(KeyError):
        built(**SHORT_FORM).arm("slow")


NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,20}", fullmatch=True)
SEEDS = st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=5, unique=True)
PLAIN = st.dictionaries(
    st.text("abc_", min_size=1, max_size=4),
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    max_size=3,
)  # fmt: skip


@st.composite
def experiments(draw):
    names = draw(st.lists(NAMES, min_size=2, max_size=4, unique=True))
    arms = [
        {
            "name": name,
            "role": "variant" if place else "baseline",
            "algorithm": draw(st.sampled_from(sorted(ALGORITHMS))),
            "environment": "LunarLander-v3",
            "environment_kwargs": draw(PLAIN),
            "training_steps": draw(st.integers(1, 10**9)),
            "seeds": draw(SEEDS),
            "hyperparameters": draw(
                st.fixed_dictionaries({}, optional={"learning_rate": st.floats(1e-9, 1), "normalize": st.booleans()})
            ),
        }
        for place, name in enumerate(names)
    ]
    return built(arms=arms, hypothesis=draw(st.text()), max_retries=draw(st.integers(0, 9)))


@given(experiments())
@settings(max_examples=50, deadline=None)
def test_the_normal_form_survives_every_way_of_writing_it_down(experiment):
    assert Experiment.model_validate(experiment.model_dump()) == experiment
    again = Experiment.model_validate_json(experiment.model_dump_json())
    assert (again, digest(again)) == (experiment, digest(experiment))
    assert recorded(as_written(experiment)) == experiment
    assert digest(recorded(yaml.safe_load(experiment_file(experiment)))) == digest(experiment)


@given(experiments())
@settings(max_examples=50, deadline=None)
def test_every_run_has_one_key_and_the_key_says_it(experiment):
    runs = experiment.runs
    assert len(set(runs)) == len(runs) == sum(len(arm.seeds) for arm in experiment.arms)
    assert [RunKey.parse(run.id) for run in runs] == list(runs)


def test_a_run_of_a_suite_names_its_task():
    task = {"name": "wind", "environment": "LunarLander-v3", "environment_kwargs": {"enable_wind": True}, "training_steps": 7}
    suite = built(**SHORT_FORM, experiment_id="x").model_copy(update={"tasks": (Task(**task), Task(**task | {"name": "b"}))})
    ids = [run.id for run in suite.runs]
    assert ids[:4] == ["x/baseline/wind/0", "x/fast/wind/0", "x/baseline/b/0", "x/fast/b/0"]
    assert [RunKey.parse(each) for each in ids] == list(suite.runs)
    trained = suite.configuration(suite.runs[1])
    assert (trained.name, trained.environment_kwargs, trained.training_steps) == ("fast", {"enable_wind": True}, 7)
    assert trained.hyperparameters == suite.arm("fast").hyperparameters


@pytest.mark.parametrize(
    "text", ["", "a/b", "a/b/c", "a/b/-1", "a/b/01", "a/b/4294967296", "../b/1", "a/b/../2", "a/b/c/d/2", "a/b/c/", "a/b c/1"]
)
def test_no_run_key(text):
    with pytest.raises(ValueError):  # noqa: PT011 - what it says is of no interest
        RunKey.parse(text)


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [True, 0, -1, 2.5, "100", None, float("nan"), float("inf"), 2**63, [1]])
@pytest.mark.parametrize("field", ["training_steps", "checkpoint_frequency"])
def test_a_number_of_steps_is_a_whole_number_above_zero(field, value):
    assert all("must be a whole number above 0" in message for _, message in problems({**SHORT_FORM, field: value}))


@pytest.mark.parametrize("seeds", [[], [1, 1], [-1], [2**32], [True], [1.5], 3, {"a": 1}, "", "1-", "3-1", "0-20000", "a"])
def test_seeds_are_distinct_whole_numbers(seeds):
    assert problems({**SHORT_FORM, "seeds": seeds})[0][0][:3] == ("arms", 0, "seeds")


@pytest.mark.parametrize(
    ("text", "seeds"), [("0-2,9", (0, 1, 2, 9)), ("7", (7,)), ("1, 7", (1, 7)), ("4294967295", (2**32 - 1,))]
)
def test_seeds_may_be_written_as_ranges(text, seeds):
    assert short(seeds=text).baseline.seeds == seeds


@pytest.mark.parametrize(
    ("number", "meant"),
    [
        (5, "0-4 for 5 seeds, or [5] for seed 5 alone"),
        (1, "0-4 for five seeds, or [1] for seed 1 alone"),
        (2**31, f"0-4 for five seeds, or [{2**31}] for seed {2**31} alone"),
        (-1, "0-4 for five seeds"),
    ],
)
def test_a_number_of_seeds_is_answered_with_what_may_be_meant(number, meant):
    assert {message for _, message in problems({**SHORT_FORM, "seeds": number})} == {f"found {number}; must be like {meant}"}


def test_no_more_seeds_than_anybody_means():
    ((_, message), *_) = problems({**SHORT_FORM, "seeds": ",".join(["0-9999"] * 10_000)})
    assert "at most 10000" in message


@pytest.mark.parametrize("name", ["", "a/b", "..", "a..b", ".a", "-a", "a b", "x" * 65, "ä", "a\n", 7, None])
def test_names_are_safe_as_file_names(name):
    assert problems({"arms": [ARM, {**VARIANT, "name": name}]})[0][0] == ("arms", 1, "name")
    if name is not None:
        assert problems({**SHORT_FORM, "experiment_id": name or "/"})[0][0] == ("experiment_id",)


@pytest.mark.parametrize(
    ("arms", "words"),
    [
        ([], "must be the baseline"),
        ([VARIANT, ARM], "must be the baseline"),
        ([ARM, {**ARM, "name": "b"}], "must be the baseline"),
        ([ARM, VARIANT, VARIANT], "found 2 arms called fast"),
    ],
)
def test_one_baseline_first_and_then_variants_of_other_names(arms, words):
    ((location, message),) = problems({"arms": arms})
    assert location == ("arms",)
    assert words in message


@pytest.mark.parametrize("limit", [0, -1, float("nan"), float("inf"), True, "8 GB"])
def test_limits_are_positive_numbers(limit):
    ((location, message),) = problems({**SHORT_FORM, "resource_limits": {"memory_mb": limit}})
    assert location == ("resource_limits", "memory_mb")
    assert "must be a number above 0" in message


@pytest.mark.parametrize(
    "data",
    [
        {**SHORT_FORM, "arms": [ARM, VARIANT]},
        {**SHORT_FORM, "baseline_config": {}},
        {**SHORT_FORM, "seed": 1},
        {**SHORT_FORM, "baseline": 3},
        {**SHORT_FORM, "baseline": {"name": "control"}},
        {**SHORT_FORM, "variants": ["fast"]},
        {**SHORT_FORM, "hyperparameters": []},
        {"arms": {}},
        {"arms": [1, 2]},
        {"baseline_config": {}},
    ],
)
def test_a_shape_that_means_nothing_is_refused_with_the_place(data):
    ((location, message),) = problems(data)
    assert location == ()
    assert ": " in message


def test_wishes_for_hosts_are_settings_of_the_experiment_that_each_arm_may_add_to():
    form = {**SHORT_FORM, "hosts": {"labels": ["b", "a", "b"]}, "other_hardware": "warn"}
    form["variants"] = {"v": {"hosts": {"gpu": True}}, "w": {"hosts": {"labels": []}}}
    wanted = recorded(form)
    assert {name: (each.gpu, each.labels) for name, each in wanted.hosts.items()} == {
        "baseline": (False, ("a", "b")),
        "v": (True, ("a", "b")),
    }
    assert wanted.other_hardware == "warn"
    assert wanted.wishes("w") == wanted.wishes("nobody")
    assert recorded(as_written(wanted)) == wanted
    assert recorded(yaml.safe_load(experiment_file(wanted))).hosts == wanted.hosts


@pytest.mark.parametrize(
    ("written", "share"), [(0.01, 1), (0.07, 7), (0.25, 25), (0.29, 29), (0.99, 99), (1, None), (1.0, None)]
)
def test_a_share_of_a_gpu_is_recorded_in_hundredths_and_written_as_it_was(written, share):
    wanted = recorded({**SHORT_FORM, "device": "cuda", "hosts": {"gpu": written}})
    assert {(wishes.gpu, wishes.gpu_share) for wishes in wanted.hosts.values()} == {(True, share)}
    assert recorded(as_written(wanted)) == wanted
    assert recorded(yaml.safe_load(experiment_file(wanted))).hosts == wanted.hosts


def test_a_share_is_refused_where_no_gpu_is_taken_and_the_refusal_says_so():
    with pytest.raises(ValidationError, match=r"found gpu: 0.25, a share of a GPU that a run with device: cpu does not take"):
        recorded({**SHORT_FORM, "hosts": {"gpu": 0.25}})


def test_who_wishes_for_nothing_has_the_same_experiment_as_before():
    plain, same = recorded(SHORT_FORM), recorded({**SHORT_FORM, "hosts": {"gpu": False}, "other_hardware": "wait"})
    assert digest(plain) == digest(same)
    assert (same.hosts, same.other_hardware) == ({}, None)
    assert digest(recorded({**SHORT_FORM, "other_hardware": "warn"})) != digest(plain)


@pytest.mark.parametrize(
    "more",
    [
        {"hosts": {"labels": ["a b"]}},
        {"hosts": {"gpu": "yes"}},
        {"hosts": {"gpu": 0.25}},
        *(
            {"device": "cuda", "hosts": {"gpu": share}}
            for share in (0, -0.5, 1.01, 2, 0.125, float("nan"), float("inf"), "0.5")
        ),
        {"hosts": {"label": "a"}},
        {"hosts": {"labels": [f"l{number}" for number in range(33)]}},
        {"other_hardware": "go"},
    ],
)
def test_wishes_that_mean_nothing_are_refused(more):
    with pytest.raises(ValidationError):
        recorded({**SHORT_FORM, **more})


def test_importing_the_model_imports_nothing_heavy():
    code = "import sys, lander.protocol.experiment, lander.experiments.parsing; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"numpy", "torch", "yaml", "gymnasium", "stable_baselines3"}.isdisjoint(modules)
