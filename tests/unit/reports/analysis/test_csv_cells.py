"""The cells of CSV files: numbers are numbers, and no text is a formula."""

import csv
import io

import pytest

from lander.reports.analysis.tidy_tables import Table, write_csv


def cells(*row):
    """The row as it is in the file, and as it is read back."""
    file = io.StringIO()
    write_csv(Table(tuple(f"c{number}" for number in range(len(row))), [row]), file)
    return file.getvalue().split("\n", 1)[1], next(csv.reader(io.StringIO(file.getvalue().split("\n", 1)[1])))


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", '=HYPERLINK("http://x")', "\t=1", "\r=1", "\n=1"])
def test_text_that_begins_like_a_formula_is_text(text):
    _, (cell,) = cells(text)
    assert cell == f"'{text}".replace("\r", "\n")


@pytest.mark.parametrize("text", ["a=1", "train/loss", "", "1-2", "'"])
def test_other_text_is_left_alone(text):
    _, read = cells(text, "x")
    assert read == [text, "x"]


def test_numbers_stay_numbers():
    written, _ = cells(-1, -1.5, float("-inf"), 1e-300, None, True)
    assert written == "-1,-1.5,-inf,1e-300,,True\n"
