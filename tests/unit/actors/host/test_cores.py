"""Cores that several workers of one machine offer: each core is one worker's, for its life, across what it becomes."""

import os
import subprocess
import sys

import pytest

from lander.actors.host import cores, slurm_allocation
from lander.actors.host.machine_limits import granted_cores, usable_memory_mb
from lander.app import worker
from lander.home.shared_cores import SHARE
from lander.protocol.errors import ConflictError

FIRST = 100_000 + 10 * os.getpid()
FAR = range(FIRST, FIRST + 4)
"""Cores that no machine has, so that nobody else locks them."""
HELD = f"cores {FIRST}, {FIRST + 1}: process"


@pytest.fixture
def held():
    held = cores.take(FAR, 2)
    yield held
    cores.release(held)


def test_two_workers_on_one_machine_never_offer_the_same_cores(held):
    others = cores.take(FAR, 3)
    cores.release(others)
    assert (list(held), list(others)) == ([*FAR[:2]], [*FAR[2:]])


def test_a_core_is_held_by_the_program_that_a_worker_becomes_and_free_when_that_is_killed():
    lock = f"from lander.actors.host import cores; cores.take([{FIRST}], 1)"
    become = f"import os; {lock}; os.execvp('sh', ['sh', '-c', 'echo; exec cat'])"
    with subprocess.Popen([sys.executable, "-c", become], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"\n"
        assert cores.take([FIRST], 1) == {}
        other.kill()
    held = cores.take([FIRST], 1)
    cores.release(held)
    assert list(held) == [FIRST]


def test_a_refusal_names_who_holds_the_cores(held):
    said = cores.holders(FAR)
    assert said.startswith(f"{HELD} {os.getpid()} (")
    assert said.count("process") == 1


def test_a_worker_offers_what_others_leave_and_refuses_if_that_is_too_little(held):
    rest = worker.lock_cores(FAR, 4, None)
    try:
        assert list(rest) == [*FAR[2:]]
        with pytest.raises(
            ConflictError, match=rf"0 of 4 cores are free; other workers .*: cores {FIRST}, .* {FAR[3]}: process"
        ):
            worker.lock_cores(FAR, 4, None)
    finally:
        cores.release(rest)
    with pytest.raises(ConflictError, match=rf"2 of 3 cores are free; other workers .*: {HELD}"):
        worker.lock_cores(FAR, 4, 3)
    again = worker.lock_cores(FAR, 4, 2)
    cores.release(again)
    assert list(again) == [*FAR[2:]], "what is refused holds nothing"


def test_who_shares_cores_takes_no_locks(monkeypatch):
    monkeypatch.setenv(SHARE, "1")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(FAR))
    assert worker.slots(1) == (FIRST,)
    assert cores.holders(FAR) == ""


JOB = {"SLURM_JOB_ID": "7"}


@pytest.mark.parametrize(
    ("environment", "granted", "megabytes"),
    [
        ({"SLURM_CPUS_ON_NODE": "2"}, None, None),  # a shell that only has the words of a job
        (JOB, None, None),
        (JOB | {"SLURM_CPUS_ON_NODE": "2", "SLURM_MEM_PER_NODE": "900"}, 2, 900.0),
        (JOB | {"SLURM_JOB_CPUS_PER_NODE": "3(x2),1", "SLURM_MEM_PER_CPU": "100"}, 3, 300.0),
        (JOB | {"SLURM_CPUS_ON_NODE": "many", "SLURM_MEM_PER_NODE": "0"}, None, None),
    ],
)
def test_a_job_of_slurm_uses_what_it_was_given_and_not_the_machine(environment, granted, megabytes):
    assert slurm_allocation.cores(environment) == granted
    assert slurm_allocation.memory_mb(environment) == megabytes
    assert granted_cores(8, None, environment) == (granted or 8)
    if megabytes is not None:
        assert usable_memory_mb(environment) == megabytes


def test_the_smallest_bound_counts():
    environment = JOB | {"SLURM_CPUS_ON_NODE": "4"}
    assert [granted_cores(8, quota, environment) for quota in (None, 2.5, 0.5)] == [4, 2, 1]
    assert granted_cores(2, None, environment) == 2
