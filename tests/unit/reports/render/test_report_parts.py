"""The parts of a report: configurations, curves drawn with characters, figures, profiles, what runs used, numbers."""

from itertools import pairwise

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lander.actors.sb3.defaults import with_defaults
from lander.experiments.writing import experiment_file
from lander.protocol import events as e
from lander.protocol.digests import digest
from lander.reports.analysis.configuration import differences
from lander.reports.analysis.curves import Band
from lander.reports.analysis.findings import Estimate
from lander.reports.analysis.statistics import profile
from lander.reports.analysis.usage import Usage, usage
from lander.reports.render import characters, drawing, numbers
from lander.store.log.event_store import batch_of
from lander.store.log.reader import Reader
from tests.support import example_log
from tests.support.recorded import recorded
from tests.support.written_homes import queued_experiment, write_log

# --- configurations ---------------------------------------------------------------------------------------------------


def test_the_file_is_short_and_gives_the_experiment_back():
    wanted = example_log.wanted()
    text = experiment_file(wanted)
    assert recorded(yaml.safe_load(text)) == wanted
    assert "baseline:" in text
    assert "max_retries" not in text


SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "learning_rate": st.sampled_from([1e-3, 3e-4, "lin_3e-4"]),
        "gamma": st.floats(0.5, 1.0),
        "policy_kwargs": st.sampled_from([{"net_arch": [8]}, {"net_arch": [8], "activation_fn": "relu"}]),
    },
)
ARMS = st.fixed_dictionaries(
    {"hyperparameters": SETTINGS},
    optional={
        "training_steps": st.integers(1, 10**6),
        "environment_kwargs": st.sampled_from([{}, {"continuous": False}]),
        "seeds": st.sampled_from([[0], [1, 2]]),
        "device": st.just("cpu"),
    },
)


@settings(max_examples=60, deadline=None)
@given(ARMS, ARMS, ARMS, st.text(max_size=20))
def test_whatever_the_arms_are_the_file_gives_them_back(baseline, variant, another, hypothesis):
    form = {"algorithm": "PPO", "environment": "LunarLander-v3", "training_steps": 1000, "seeds": [0], "hypothesis": hypothesis}
    form |= {"arms": [{"name": "b", "role": "baseline", **baseline}]}
    form["arms"] += [{"name": name, "role": "variant", **arm} for name, arm in (("v", variant), ("w", another))]
    wanted = recorded({"experiment_id": "x"} | form)
    again = recorded(yaml.safe_load(experiment_file(wanted)))
    assert (again.experiment_id, digest(again)) == ("x", digest(wanted))


def test_divergences_name_what_an_arm_leaves_unsaid():
    wanted = recorded(
        {
            "algorithm": "PPO",
            "environment": "LunarLander-v3",
            "training_steps": 1000,
            "seeds": [0],
            "baseline": {"hyperparameters": {"gamma": 0.9}},
            "variants": {"windy": {"environment_kwargs": {"enable_wind": True}, "training_steps": 2000}},
        }
    )
    assert shown(wanted) == {
        "training_steps": ["1000", "2000"],
        "environment_kwargs.enable_wind": ["default", "true"],
    }


def shown(wanted):
    return {found.name: [str(value) for value in found.values] for found in differences(wanted)}


def with_arms(baseline, **variants):
    """An experiment as it is submitted, with the defaults of its algorithms."""
    form = {"algorithm": "PPO", "environment": "LunarLander-v3", "training_steps": 1000, "seeds": [0]}
    variants = {name: {"hyperparameters": {}} | settings for name, settings in variants.items()}
    return with_defaults(recorded(form | {"baseline": baseline, "variants": variants}))


def test_a_default_that_is_written_down_is_no_difference():
    written = {"batch_size": 64, "learning_rate": 1e-3, "policy_kwargs": {"activation_fn": "tanh", "net_arch": [8]}}
    assert shown(with_arms({}, tuned={"hyperparameters": written})) == {
        "learning_rate": ["0.0003 (default)", "0.001"],
        "policy_kwargs.net_arch": ["null (default)", "[8]"],
    }


def test_of_other_algorithms_the_defaults_they_have_in_common_differ_too():
    found = shown(with_arms({}, a2c={"algorithm": "A2C"}, sac={"algorithm": "SAC", "hyperparameters": {"buffer_size": 9}}))
    assert found["algorithm"] == ["PPO", "A2C", "SAC"]
    assert found["learning_rate"] == ["0.0003 (default)", "0.0007 (default)", "0.0003 (default)"]
    assert found["buffer_size"] == ["–", "–", "9"]
    assert "gamma" not in found  # all have 0.99
    assert "n_epochs" not in found  # only PPO has it, and nobody wrote it


def test_seeds_that_differ_are_shown_as_a_file_says_them():
    assert shown(with_arms({"seeds": [0, 1, 2, 3, 7]}, few={"seeds": [5]})) == {"seeds": ["0-3,7", "5"]}


# --- drawn with characters --------------------------------------------------------------------------------------------


def in_characters(bands, *rest, **more):
    return characters.learning_curves(list(bands), bands, *rest, **more)


def test_an_arm_keeps_its_place_where_one_before_it_has_no_curve():
    lines = characters.learning_curves(["first", "second"], {"second": band(1, 2, 3)}, 40, lambda text, arm: f"<{arm}{text}>")
    assert f"<1{characters.MARKS[1]} second>" in lines[1]
    assert "first" not in "".join(lines)


def band(*values):
    means = np.asarray(values, np.float64)
    return Band(np.arange(1, len(values) + 1) * 1000, means, means, means)


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_a_drawing_fits_its_width(width):
    lines = in_characters({"a": band(*range(50)), "b": band(*range(50, 0, -1))}, width)
    plot = [line for line in lines if "│" in line]
    assert len(plot) == 12
    assert all(len(line) <= max(width, 27) for line in lines if "mean return" not in line)


def test_the_names_of_many_arms_stand_below_each_other_where_they_do_not_fit():
    arms = {f"a-name-of-an-arm-{number}": band(number) for number in range(12)}
    for width in (50, 80, 160):
        lines = in_characters(arms, width)
        assert max(map(len, lines)) <= width
        assert [name for name in arms if not any(f" {name}" in line for line in lines)] == []


def test_a_rising_curve_rises_and_carries_its_mark():
    lines = [line.partition("│") for line in in_characters({"up": band(*range(100))}, 60) if "│" in line]
    assert lines[0][0].strip() == "99.0"
    assert lines[-1][0].strip() == "0.00"
    first = [min(index for index, cell in enumerate(line) if cell != " ") for _, _, line in lines]
    assert first == sorted(first, reverse=True)
    assert sum(line.count("●") for _, _, line in lines) > 2


def test_arms_have_their_own_marks_and_colours():
    painted = in_characters({"a": band(0, 0, 0), "b": band(9, 9, 9)}, 40, lambda text, arm: f"<{arm}{text}>")
    top, bottom = [line for line in painted if "│" in line][:: characters._ROWS - 1]
    assert "<1■>" in top
    assert "<0" not in top
    assert "<0●>" in bottom
    assert "<0● a>  <1■ b>" in painted[1]


@pytest.mark.parametrize(
    "values", [(5.0, 5.0, 5.0), (float("nan"), 3.0, 4.0), (7.0,), (1e12, -1e12), (1.0, float("inf"), 1e300)]
)
def test_any_curve_can_be_drawn(values):
    assert len(in_characters({"a": band(*values)}, 80)) == 15


def test_without_a_curve_there_is_no_drawing():
    assert in_characters({"a": band(float("nan"))}, 80) == []
    assert in_characters({}, 80) == []


# --- figures ----------------------------------------------------------------------------------------------------------


def test_no_two_arms_look_alike():
    styles = [drawing.style(index) for index in range(31)]
    assert len({(style.colour, style.line) for style in styles}) == 31
    assert len({style.colour for style in styles[:7]}) == 7
    assert drawing.INK not in {style.colour for style in styles[1:]}  # only the baseline is black
    assert len({drawing.key(index) for index in range(19)}) == 19  # colour and marker, where there is no line
    assert all(one.marker != other.marker and one.line != other.line for one, other in pairwise(styles))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1_000_000.0, "1,000,000"),
        (-25_000_000.0, "−25,000,000"),
        (0.1 + 0.2, "0.3"),
        (1e15, "1e+15"),
        (-1.25, "−1.25"),
    ],
)
def test_a_tick_is_written_as_people_write_it(value, text):
    assert drawing.thousands(value) == text


def test_a_profile_is_the_share_of_runs_above():
    found = profile([1.0, 2.0, 3.0, float("nan")], np.array([0.0, 1.0, 2.5, 3.0]))
    assert found.share.tolist() == [0.75, 0.5, 0.25, 0.0]
    assert ((found.low <= found.share) & (found.share <= found.high)).all()


# --- what runs used ---------------------------------------------------------------------------------------------------


def sampled(*runs, at):
    usages = tuple(e.TrainerUsage(run=run, epoch=1, cpu_percent=50.0, memory_mb=float(at)) for run in runs)
    sample = e.ResourcesSampled(cpu_percent=1.0, memory_percent=2.0, memory_mb=3.0, disk_free_mb=4.0, trainers=usages)
    return batch_of("host:local", sample, at=at * 1_000_000)


def test_usage_is_over_the_time_in_training(tmp_path):
    queued_experiment(tmp_path)
    moments = [0, 2, 4, 6, 1000, 1002]  # paused for a quarter of an hour
    write_log(tmp_path, *(sampled("x/baseline/0", "y/other/0", at=at) for at in moments))
    with Reader(tmp_path) as reader:
        found = usage(reader, "x")
    assert list(found) == ["x/baseline/0"]
    assert found["x/baseline/0"].seconds.tolist() == [0, 2, 4, 6, 8, 10]
    assert found["x/baseline/0"].peak_memory_mb == 1002


def test_many_samples_become_few():
    ramp = np.arange(1001.0)
    thin = Usage(ramp, ramp, ramp).thinned()
    assert len(thin.seconds) <= 200
    assert thin.memory_mb[0] == ramp[:6].mean()
    assert np.array_equal(Usage(ramp[:3], ramp[:3], ramp[:3]).thinned().seconds, [0, 1, 2])


# --- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (0.0, "0.00"),
        (-1234.56, "−1,234.6"),
        (7.254, "7.25"),
        (0.03125, "0.0312"),
        (1e300, "1e+300"),
    ],
)
def test_a_number_has_as_many_digits_as_mean_something(value, text):
    assert numbers.number(value) == text


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ((35.24, -12.1), ["35.2", "−12.1"]),
        ((0.01234, 0.5), ["0.012", "0.500"]),
        ((12_345.6,), ["12,346"]),
        ((3e-5,), ["0.0000300"]),
        ((1e-30,), ["0.000000000"]),
        ((2.5e40, -1.0), ["2.50e+40", "−1.00e+00"]),
        ((0.0,), ["0"]),
        ((), []),
    ],
)
def test_numbers_that_are_read_together_have_the_same_decimals(values, shown):
    assert numbers.same_decimals(*values) == shown


def test_an_estimate_has_its_interval_where_there_is_one():
    assert numbers.estimated(Estimate(value=12.34, low=-10.0, high=20.0)) == "12.3 [−10.0, 20.0]"
    assert numbers.estimated(Estimate(value=12.34)) == "12.3"
    assert numbers.estimated(None) == "–"
    assert [numbers.p_value(value) for value in (0.00001, 0.034, 0.0497)] == ["< 0.001", "0.034", "0.0497"]
