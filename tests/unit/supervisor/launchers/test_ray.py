"""What the program that speaks to Ray answers, and what that means."""

import contextlib
import json
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lander.supervisor.launchers import ray_driver
from lander.supervisor.launchers.launcher import DETAIL_CHARACTERS, LauncherError
from lander.supervisor.launchers.ray import Ray, answer, jobs

TRACEBACK = "Traceback (most recent call last):\n  File 'x', line 1\nOSError: no room\n"


def test_a_job_is_said_with_what_ray_says_and_one_that_ended_with_the_last_error_of_its_worker():
    said = {"a-1": ["waiting", "no place"], "a-2": ["running", ""], "a-3": ["ended", TRACEBACK], "a-4": ["ended", "bye\n"]}
    found = jobs(answer("a warning of Ray's\n\n" + json.dumps({"answer": said}) + "\n"))
    assert [(name, job.id, job.state, job.detail) for name, job in found.items()] == [
        ("a-1", "a-1", "waiting", "no place"),
        ("a-2", "a-2", "running", ""),
        ("a-3", "a-3", "ended", "OSError: no room"),
        ("a-4", "a-4", "ended", "bye"),
    ]


def test_an_error_of_ray_is_said_in_its_words():
    with pytest.raises(LauncherError, match=r"^ray: ConnectionError: nobody there$"):
        answer('{"error": "ConnectionError: nobody there"}')


@given(st.text() | st.dictionaries(st.text(), st.lists(st.text())).map(lambda said: json.dumps({"answer": said})))
def test_whatever_is_printed_is_a_bounded_error_or_jobs(printed):
    with contextlib.suppress(LauncherError):
        for job in jobs(answer(printed)).values():
            assert len(job.detail) <= DETAIL_CHARACTERS


async def test_a_python_without_ray_is_named():
    with pytest.raises(LauncherError, match=rf"ray: {sys.executable}: No module named 'ray'"):
        await Ray("a", {}).alive()


def test_the_driver_needs_nothing_of_ours_and_no_file_beside_it_hides_ray(tmp_path):
    (tmp_path / "ray.py").write_text("def init(**_): raise OSError('this is the library')")
    command = [sys.executable, "-S", ray_driver.__file__]
    request = json.dumps({"address": "auto", "do": "alive"})
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, input=request, capture_output=True, text=True, env=environment, check=True)
    assert json.loads(done.stdout) == {"error": "OSError: this is the library"}
