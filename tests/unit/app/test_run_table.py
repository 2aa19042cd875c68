"""Text that fits a width: whole columns, whole words."""

import pytest

from lander.app.run_table import run_table, shortened, wrapped
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


def test_without_a_terminal_the_table_is_whole():
    rows = run_table([running(), run("fast")])
    assert [len(row) for row in rows] == [10, 10, 10]


@pytest.mark.parametrize("width", [30, 50, 80, 160])
def test_status_breaks_no_word_on_a_terminal(width):
    failed = run("fast", state="failed", cause="cuda_out_of_memory", why=WHY, step=500)
    found = {"position": 1, "experiments": [experiment(running(), failed, hypothesis=WHY)]}
    lines = status._plain(found, width).splitlines()
    assert all(len(line) <= width for line in lines)
    assert {word for line in lines for word in line.split()} >= set(WHY.split())
