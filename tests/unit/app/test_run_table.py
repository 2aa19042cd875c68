"""Text that fits a width: whole columns, whole words."""

import pytest

from lander.app.run_table import columns, run_table, shortened, wrapped
from lander.app.screen import whole
from lander.cli.commands import status
from tests.unit.app.test_live_view import experiment, run, running

WHY = "failed 4 times within 3600 seconds, and another attempt from the same checkpoint would meet the same"


@pytest.mark.parametrize(
    ("text", "width", "fitting"),
    [
        ("one two", 7, "one two"),
        ("one two three", 9, "one two …"),
        ("one two three", 10, "one two …"),
        ("unbreakable", 6, "unbre…"),
        ("an unbreakable", 9, "an unbre…"),
    ],
)
def test_what_is_too_long_is_cut_between_words(text, width, fitting):
    assert shortened(text, width) == fitting
    assert len(fitting) <= width


def test_of_counts_no_number_stands_alone():
    assert shortened("12 queued, 1 paused, 3 failed", 24, ", ") == "12 queued, 1 paused, …"


def test_what_is_wrapped_loses_no_word():
    lines = wrapped(WHY, 40, "  ").splitlines()
    assert len(lines) > 2
    assert all(line.startswith("  ") and len(line) <= 40 for line in lines)
    assert " ".join(" ".join(lines).split()) == WHY
    assert wrapped(WHY, None, "  ") == f"  {WHY}"


@pytest.mark.parametrize("width", range(30, 60))
def test_a_command_is_not_broken_so_that_it_can_be_copied(width):
    command = "lander-ctl retry x/fast/0 --new-code"
    (line,) = (line for line in wrapped(f"x: failed; {command} begins it anew", width).splitlines() if "lander-ctl" in line)
    assert command in line or width < len(command) + 4


@pytest.mark.parametrize("width", range(30, 80))
def test_a_wide_character_takes_two_columns(width):
    said = "x: より大きい 学習率は 訓練を 速くする – même la très longue hypothèse"
    lines = wrapped(said, width).splitlines()
    assert all(columns(line) <= width for line in lines)
    assert " ".join(" ".join(lines).split()) == said
    assert columns("学習率 e\u0301") == 8


def test_the_columns_of_the_first_line_stay():
    assert wrapped("disk   ok   56 GB free on ext4", 26, hang=12).splitlines() == [
        "disk   ok   56 GB free on",
        "            ext4",
    ]


def test_without_a_terminal_the_table_is_whole():
    rows = run_table([running(), run("fast")])
    assert [len(row) for row in rows] == [10, 10, 10]


@pytest.mark.parametrize("width", [30, 50, 80, 160])
def test_status_breaks_no_word_on_a_terminal(width):
    failed = run("fast", state="failed", cause="cuda_out_of_memory", why=WHY, step=500)
    found = {"position": 1, "experiments": [experiment(running(), failed, hypothesis=WHY)]}
    lines = status._plain(whole(found["experiments"]), width).splitlines()
    assert all(len(line) <= width for line in lines)
    assert {word for line in lines for word in line.split()} >= set(WHY.split())
