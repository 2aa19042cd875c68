"""Logs of released versions, as they were written: each is read, brought up to date, and says what it always said.

Also where every table that people's files are read with says something else by now: a log decodes by itself.
"""

import contextlib
import sqlite3

import pytest

from lander.experiments.changing import changed_experiment
from lander.experiments.parsing import parse_experiment
from lander.experiments.writing import as_written
from lander.protocol.commands import SubmitExperiment
from lander.protocol.digests import digest
from lander.protocol.errors import ConfigurationError, HomeError
from lander.protocol.events import ArmAdded
from lander.store.log.event_store import batch_of
from lander.store.log.reader import DATABASE, SCHEMA_VERSION, Reader
from lander.store.projections.projections import TABLES
from lander.store.projections.status import status
from lander.store.upkeep.integrity import check
from lander.store.writers import upgrade
from lander.store.writers.sqlite_store import SqliteEventStore
from lander.supervisor.core.decide import decide
from lander.supervisor.core.fold import fold
from lander.supervisor.core.timers import Timers
from tests import golden
from tests.hooks import altered_tables

EVENTS = "SELECT position, stream, producer, seq, kind, at, body FROM events ORDER BY position"


@pytest.fixture(params=golden.VERSIONS, ids="schema-{}".format)
def version(request):
    return request.param


@pytest.fixture
def home(version, tmp_path):
    golden.unpack(version, tmp_path)
    return tmp_path


@pytest.fixture(params=["tables of today", "altered tables"])
def tables(request):
    patch = pytest.MonkeyPatch()
    if request.param == "altered tables":
        altered_tables.alter(patch)
    yield request.param
    altered_tables.restore(patch)


def rows(home, query):
    with contextlib.closing(sqlite3.connect(home / DATABASE)) as database:
        return database.execute(query).fetchall()


async def brought_up_to_date(home):
    """The supervisor's state, folded from the log after its file is of today's schema."""
    store = await SqliteEventStore.open(home / DATABASE)
    try:
        return fold(store.consequential())
    finally:
        await store.close()


async def test_an_old_log_is_brought_up_to_date_and_stays_as_it_is(home, tables):
    before = rows(home, EVENTS)
    await brought_up_to_date(home)
    assert rows(home, EVENTS) == before
    assert rows(home, "PRAGMA user_version") == [(SCHEMA_VERSION,)]
    assert {finding.part for finding in check(home) if not finding.ok} <= {"models"}  # most are not among the fixtures


async def test_the_first_log_says_what_it_always_said(tmp_path, tables):
    golden.unpack(1, tmp_path)
    state = await brought_up_to_date(tmp_path)
    with Reader(tmp_path) as reader:
        (standing,) = status(reader)["experiments"]
        assert reader.submission("golden").digest == "503fd8fddb83ca8c1eab1fcb029d1d3c9806f7bb60e34eb070eee57be96f2900"
    assert (standing["id"], standing["state"], state.experiments["golden"].state) == ("golden", "failed", "failed")
    shown = [tuple(run[name] for name in ("state", "cause", "step", "episodes", "attempt")) for run in standing["runs"]]
    assert shown == [("completed", "completed", 256, 11, 1), ("failed", "environment_error", 99, 0, 2)]


@pytest.mark.parametrize("version", golden.VERSIONS[1:], indirect=True)
async def test_the_projections_are_those_of_the_version_that_wrote_the_log(version, home, tables):
    await brought_up_to_date(home)
    numbers = [number for (number,) in rows(home, "SELECT id FROM progress")]
    for name, was in golden.expected(version)["projections"].items():
        if name in TABLES:
            columns = [column for _, column, *_ in rows(home, f"PRAGMA table_info({name})")]
            quoted = ", ".join(f'"{column}"' for column in columns)
            renumbered = golden.renumbered(columns, rows(home, f"SELECT {quoted} FROM {name}"), numbers)
            now = golden.table(columns, renumbered, was["columns"])
            assert sorted(now, key=str) == sorted(golden.table(was["columns"], was["rows"], columns), key=str), name


@pytest.mark.parametrize("version", golden.VERSIONS[1:], indirect=True)
async def test_ids_runs_and_digests_are_those_of_the_version_that_wrote_the_log(version, home, tables):
    await brought_up_to_date(home)
    with Reader(home) as reader:
        for was in golden.expected(version)["experiments"]:
            now, submission = reader.experiment(was["id"]), reader.submission(was["id"])
            assert [run.id for run in now.runs] == was["runs"]
            assert submission.digest == was["digest_in_manifest"]
            if version >= 3:  # whose rule is the first that has a number
                assert (digest(submission.experiment), digest(now)) == (was["digest_as_submitted"], was["digest"])


@pytest.mark.parametrize("version", golden.VERSIONS[2:], indirect=True)
async def test_every_default_that_decides_bits_is_in_what_is_read(home, tables):
    await brought_up_to_date(home)
    with Reader(home) as reader:
        finished = reader.experiment("finished")
    assert (finished.on_failure, finished.max_retries, finished.retry_period) == ("retry", 3, 3600)
    assert "max_retries" in finished.defaulted
    assert finished.baseline.environment == "CartPole-v1"
    assert finished.baseline.device == "cpu"
    assert finished.baseline.defaults["algorithm"]["gae_lambda"] == 0.95
    assert finished.arm("normalized").defaults["normalize"]["clip_obs"] == 10.0
    assert finished.arm("normalized").scheduled == ("learning_rate=lin_0.001",)


@pytest.mark.parametrize("version", golden.VERSIONS[2:], indirect=True)
async def test_the_altered_tables_do_alter_what_a_file_means(home, tables):
    """Negative control: whoever parsed what is recorded would read something else, or nothing at all."""
    await brought_up_to_date(home)
    with Reader(home) as reader:
        written = as_written(reader.experiment("finished"))
    if tables == "altered tables":
        with pytest.raises(ConfigurationError, match="unknown hyperparameter of PPO"):
            parse_experiment(written, source="finished")
        for arm in written["arms"]:
            arm["hyperparameters"] = {}
        read, _ = parse_experiment(written, source="finished")
        assert (read.baseline.environment, read.max_retries) == ("Acrobot-v1", 0)
    else:
        assert parse_experiment(written, source="finished")[0].baseline.environment == "CartPole-v1"


def test_an_old_log_is_not_read_before_it_is_brought_up_to_date(version, home):
    with pytest.raises(HomeError, match=rf"older version \(schema {version}\); lander-ctl up brings it up to date"):
        Reader(home)


async def test_an_upgrade_that_is_interrupted_has_not_happened(version, home, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    before = rows(home, "SELECT * FROM progress")
    monkeypatch.setattr(upgrade, "fold_into", interrupted)
    with (
        pytest.raises(KeyboardInterrupt),
        contextlib.closing(sqlite3.connect(home / DATABASE, isolation_level=None)) as database,
    ):
        upgrade.upgrade(database, home / DATABASE)
    assert rows(home, "PRAGMA user_version") == [(version,)]
    assert rows(home, "SELECT * FROM progress") == before


async def test_an_experiment_of_an_old_log_gets_an_arm(version, home):
    """Only its runs are new, and nothing that was recorded before looks different afterwards."""
    store = await SqliteEventStore.open(home / DATABASE)
    try:
        state = fold(store.consequential())
        with Reader(home) as reader:
            name = "grown" if version > 1 else "golden"
            known, before = reader.experiment(name), status(reader, name)["experiments"][0]["runs"]
        wanted = changed_experiment(known, ["variants.wide.hyperparameters.gamma=0.5"])
        message = SubmitExperiment(experiment=wanted, execution=state.experiments[name].execution, manifest={})
        decision = decide(state, message, 1.0, Timers())
        await store.append(*(batch_of(stream, event, at=1) for stream, event in decision.events))
    finally:
        await store.close()
    assert [event.arm.name for _, event in decision.events if isinstance(event, ArmAdded)] == ["wide"]
    with Reader(home) as reader:
        (standing,) = status(reader, name)["experiments"]
        added = [run["id"] for run in standing["runs"] if run["arm"] == "wide"]
        assert added == [f"{name}/wide/{seed}" for seed in known.baseline.seeds]
        interrupted = {run["id"] for run in before if run["state"] != "completed"}
        assert [run for run in standing["runs"] if run["id"] not in {*added, *interrupted}] == [
            run for run in before if run["id"] not in interrupted
        ]
        assert reader.experiment(name).arm("wide").defaults == known.baseline.defaults
    assert {finding.part for finding in check(home) if not finding.ok} <= {"models"}
