"""`--seeds +5`: the seeds that follow, for every arm."""

import pytest

from lander.experiments.changing import changed_experiment, with_more_seeds
from lander.experiments.parsing import parse_experiment
from lander.experiments.writing import as_written
from lander.protocol.errors import ConfigurationError
from tests.hooks import altered_tables
from tests.support.histories import experiment
from tests.support.recorded import recorded


def seeds(found):
    return [arm.seeds for arm in found.arms]


def test_the_seeds_that_follow_are_added_to_every_arm():
    assert seeds(with_more_seeds(experiment(seeds=[7, 2]), "+2")) == [(7, 2, 8, 9)] * 2


def test_arms_with_seeds_of_their_own_get_the_same_ones():
    """So that these pair up, and none stands twice."""
    form = as_written(experiment(seeds=[0, 1]))
    form["arms"][1]["seeds"] = [3]
    assert seeds(with_more_seeds(recorded(form), "+2")) == [(0, 1, 4, 5), (3, 4, 5)]


def test_the_rest_of_the_experiment_stays():
    before = experiment(seeds=[0])
    after = with_more_seeds(before, "+1")
    assert after.model_copy(update={"arms": before.arms}) == before


@pytest.mark.parametrize("wrong", ["+0", "+", "+-1", "+1.5", "+many", "+100000"])
def test_what_is_no_number_of_seeds_is_refused_in_one_line(wrong):
    with pytest.raises(ConfigurationError) as refused:
        with_more_seeds(experiment(), wrong)
    assert str(refused.value) == f"x: seeds: found '{wrong}'; must be like +5 to add five, or like 0-4"


@pytest.mark.parametrize(("first", "more"), [(2**32 - 2, "+5"), (0, "+10000")])
def test_seeds_that_do_not_exist_or_are_too_many_are_refused_where_it_is_read_again(first, more):
    grown = with_more_seeds(experiment(seeds=[first]), more)
    with pytest.raises(ConfigurationError, match="seeds"):
        parse_experiment(grown.model_dump(mode="json"), source="experiment")


def test_a_file_has_nothing_that_could_be_added_to():
    with pytest.raises(ConfigurationError) as refused:
        parse_experiment(experiment().model_dump(mode="json"), source="a.yaml", seeds="+5")
    assert str(refused.value) == (
        "a.yaml: seeds: found +5; seeds are added by --seeds, and to a recorded experiment: lander-ctl run x --seeds +5"
    )


def test_seeds_to_add_are_no_override():
    """YAML would take `+5` for the number 5."""
    with pytest.raises(ConfigurationError, match=r"x: seeds=\+5: seeds are added by --seeds, .*: lander-ctl run x --seeds \+5"):
        changed_experiment(experiment("x"), ["seeds=+5"])


# --- changes to what is recorded --------------------------------------------------------------------------------------


def test_a_derived_id_stays_whatever_is_changed():
    """Negative control: the file itself, with the change, is another experiment."""
    form = as_written(experiment(None))
    del form["experiment_id"]
    known, _ = parse_experiment(form, source="f")
    for changes in (["training_steps=2000"], ["max_retries=9"], ["variant.hyperparameters.gamma=0.5"]):
        assert changed_experiment(known, changes).experiment_id == known.experiment_id
        assert parse_experiment(form, source="f", overrides=changes)[0].experiment_id != known.experiment_id
    assert changed_experiment(known, eval_episodes=3).eval_episodes == 3


def test_what_is_recorded_is_changed_without_asking_the_tables_of_today():
    known = experiment("x", baseline={"hyperparameters": {"gamma": 0.5}})
    patch = pytest.MonkeyPatch()
    altered_tables.alter(patch)
    try:
        assert changed_experiment(known) == known
        longer = changed_experiment(known, ["training_steps=2000"])
    finally:
        altered_tables.restore(patch)
    assert longer == changed_experiment(known, ["training_steps=2000"])
    assert (longer.baseline.environment, longer.baseline.device, longer.max_retries) == ("CartPole-v1", "cpu", 3)
