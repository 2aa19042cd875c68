"""What Slurm is asked, and what its answers mean."""

import os
import subprocess
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from lander.supervisor.launchers.launcher import DETAIL_CHARACTERS, WorkerCommand
from lander.supervisor.launchers.slurm import jobs, script, submission

# As squeue 22.05.8 prints it.
ANSWER = """\
12_1|RUNNING|ours-a1|None
12_2|PENDING|ours-a1|Resources
12_3|CANCELLED|ours-a1|None
13_1|NODE_FAIL|ours-b2|NodeDown
13_2|COMPLETING|ours-b2|None
13_3|CONFIGURING|ours-b2|None
14|RUNNING|ours|None
15_1|RUNNING|oursbut not|None
16_1|RUNNING|a|b|ours-c|None
17_1|SOMETHING_NEW|ours-d|ReqNodeNotAvail, UnavailableNodes:n[1-3]
"""


def command(**rest):
    given = {"batch": "ours-a1", "head": "head:7411", "token_file": Path("/shared/it's a dir/token"), "token": "secret"}
    return WorkerCommand(**given | {"home": "workers", "program": ("echo", "$HOME", "'")} | rest)


def test_the_jobs_of_the_prefix_are_known_by_their_names_with_the_words_of_slurm():
    found = {name: (job.id, job.state, job.detail) for name, job in jobs(ANSWER, "ours")}
    assert found == {
        "ours-a1-1": ("12_1", "running", "RUNNING"),
        "ours-a1-2": ("12_2", "waiting", "PENDING: Resources"),
        "ours-a1-3": ("12_3", "ended", "CANCELLED"),
        "ours-b2-1": ("13_1", "ended", "NODE_FAIL: NodeDown"),
        "ours-b2-2": ("13_2", "running", "COMPLETING"),
        "ours-b2-3": ("13_3", "waiting", "CONFIGURING"),
        "ours-d-1": ("17_1", "running", "SOMETHING_NEW: ReqNodeNotAvail, UnavailableNodes:n[1-3]"),
    }


@given(st.text() | st.lists(st.sampled_from(["1_1", "|", "ours-", "RUNNING", "\n", "\x1b", "x" * 2000])).map("".join))
def test_whatever_is_printed_is_read_without_an_error_and_bounded(answer):
    for name, job in jobs(answer, "ours"):
        assert name.startswith("ours-")
        assert len(job.detail) <= DETAIL_CHARACTERS
        assert job.detail.isprintable()


def test_a_job_runs_the_worker_with_its_own_name_and_reads_the_token_from_a_file():
    done = subprocess.run(
        ["sh"], input=script(command()), capture_output=True, text=True, env=os.environ | {"SLURM_ARRAY_TASK_ID": "7"}
    )
    name, home = "--name ours-a1-7", "--home workers/ours-a1-7"
    assert done.stdout == f"$HOME ' worker head:7411 --token-file /shared/it's a dir/token {name} {home}\n"
    assert "secret" not in script(command())


def test_one_array_is_submitted_with_what_was_asked_for_and_not_requeued():
    given = submission(
        3, command(slots=4, walltime=90.0), {"partition": ("gpu",), "arguments": ("--qos=low", "--time=5")}, Path("/w")
    )
    assert given[:4] == ["--parsable", "--no-requeue", "--job-name=ours-a1", "--array=1-3"]
    assert {"--cpus-per-task=4", "--time=2", "--partition=gpu", "--signal=B:TERM@60", "--output=/w/%x-%a.log"} <= set(given)
    assert given[-2:] == ["--qos=low", "--time=5"]
    assert not any("account" in word or "secret" in word for word in given)
