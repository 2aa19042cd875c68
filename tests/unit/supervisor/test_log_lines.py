"""The supervisor's log: a line for each record, and no line that text from outside has made."""

import logging
import sys

import pytest

from lander.protocol import events as e
from lander.supervisor import journal
from lander.supervisor.log_lines import LogLine

FORGED = "x/a/0\n2026-01-01 00:00:00,000 INFO all is well\x1b[2J\u202e"


def formatted(message, *arguments, exc_info=None):
    return LogLine().format(logging.LogRecord("lander", logging.WARNING, "", 0, message, arguments, exc_info))


def test_a_name_with_a_newline_forges_no_line():
    line = formatted("refused %s", f"events for {FORGED}")
    assert "\n" not in line
    assert r"\n2026-01-01" in line
    assert r"\u001b[2J\u202e" in line


def test_a_long_message_is_cut():
    assert len(formatted("refused %s", "x" * 1_000_000)) < 10_000


def test_every_line_of_a_traceback_is_indented():
    try:
        raise ValueError(FORGED)
    except ValueError:
        first, *rest = formatted("failed", exc_info=sys.exc_info()).splitlines()
    assert first.endswith("WARNING failed")
    assert len(rest) > 3
    assert all(line.startswith("    ") for line in rest)


@pytest.mark.parametrize("operator", [FORGED, "x" * 100_000])
def test_an_experiments_log_has_one_line_for_each_event(tmp_path, operator):
    event = e.OperatorCommanded(command="stop", target="x", operator=operator)
    journal.write(tmp_path, [("x", event), ("x", event)])
    log = (tmp_path / "experiments" / "x" / "logs" / "experiment.log").read_text()
    assert len(log.splitlines()) == 2
    assert "\x1b" not in log
    assert len(log) < 20_000
