"""Work in a process of its own: its errors are those of the command, and how it ended is said."""

import re

import pytest

from lander.actors.host.bounded_process import Ending
from lander.app import own_process
from lander.app.own_process import in_own_process
from lander.protocol.errors import LanderError, NotFoundError


def test_an_error_of_the_work_is_the_error_of_the_command(tmp_path):
    task = {"run": "x/v/0", "checkpoint": "", "episodes": None}
    with pytest.raises(NotFoundError, match=re.escape(f"{tmp_path}: ")):
        in_own_process("evaluate", home=str(tmp_path), **task)


@pytest.mark.parametrize(
    ("ending", "words"),
    [
        (Ending(exit_code=-9), "was ended by SIGKILL"),
        (
            Ending(exit_code=3, output=bytearray(b"Traceback (most recent call last):\nValueError: a\n")),
            "status 3: ValueError: a",
        ),
    ],
)
def test_how_a_process_ended_that_did_not_answer_is_said(monkeypatch, ending, words):
    monkeypatch.setattr(own_process, "run_bounded", lambda program, task, bounds: ending)
    with pytest.raises(LanderError, match=f"^the process that was to film, on other code than is imported here, .*{words}$"):
        in_own_process("film")
