"""A log with an event that this version cannot read opens all the same; the experiment it belongs to is left alone."""

import sqlite3

import pytest

from lander.app import service
from lander.cli.main import main
from lander.experiments.execution import execution_with
from lander.home.layout import artifact_path
from lander.protocol import commands as c
from lander.protocol import events as e
from lander.protocol import wire
from lander.protocol.errors import StoreError
from lander.reports.analysis import comparison
from lander.store.log import chain
from lander.store.log.event_store import batch_of
from lander.store.log.reader import DATABASE, Reader
from lander.store.log.stored_events import consequential
from lander.store.projections.status import every_run_completed, status
from lander.store.records.tries import OtherTries
from lander.store.upkeep.backup import back_up
from lander.store.upkeep.integrity import check
from lander.store.upkeep.retention import Retention, garbage
from lander.supervisor.core.fold import fold
from tests.support.histories import HOST, experiment, origin
from tests.support.histories import checkpoint as checkpoint_at
from tests.support.in_process_supervisor import in_process_supervisor
from tests.support.written_homes import attempt, checkpoint, queued_experiment, sha256, write_log

BIG = {"environment_kwargs": {"text": "x" * 61_000}, "variants": [f"v{number}" for number in range(18)]}
BIG_RUN = "big/baseline/0"


@pytest.fixture
def without_limit(monkeypatch):
    """As an earlier version wrote, which did not look how large an event is; `undo` makes it this version again."""
    monkeypatch.setattr(wire, "MAX_FRAME", 4 << 20)
    return monkeypatch


@pytest.fixture
def home(tmp_path, without_limit):
    """A home with an experiment whose submission cannot be read, between two that can."""
    queued_experiment(tmp_path, "first")
    queued_experiment(tmp_path, "big", **BIG)
    write_log(tmp_path, *attempt(1, checkpoint(tmp_path, 10), run=BIG_RUN))
    queued_experiment(tmp_path, "x")
    without_limit.undo()
    return tmp_path


def add_unreadable(home, stream, kind="WarningRaised", body=b"\xc1"):
    """An event that no version can read, at the end of the log."""
    with sqlite3.connect(home / DATABASE) as connection:
        (position, link) = connection.execute(
            "SELECT last_position, chain FROM commits ORDER BY last_position DESC LIMIT 1"
        ).fetchone()
        names = dict(connection.execute("SELECT name, id FROM streams"))
        number = names.get(stream, len(names) + 1)
        new = [] if stream in names else [(number, stream)]
        connection.executemany("INSERT INTO streams (id, name) VALUES (?, ?)", new)
        (seq,) = connection.execute(
            "SELECT coalesce(max(seq), 0) + 1 FROM events WHERE stream = ? AND producer = 0", (number,)
        ).fetchone()
        row = (position + 1, number, 0, seq, kind, 1, body)
        connection.execute(
            "INSERT INTO events (position, stream, producer, seq, kind, at, body) VALUES (?, ?, ?, ?, ?, ?, ?)", row
        )
        connection.execute(
            "INSERT INTO commits (last_position, chain) VALUES (?, ?)", (position + 1, chain.link(link, new, [row]))
        )
        connection.execute("UPDATE bookmark SET position = ?", (position + 1,))
    connection.close()


async def supervised(home, *commands):
    """The answers of a supervisor of this home; it leaves afterwards."""
    async with in_process_supervisor(home) as in_process:
        client = in_process.peer("client")
        return [await client.ask(command) for command in commands], in_process.supervisor.state


def submission(name, **settings):
    return c.SubmitExperiment(experiment=experiment(name, **settings), execution=execution_with(), manifest={})


def state_of(home):
    with Reader(home) as reader:
        return fold(consequential(reader.connection))


def findings(home):
    return {finding.part: finding for finding in check(home)}


# --- the supervisor ---------------------------------------------------------------------------------------------------


async def test_the_home_opens_and_the_other_experiments_go_on(home):
    answers, state = await supervised(home, submission("new"), c.StopTarget(target="x", operator="me"))
    assert [type(answer) for answer in answers] == [c.Accepted, c.Accepted]
    assert list(state.experiments) == ["first", "x", "new"]
    assert all(run.experiment != "big" for run in state.runs.values())
    assert list(state.quarantined) == ["big"]
    assert state.runs["x/baseline/0"].state == "stopped"


@pytest.mark.parametrize(
    "command",
    [
        submission("big"),
        submission("fork", origin=origin({0: checkpoint_at(10)}, of=("big", "baseline"))),
        c.StopTarget(target="big", operator="me"),
        c.ResumeTarget(target=BIG_RUN, operator="me"),
    ],
)
async def test_nothing_is_recorded_of_an_experiment_in_quarantine(home, command):
    ((answer,), _) = await supervised(home, command)
    assert isinstance(answer, c.Refused)
    assert answer.error == "conflict"
    assert "big: quarantined, since event" in answer.detail
    assert "over the frame limit" in answer.detail


async def test_its_trainers_are_ended_and_their_keys_are_refused(home):
    async with in_process_supervisor(home) as in_process:
        host = in_process.peer("host")
        await host.say(c.JoinHost(name=HOST, pid=1, cpus=(), memory_mb=1.0, trainers=(c.TrainerKey(run=BIG_RUN, epoch=1),)))
        assert await host.hear() == c.EndTrainer(run=BIG_RUN, epoch=1, grace=0.0)
        assert in_process.supervisor.principals.trainer(BIG_RUN, 1) is None


async def test_a_version_that_can_read_it_goes_on(home, without_limit):
    await supervised(home)
    without_limit.setattr(wire, "MAX_FRAME", 4 << 20)
    _, state = await supervised(home)
    assert list(state.experiments) == ["first", "big", "x"]
    assert state.runs[BIG_RUN].checkpoints
    with Reader(home) as reader:
        assert [each["state"] for each in status(reader)["experiments"]] == ["queued"] * 3
    assert all(finding.ok for finding in check(home))


async def test_a_home_of_an_older_version_is_brought_up_to_date(home):
    with sqlite3.connect(home / DATABASE) as connection:
        connection.execute("PRAGMA user_version = 3")
    connection.close()
    _, state = await supervised(home)
    assert list(state.quarantined) == ["big"]
    with Reader(home) as reader:
        assert [each["state"] for each in status(reader)["experiments"]] == ["queued", "quarantined", "queued"]


def test_an_event_of_an_unknown_kind_puts_its_experiment_in_quarantine(tmp_path):
    queued_experiment(tmp_path, "x")
    add_unreadable(tmp_path, "x/v/0", "Haunted", b"\x80")
    state = state_of(tmp_path)
    assert not state.experiments
    assert not state.runs
    assert not state.under_way
    assert "Haunted" in state.quarantined["x"]


# --- what fails closed ------------------------------------------------------------------------------------------------


@pytest.fixture
def home_with_host(tmp_path):
    """A home with a host, and a run that trains there."""
    queued_experiment(tmp_path, "x")
    joined = e.HostJoined(pid=1, cpus=(0,), gpus=(), memory_mb=1.0)
    write_log(tmp_path, batch_of(e.host_stream(HOST), joined), *attempt(1, ended=False))
    return tmp_path


async def test_a_host_of_which_an_event_cannot_be_read_must_join_again(home_with_host):
    tmp_path = home_with_host
    assert state_of(tmp_path).hosts[HOST].online
    add_unreadable(tmp_path, e.host_stream(HOST), "HostRevoked", b"\x80")
    state = state_of(tmp_path)
    assert not state.hosts
    assert not state.quarantined
    async with in_process_supervisor(tmp_path) as in_process:
        host = in_process.peer("host")
        await host.say(c.JoinHost(name=HOST, pid=1, cpus=(0,), memory_mb=1.0))
        assert (await host.hear()).order.run == "x/v/0"
        (failure,) = in_process.supervisor.state.runs["x/baseline/0"].failures
        assert failure.cause == "lost_contact"


@pytest.mark.parametrize("gone", [e.HostLeft(), e.HostLost(detail="silent")], ids=lambda event: event.kind)
def test_a_host_of_which_an_event_cannot_be_read_may_be_gone_later(home_with_host, gone):
    add_unreadable(home_with_host, e.host_stream(HOST), "HostJoined", b"\x80")
    write_log(home_with_host, batch_of(e.host_stream(HOST), gone))
    state = state_of(home_with_host)
    assert not state.hosts
    assert list(state.experiments) == ["x"]


def test_an_event_of_a_stream_that_is_no_experiments_and_no_hosts_stops_the_supervisor(tmp_path):
    queued_experiment(tmp_path, "x")
    add_unreadable(tmp_path, "key:abc", "KeyRevoked", b"\x80")
    with pytest.raises(StoreError, match="key:abc: event 4"):
        state_of(tmp_path)


def test_telemetry_that_cannot_be_read_stops_nothing(tmp_path):
    queued_experiment(tmp_path, "x")
    add_unreadable(tmp_path, "x/v/0", "StepsRecorded")
    assert list(state_of(tmp_path).experiments) == ["x"]
    assert findings(tmp_path)["events"].detail.startswith("x event 4 (StepsRecorded): not msgpack")


# --- what people see --------------------------------------------------------------------------------------------------


async def test_status_and_check_say_which_experiment_is_in_quarantine_and_why(home, capsys):
    await supervised(home)
    with Reader(home) as reader:
        big, *_ = status(reader, "big")["experiments"]
        assert (big["state"], big["runs"]) == ("quarantined", [])
        assert "ExperimentSubmitted.2" in big["quarantine"]
        assert not every_run_completed([big])
        assert all(not run.startswith("big") for run in reader.states())
    assert main(["--home", str(home), "status"]) == 0
    assert "big: quarantined – event 4 (ExperimentSubmitted.2):" in capsys.readouterr().out
    found = findings(home)
    assert not found["events"].ok
    assert found["events"].detail.startswith("big is quarantined: event 4 (ExperimentSubmitted.2): ")
    assert [part for part, finding in found.items() if not finding.ok] == ["events"]


async def test_up_says_what_does_not_carry_on(home, capsys, monkeypatch):
    await supervised(home)
    monkeypatch.setattr(service, "stay", lambda home, listening: ("", True))
    assert main(["--home", str(home), "up"]) == 0
    _, *rest = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in rest] == ["big", "first", "x"]
    assert rest[0].startswith("big: quarantined, since event 4")


async def test_what_is_asked_of_it_is_refused_in_a_plain_line(home, capsys):
    await supervised(home)
    for command in (["report", "big"], ["logs", "big"], ["export", "big", "--to", "csv"]):
        assert main(["--home", str(home), *command]) == 1
        assert "lander-ctl: big: quarantined, since event 4" in capsys.readouterr().err
    assert main(["--home", str(home), "events", "big"]) == 0
    assert "cannot be read" in capsys.readouterr().out


async def test_nothing_is_collected_and_everything_is_backed_up(home, tmp_path_factory):
    kept = artifact_path(home, sha256(b"99 "))
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(b"99 ")
    await supervised(home)
    with Reader(home) as reader, pytest.raises(StoreError, match="nothing can be collected"):
        garbage(reader, Retention(), now=1e12)
    copy = tmp_path_factory.mktemp("copies") / "copy"
    back_up(home, copy)
    assert artifact_path(copy, kept.name).read_bytes() == b"99 "


def test_a_report_says_that_it_cannot_count_what_was_tried_there(home):
    with Reader(home) as reader:
        found = comparison.findings(reader, "x")
    assert found.other_tries == OtherTries(unknown=1)
    (said,) = (caveat for caveat in found.caveats if "tries" in caveat)
    assert said == "this version cannot read what 1 experiment of this home compared, so the tries there are not counted"
