"""Which experiments `list` shows, and how they fit into a terminal."""

import itertools

import pytest

from lander.app.listing import Wanted, absent, chosen, seconds_of
from lander.app.listing_text import HEADINGS, age, table
from lander.protocol.errors import UsageError
from lander.store.projections.listing import ListedExperiment
from lander.store.projections.remarks import Remarks

DAY = 86_400


def entry(name="x", state="completed", environments=("CartPole-v1",), days=0, archived=False, tags=(), **fields):
    headline = {"state": state, "phase": None, "waiting_for": None, "summary": fields.pop("summary", state)}
    rest = {"headline": headline, "hypothesis": "", "arms": 2, "seeds": 5, "runs": 10, "submitted": "", "ended": None}
    said = Remarks(archived="2026-01-01T00:00:00Z" if archived else None, tags=tags)
    return ListedExperiment(id=name, environments=environments, age_seconds=float(days * DAY), remarks=said, **rest | fields)


HOME = [
    entry("a", "completed", days=10, tags=("paper", "good")),
    entry("b", "failed", days=7, tags=("paper",)),
    entry("c", "running", ("LunarLander-v3", "CartPole-v1"), days=1),
    entry("d", "completed", days=3, archived=True),
]


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({}, "abc"),
        ({"states": ("failed",)}, "b"),
        ({"states": ("failed", "running")}, "bc"),
        ({"environments": ("LunarLander-v3",)}, "c"),
        ({"environments": ("LunarLander-v3", "CartPole-v1")}, "abc"),
        ({"tags": ("paper",)}, "ab"),
        ({"tags": ("paper", "good")}, "a"),
        ({"newer": 7.0 * DAY}, "bc"),
        ({"older": 7.0 * DAY}, "a"),
        ({"newer": 8.0 * DAY, "older": 2.0 * DAY}, "b"),
        ({"archived": True}, "d"),
        ({"everything": True}, "abcd"),
        ({"everything": True, "states": ("completed",)}, "ad"),
        ({"states": ("paused",)}, ""),
    ],
)
def test_what_is_asked_for_is_chosen(wanted, names):
    assert "".join(each.id for each in chosen(HOME, Wanted(**wanted))) == names


@pytest.mark.parametrize(
    ("wanted", "refusal"),
    [
        ({"states": ("finished",)}, "--state: found 'finished'; must be one of queued, starting, running, paused, stopping,"),
        ({"states": ("faild",)}, "did you mean failed?"),
    ],
)
def test_what_no_experiment_can_be_is_refused_with_what_there_is(wanted, refusal):
    with pytest.raises(UsageError) as refused:
        chosen(HOME, Wanted(**wanted))
    assert refusal in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"states": ("paused",)}, "--state 'paused': no experiment here has it; they have completed, failed, running"),
        (
            {"environments": ("CartPol-v1",)},
            "--environment 'CartPol-v1': no experiment here has it;"
            " they have CartPole-v1, LunarLander-v3; did you mean CartPole-v1?",
        ),
        ({"tags": ("paper2",)}, "--tag 'paper2': no experiment here has it; they have paper, good; did you mean paper?"),
    ],
)
def test_what_no_experiment_here_has_matches_nothing_and_is_said_in_the_same_words(wanted, said):
    assert chosen(HOME, Wanted(**wanted)) == []
    assert absent(HOME, Wanted(**wanted)) == [said]


def test_what_each_has_and_none_has_together_is_not_called_absent():
    wanted = Wanted(states=("failed",), environments=("LunarLander-v3",), tags=("paper",), newer=1.0)
    assert (chosen(HOME, wanted), absent(HOME, wanted)) == ([], [])


def test_a_home_without_tags_says_so_and_one_with_many_names_some():
    assert absent([entry()], Wanted(tags=("x",))) == ["--tag 'x': no experiment here has it"]
    many = [entry(tags=tuple(f"t{number}" for number in range(30)))]
    assert absent(many, Wanted(tags=("x",)))[0].endswith("t11 and 18 more")


@pytest.mark.parametrize(("text", "seconds"), [("30m", 1800), ("12h", 43_200), ("7d", 604_800), ("2w", 1_209_600), ("0d", 0)])
def test_an_age_is_a_number_and_a_unit(text, seconds):
    assert seconds_of("--newer", text) == seconds


@pytest.mark.parametrize("text", ["", "7", "d", "7 d", "7D", "-1d", "1.5d", "7d ", "1y", "٣d", "9999999d"])
def test_any_other_age_is_refused(text):
    with pytest.raises(UsageError, match="must be a number with m, h, d or w"):
        seconds_of("--newer", text)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-5, "0s"), (59, "59s"), (60, "1m"), (7199, "1h"), (47 * 3600, "47h"), (2 * DAY, "2d"), (900 * DAY, "900d")],
)
def test_an_age_is_shown_in_one_unit(seconds, shown):
    assert age(seconds) == shown


# --- the table --------------------------------------------------------------------------------------------------------

LONG = entry(
    "ppo-lunarlander-with-a-very-long-name-1a2b3c4d",
    "running",
    ("LunarLander-v3", "CartPole-v1"),
    days=400,
    tags=("paper-figure-2", "good"),
    summary="running (3 of 10), 2 failed, 1 owes an evaluation",
)


@pytest.mark.parametrize("width", [50, 80, 120, 160, None])
@pytest.mark.parametrize("listed", [[entry()], HOME, [*HOME, LONG], []])
def test_one_line_each_and_none_is_wider_than_the_terminal(width, listed):
    lines, left_out = table(listed, width)
    assert len(lines) == len(listed) + 1
    assert all(len(line) <= width for line in lines if width)
    assert all(heading in lines[0] for heading in set(HEADINGS) - set(left_out) - {"tags"})


def test_a_column_goes_before_what_tells_the_experiments_apart():
    for width in range(50, 200):
        lines, left_out = table([*HOME, LONG], width)
        assert {"experiment", "state", "age"}.isdisjoint(left_out)
        assert lines[-1].startswith("ppo-")
        assert "1a2b3c4d  running" in lines[-1]
        assert "400d" in lines[-1]


def test_all_is_shown_where_there_is_no_terminal():
    lines, left_out = table([LONG], None)
    assert left_out == []
    assert lines[1] == (
        "ppo-lunarlander-with-a-very-long-name-1a2b3c4d  running (3 of 10), 2 failed, 1 owes an evaluation"
        "  LunarLander-v3, CartPole-v1  2 × 5         400d  paper-figure-2, good"
    )


def test_arms_with_other_seeds_are_counted_in_runs():
    lines, _ = table([entry(runs=11)], None)
    assert "11 runs" in lines[1]


def test_no_line_ends_with_blanks():
    lines, _ = table(HOME, None)
    assert not any(map(str.endswith, lines, itertools.repeat(" ")))
