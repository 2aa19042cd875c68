"""What the log says of hosts that cannot train, as `hosts` and `status` show it."""

import time

import pytest

from lander.app.host_table import as_text
from lander.app.unfit_hosts import why_queued, why_silent
from lander.protocol import events as e
from lander.protocol.code import needs_digest
from lander.store.log.event_store import batch_of
from lander.store.log.reader import Reader
from lander.store.projections.status import status
from lander.store.records.hosts import hosts
from tests.support.written_homes import RUN, queued_experiment, write_log

GPU3 = e.host_stream("gpu3")
PROBLEM = "lacks mujoco 3.1.2: pip install mujoco==3.1.2 there, and start its worker again"


def joined(incarnation="i"):
    return batch_of(GPU3, e.HostJoined(pid=1, incarnation=incarnation, cpus=(0,), gpus=(), memory_mb=1.0))


def sampled(free_mb):
    return batch_of(GPU3, e.ResourcesSampled(cpu_percent=1.0, memory_percent=1.0, memory_mb=1.0, disk_free_mb=free_mb))


def unfit(needs, problem=PROBLEM, lack="packages"):
    return batch_of(GPU3, e.HostUnfit(run=RUN, needs=needs, lack=lack, problem=problem))


@pytest.fixture
def home(tmp_path):
    queued_experiment(tmp_path)
    return tmp_path


def needs_of(home):
    with Reader(home) as reader:
        return needs_digest(None, reader.experiment("x").arms[0].environment)


def said(home):
    with Reader(home) as reader:
        return why_queued(reader, status(reader)["experiments"])


def test_what_a_host_lacks_is_said_where_a_run_waits_for_it(home):
    write_log(home, joined(), unfit(needs_of(home)), unfit(needs_of(home)))
    assert said(home) == [f"x: gpu3 {PROBLEM}"]
    assert f"gpu3 {PROBLEM} (x)" in as_text(home)
    write_log(home, joined())
    assert said(home) != [], "its agent is the same"
    write_log(home, joined("another"))
    assert said(home) == []
    assert PROBLEM not in as_text(home)


def test_what_it_lacks_for_others_is_not(home):
    write_log(home, joined(), batch_of(GPU3, e.HostUnfit(run="y/a/0", needs="0" * 64, lack="code", problem=PROBLEM)))
    assert said(home) == []


def test_a_host_that_is_not_there_is_not_said_to_lack_anything(home):
    write_log(home, joined(), unfit(needs_of(home)), batch_of(GPU3, e.HostLeft()))
    assert said(home) == []
    assert PROBLEM not in as_text(home)


def test_of_a_disk_the_last_report_counts(home):
    write_log(home, joined(), unfit(needs_of(home), "has no room", "disk"), sampled(12.0))
    full = "gpu3 has 12 MB free on its disk: no run begins there with less than 64"
    assert said(home) == [full]
    assert full in as_text(home)
    write_log(home, sampled(5000.0))
    assert said(home) == []
    with Reader(home) as reader:
        assert hosts(reader)[0].disk_free_mb == 5000.0


@pytest.mark.parametrize("ended", [e.HostLost(detail="silent for 120 s"), e.HostRevoked(operator="me@here")])
def test_a_host_was_last_heard_when_it_last_reported_and_not_when_it_was_given_up(home, ended):
    sample = e.ResourcesSampled(cpu_percent=1.0, memory_percent=1.0, memory_mb=1.0, disk_free_mb=1.0)
    write_log(home, joined(), batch_of(GPU3, sample, at=5), batch_of(GPU3, ended))
    with Reader(home) as reader:
        joined_at = reader.connection.execute("SELECT at FROM events WHERE kind = 'HostJoined'").fetchone()[0]
        assert hosts(reader)[0].at == joined_at
    later = joined_at + 1
    write_log(home, batch_of(GPU3, sample, at=later), batch_of(GPU3, ended))
    with Reader(home) as reader:
        assert hosts(reader)[0].at == later


@pytest.mark.parametrize(("seconds", "words"), [(1, []), (75, ["gpu3: silent for 1m 15s"])])
def test_of_a_host_that_is_silent_it_is_said_where_its_runs_are_shown(home, seconds, words):
    at = round((time.time() - seconds) * 1e6)
    write_log(home, batch_of(GPU3, e.HostJoined(pid=1, incarnation="i", cpus=(0,), gpus=(), memory_mb=1.0), at=at))
    write_log(home, batch_of(RUN, e.AttemptStarted(epoch=1, host="gpu3", cpu=0)))
    with Reader(home) as reader:
        found = why_silent(reader, status(reader)["experiments"])
    assert found == [f"{each}; what trains there is shown as it was last heard" for each in words]
