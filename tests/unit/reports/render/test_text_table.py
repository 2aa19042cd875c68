"""Tables for terminals of any width."""

import pytest

from lander.reports.render.text_table import text_table

ROWS = [
    ("variant", "verdict", "difference", "note"),
    ("fast", "supported", "12.5", ""),
    ("a-longer-name", "undecided", "−1,000.0", "200 more seeds would probably not decide"),
]


def test_without_a_width_every_row_is_one_line():
    assert list(text_table(ROWS, left=(0, 1, 3))) == [
        "  variant        verdict    difference  note",
        "  fast           supported        12.5",
        "  a-longer-name  undecided    −1,000.0  200 more seeds would probably not decide",
    ]


def test_the_last_column_is_broken_into_lines_where_there_is_room_for_words():
    assert list(text_table(ROWS, 66, left=(0, 1, 3))) == [
        "  variant        verdict    difference  note",
        "  fast           supported        12.5",
        "  a-longer-name  undecided    −1,000.0  200 more seeds would",
        "                                        probably not decide",
    ]


def test_what_does_not_fit_beside_stands_below():
    assert list(text_table(ROWS, 44, left=(0, 1, 3))) == [
        "  variant        verdict    difference",
        "  fast           supported        12.5",
        "  a-longer-name  undecided    −1,000.0",
        "",
        "  variant        note",
        "  fast",
        "  a-longer-name  200 more seeds would",
        "                 probably not decide",
    ]


@pytest.mark.parametrize("width", [30, 50, 80, 160])
def test_no_line_is_wider(width):
    rows = [("arm", "one", "two words"), ("x" * 64, "1" * 10, "several words that are many"), ("y", "2", "few")]
    lines = list(text_table(rows, width))
    assert max(map(len, lines)) <= width
    assert sum(line.count("x") for line in lines) >= 64
