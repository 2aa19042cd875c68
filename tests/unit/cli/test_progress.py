"""What a command is doing is said on standard error: a line that is replaced on a terminal, a plain one elsewhere."""

import sys
import threading

import click
import pytest

from lander.cli import progress
from lander.cli.options import CommandSettings
from lander.cli.progress import doing
from lander.cli.terminal import redraw, show


@pytest.fixture
def on_a_terminal(monkeypatch):
    """Called in a test: from there on, standard error is a terminal."""
    monkeypatch.setattr(progress, "REDRAW_SECONDS", 0.0)
    return lambda: monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)


def screen(written):
    """What is to be seen at the end of what was written to a terminal."""
    lines = [""]
    for part in written.replace("\n", "\r\n").split("\r"):
        if part.startswith("\n"):
            lines.append("")
            part = part[1:]
        if part.startswith("\x1b[K"):
            lines[-1] = ""
        lines[-1] += part.removeprefix("\x1b[K")
    return lines


def test_into_a_file_or_a_pipe_goes_one_plain_line(capsys):
    with doing("checking results") as tell:
        tell("events: 7%")
        tell("events: 8%")
    assert capsys.readouterr() == ("", "checking results …\n")


def test_what_is_usually_quick_is_said_elsewhere_only_once_it_takes_its_time(capsys, monkeypatch):
    with doing("comparing", brief=True) as tell:
        tell("more")
    assert capsys.readouterr() == ("", "")
    said = threading.Event()
    monkeypatch.setattr(progress, "BRIEF_SECONDS", 0.0)
    monkeypatch.setattr(progress, "show", lambda *words, **how: (show(*words, **how), said.set()))
    with doing("comparing", brief=True):
        assert said.wait(30)
    assert capsys.readouterr() == ("", "comparing …\n")


def test_on_a_terminal_a_line_is_replaced_and_erased(on_a_terminal, capsys):
    on_a_terminal()
    with doing("checking results") as tell:
        assert screen(capsys.readouterr().err) == ["checking results …"]
        tell("events: 7%")
        assert screen(capsys.readouterr().err) == ["events: 7% …"]
    assert screen(capsys.readouterr().err) == [""]
    with pytest.raises(ValueError, match="damaged"), doing("checking results"):
        raise ValueError("damaged")
    assert screen(capsys.readouterr().err) == [""]


def test_other_lines_are_printed_above_it(on_a_terminal, capsys):
    on_a_terminal()
    with doing("checking results"):
        show("note: one", err=True)
        show("two", err=True)
        assert screen(capsys.readouterr().err) == ["note: one", "two", "checking results …"]
    show("three", err=True)
    assert screen(capsys.readouterr().err) == ["three", ""]


def test_it_is_cut_where_the_terminal_ends(on_a_terminal, capsys, monkeypatch):
    on_a_terminal()
    monkeypatch.setenv("COLUMNS", "10")
    redraw("a line of more columns\nthan there are")
    assert screen(capsys.readouterr().err) == ["a line of"]
    redraw()


@pytest.mark.parametrize("quiet", [False, True])
def test_nothing_is_said_with_quiet(on_a_terminal, capsys, quiet):
    on_a_terminal()
    with click.Context(click.Command("check"), obj=CommandSettings(quiet=quiet)), doing("checking results") as tell:
        tell("events: 7%")
    assert (capsys.readouterr().err == "") == quiet
