"""The table of hosts: which launcher started each, and what an engine says."""

import json
import time
from contextlib import nullcontext

import pytest

from lander.app import host_table
from lander.cli.main import main
from lander.home.lock import HomeLock
from lander.protocol import events as e
from lander.store.log.event_store import batch_of
from tests.support.command_line import TINY, written
from tests.support.peers import new_keys
from tests.support.written_homes import write_log

JOINED = e.HostJoined(pid=1, cpus=(0, 1), gpus=(), memory_mb=2048.0)
LAB = e.launcher_stream("lab")
USED = e.LauncherConfigured(
    engine="ssh",
    options={"hosts": ("gpu1",)},
    prefix="lab-3f2a",
    min_workers=0,
    max_workers=2,
    idle_seconds=300.0,
    poll_seconds=30.0,
    operator="me@here",
)


@pytest.fixture
def home(tmp_path):
    """Two jobs of a launcher, of which the first has a worker; and the supervisor's own machine."""
    write_log(
        tmp_path,
        batch_of(e.host_stream("local"), JOINED),
        batch_of(
            LAB,
            USED,
            e.WorkersOrdered(batch="lab-3f2a-1", number=2, token="t"),
            e.WorkersLaunched(batch="lab-3f2a-1", names=("lab-3f2a-1-1", "lab-3f2a-1-2"), ids=("gpu1/1", "gpu1/2")),
        ),
        batch_of(e.host_stream("lab-3f2a-1-1"), JOINED),
    )
    return tmp_path


def rows(home):
    """The state and the launcher of each host."""
    found = json.loads(host_table.as_json(home))
    return {host["name"]: (host["state"], host["launcher"]) for host in found["hosts"]}


def test_it_is_said_which_workers_of_other_machines_the_supervisor_does_not_listen_for(tmp_path, capsys):
    write_log(
        tmp_path,
        batch_of(e.host_stream("gpu3"), e.HostEnrolled(public_key=new_keys().public, token="t" * 16), JOINED),
        batch_of(e.host_stream("gpu4"), JOINED, e.HostLeft()),
    )
    try:
        assert main(["--home", str(tmp_path), "up"]) == 0
        assert main(["--home", str(tmp_path), "up"]) == 0
        assert main(["--home", str(tmp_path), "hosts"]) == 0
        file = written(tmp_path / "x.json", TINY)
        assert main(["--home", str(tmp_path), "submit", str(file)]) == 0
    finally:
        main(["--home", str(tmp_path), "down"])
    said = "1 worker of other machines (gpu3) cannot connect, since the supervisor does not listen for them: lander-ctl down"
    found = capsys.readouterr()
    assert (found.out.count(said), found.err.count(said)) == (2, 2)


def test_a_worker_is_shown_with_its_launcher_and_the_local_host_as_set_aside(home):
    assert rows(home) == {"local": ("set aside", ""), "lab-3f2a-1-1": ("online", "lab")}
    assert "launcher" in host_table.as_text(home)
    write_log(home, batch_of(LAB, e.LauncherRetired()))
    assert rows(home)["local"] == ("online", "")


def test_a_worker_whose_job_is_over_is_shown_no_more(home):
    write_log(home, batch_of(LAB, e.WorkerJobEnded(job="lab-3f2a-1-1", detail="", failed=False)))
    assert list(rows(home)) == ["local"]


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ((e.EngineReported(waiting=2, detail="(Resources)"),), "launcher lab: 2 jobs wait: (Resources)"),
        ((e.EngineReported(waiting=1),), "launcher lab: 1 job waits"),
        ((e.LaunchFailed(batch="b", detail="no\x1b[2Jpartition"),), r"launcher lab: no\u001b[2Jpartition"),
        ((e.WorkerJobEnded(job="lab-3f2a-1-2", detail="NODE_FAIL", failed=True),), "launcher lab: NODE_FAIL"),
        (
            (e.LaunchFailed(batch="b", detail="no"), e.LauncherGivenUp(failures=8, detail="no")),
            "launcher lab is given up: no; --on lab tries it again",
        ),
    ],
)
def test_what_an_engine_says_is_below_the_table(home, said, line):
    write_log(home, batch_of(LAB, *said))
    assert host_table.as_text(home).splitlines()[-1] == line


def test_a_worker_that_has_not_joined_yet_starts(home):
    assert host_table.as_text(home).splitlines()[-1] == "launcher lab: 1 worker starts"


def test_a_worker_is_shown_with_the_machine_that_its_engine_has_started_it_on(home):
    name = "lab-3f2a-2-1"
    write_log(
        home,
        batch_of(LAB, e.WorkersLaunched(batch="lab-3f2a-2", names=(name,), ids=(f"ada@gpu2/{name}",))),
        batch_of(e.host_stream(name), JOINED),
    )
    (line,) = [line for line in host_table.as_text(home).splitlines() if name in line]
    assert line.endswith("  lab: ada@gpu2")
    assert {each["name"]: each["job"] for each in json.loads(host_table.as_json(home))["hosts"]}[name] == f"ada@gpu2/{name}"


def test_a_worker_is_shown_though_an_older_log_has_had_a_job_of_its_name(home):
    name = "lab-3f2a-1-1"
    write_log(
        home,
        batch_of(LAB, e.WorkerJobEnded(job=name, detail="", failed=False)),
        batch_of(LAB, e.WorkersLaunched(batch="lab-3f2a-1", names=(name,), ids=("gpu1/3",))),
        batch_of(e.host_stream(name), JOINED),
    )
    assert rows(home)[name] == ("online", "lab")


@pytest.mark.parametrize("minutes", [1, 300])
def test_a_host_that_has_never_joined_is_shown_as_that_and_is_gone_once_it_is_revoked(tmp_path, minutes):
    stream, at = e.host_stream("stranger"), round((time.time() - 60 * minutes) * 1e6)
    write_log(tmp_path, batch_of(stream, e.HostEnrolled(public_key=new_keys().public, token="t"), at=at))
    assert rows(tmp_path) == {"stranger": ("enrolled", "")}
    state = "enrolled, measuring" if minutes == 1 else "enrolled, never joined"
    table, *said = host_table.as_text(tmp_path).partition(f"stranger  {state}")[2].splitlines()
    assert table.endswith(" ago")
    way_out = "start its worker again, or remove it with lander-ctl hosts revoke stranger"
    assert said == [f"stranger: used its token 5h ago and has never joined; {way_out}"] * (minutes > 10)
    write_log(tmp_path, batch_of(stream, e.HostRevoked(operator="me")))
    assert rows(tmp_path) == {}
    write_log(tmp_path, batch_of(stream, e.HostEnrolled(public_key=new_keys().public, token="t"), JOINED))
    write_log(tmp_path, batch_of(stream, e.HostRevoked(operator="me")))
    assert rows(tmp_path) == {"stranger": ("revoked", "")}, "what has trained there stays known"


def test_without_a_launcher_there_is_no_column_for_one(tmp_path):
    write_log(tmp_path, batch_of(e.host_stream("local"), JOINED))
    assert "launcher" not in host_table.as_text(tmp_path)


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_without_a_supervisor_the_hosts_are_shown_as_of_its_last_record_and_that_is_said(home, capsys, options):
    alone = f"lander-ctl: no supervisor is running: this is how things stood; lander-ctl up --home {home} carries on\n"
    for held, said in ((True, ""), (False, alone)):
        with HomeLock(home) if held else nullcontext():
            assert main(["hosts", "--home", str(home), *options]) == 0
        assert capsys.readouterr().err == said


@pytest.mark.parametrize(
    ("ahead", "round_trip", "column", "said"),
    [
        (3600.0, 0.2, "+1h 0m", "far: its clock is 1h 0m ahead of this machine's: "),
        (-75.0, 0.2, "-1m 15s", "far: its clock is 1m 15s behind this machine's: "),
        (4.0, 0.2, "+4.0s", ""),
        (8.0, 10.0, "+8.0s", ""),
        (0.0, 0.2, "0s", ""),
    ],
    ids=["ahead", "behind", "a little", "within the uncertainty", "right"],
)
def test_the_offset_of_each_workers_clock_is_shown_and_said_where_it_is_wrong(tmp_path, ahead, round_trip, column, said):
    now = round(time.time() * 1e6)
    sent = now + round((ahead - round_trip / 2) * 1e6)
    sample = {"cpu_percent": 1.0, "memory_percent": 1.0, "memory_mb": 1.0, "disk_free_mb": 1e5}
    far = batch_of(e.host_stream("far"), e.ResourcesSampled(sent_at=sent, round_trip=round_trip, **sample), at=now)
    local = batch_of(e.host_stream("local"), e.ResourcesSampled(**sample), at=now)
    write_log(tmp_path, *(batch_of(e.host_stream(name), JOINED) for name in ("far", "local")), far, local)
    ours, theirs = (host["clock"] for host in json.loads(host_table.as_json(tmp_path))["hosts"])
    assert ours is None
    assert theirs == {"offset": pytest.approx(ahead, abs=1e-5), "uncertainty": round_trip / 2}
    head, _, line, *rest = host_table.as_text(tmp_path).splitlines()
    assert "clock" in head
    assert column in line
    assert [each.startswith(said) for each in rest] == [True] * bool(said)
    write_log(tmp_path, batch_of(e.host_stream("far"), e.HostLeft()))
    assert "clock" not in host_table.as_text(tmp_path)


def test_why_the_files_of_a_host_wait_is_below_the_table(tmp_path):
    why = "2 files wait: s3://bucket: Generic S3 error: 403 Forbidden"
    sample = e.ResourcesSampled(cpu_percent=1.0, memory_percent=1.0, memory_mb=1.0, disk_free_mb=5000.0, files_wait=why)
    write_log(tmp_path, batch_of(e.host_stream("far"), JOINED), batch_of(e.host_stream("far"), sample))
    assert host_table.as_text(tmp_path).splitlines()[-1] == f"far: {why}"
    assert json.loads(host_table.as_json(tmp_path))["hosts"][0]["files_wait"] == why
