"""What looks after a home: the past rebuilt, the check, the backup, the collection of checkpoints."""

import asyncio
import logging
import os
import random
import sqlite3
import stat
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from lander.app import client
from lander.cli.main import main
from lander.home.artifacts import write_artifact
from lander.home.layout import artifact_path
from lander.home.lock import HomeLock, show_full
from lander.home.partial_artifact import PartialArtifact
from lander.protocol import events as e
from lander.protocol.commands import Accepted
from lander.protocol.errors import HomeError, NotFoundError
from lander.store.log.event_store import batch_of
from lander.store.log.reader import DATABASE, Reader
from lander.store.projections import rebuild as rebuilding
from lander.store.projections.projections import TABLES
from lander.store.projections.rebuild import rebuild
from lander.store.projections.status import status
from lander.store.records.run_record import Record
from lander.store.upkeep import retention
from lander.store.upkeep.backup import back_up
from lander.store.upkeep.integrity import check
from lander.store.upkeep.retention import Retention
from lander.store.writers import upgrade
from lander.store.writers.sqlite_store import SqliteEventStore
from tests.support.command_line import lander, start
from tests.support.histories import experiment, histories, submitted
from tests.support.live_home import LiveHome
from tests.support.tampering import tampered
from tests.support.written_homes import OTHER, RUN, attempt, checkpoint, episode, queued_experiment, sha256, steps, write_log


def saved(home, step, which, content):
    model = home / "experiments" / "x" / "models" / f"v-0-{which}.zip"
    model.parent.mkdir(parents=True, exist_ok=True)
    model.write_bytes(content)
    return e.ModelSaved(step=step, path=str(model.relative_to(home)), sha256=sha256(content), which=which)


@pytest.fixture
def home(tmp_path):
    """A run that was killed once, with checkpoints that share pages, and one that has completed, with its models."""
    home = tmp_path / "home"
    queued_experiment(home)
    first, best = saved(home, 1, "best", b"first"), saved(home, 2, "best", b"best")
    final = saved(home, 2, "final", b"a model")
    write_log(
        home,
        *attempt(
            1, steps(0, 4), episode(3), checkpoint(home, 4, pages=["a"]), steps(4, 9, 1.0), checkpoint(home, 9, "lost", ["a"])
        ),
        *attempt(2, steps(4, 6), checkpoint(home, 6, pages=["a", "b"]), from_step=4, from_episode=1, ended=False),
        *attempt(1, steps(0, 2), first, best, checkpoint(home, 2, "done", finished=True), final, run=OTHER, cause="completed"),
        batch_of(OTHER, e.RunCompleted()),
    )
    return home


def wrong(home):
    """What the check finds wrong, by part."""
    return {finding.part: finding.detail for finding in check(home) if not finding.ok}


# --- the past ---------------------------------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories())
def test_a_rebuild_at_every_position_is_what_the_tables_held_then(groups):
    """Of any history, even of those that no trainer would write: the status as it was after each commit."""

    async def live(home):
        seen = {}
        store = await SqliteEventStore.open(home / DATABASE)
        try:
            for group in groups:
                await store.append(*group)
                with Reader(home) as reader:
                    seen[reader.position()] = status(reader)
        finally:
            await store.close()
        return seen

    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        seen = asyncio.run(live(home))
        with Reader(home) as reader:
            for position, then in seen.items():
                with rebuild(reader, position) as past:
                    assert status(past) == then
        assert wrong(home).keys() <= {"artifacts", "models"}  # which nobody has written


def test_status_shows_how_things_stood_at_a_position(home, capsys):
    with Reader(home) as reader:
        end = reader.position()
    assert main(["status", "--home", str(home), "--position", "3"]) == 0
    assert "2 runs: 2 queued" in capsys.readouterr().out
    assert main(["status", "--home", str(home), "--position", str(end)]) == 0
    at_end = capsys.readouterr()
    assert at_end.err == f"lander-ctl: this is how things stood at position {end}\n"
    with HomeLock(home):
        assert main(["status", "--home", str(home)]) == 0
    assert capsys.readouterr().out == at_end.out
    assert main(["status", "--home", str(home), "--position", str(end + 1)]) == 3
    assert f"the log ends at position {end}" in capsys.readouterr().err
    assert main(["status", "--home", str(home), "--position", "1", "--watch"]) == 2
    assert "--position does not go with --watch" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["", "/v", "/v/0"])
def test_status_names_the_position_from_which_an_experiment_is_there(home, capsys, place):
    """Positions are committed in groups, and nobody sees a state within one: it is there from the end of its commit on."""
    with Reader(home) as reader:
        before = reader.position()
    other = experiment("other")
    submission = [batch_of("other", submitted(other)), *(batch_of(run.id, e.RunQueued()) for run in other.runs)]
    write_log(home, groups=[[batch_of(RUN, e.WarningRaised(message=""))], submission])
    there, shown = before + 4, before + 1
    where = {shown - 1: f"{shown - 1}", shown: f"{shown}"}
    where |= {at: f"{shown}, the last commit before position {at}" for at in (shown + 1, shown + 2)}
    for at, words in where.items():
        assert main(["status", f"other{place}", "--home", str(home), "--position", str(at)]) == 3
        said = f"lander-ctl: other: was not there yet at position {words}; it is from position {there} on\n"
        assert capsys.readouterr().err == said
    assert main(["status", f"other{place}", "--home", str(home), "--position", str(there)]) == 0
    assert f"stood at position {there}\n" in capsys.readouterr().err


def test_a_position_may_be_given_as_it_was_before_there_was_position(home, capsys):
    """`--at` is a checkpoint everywhere else, so it is not in the help."""
    for option in ("--at", "--position"):
        assert main(["status", "--home", str(home), option, "3"]) == 0
        assert "2 runs: 2 queued" in capsys.readouterr().out
    assert main(["status", "--help"]) == 0
    assert "--at" not in capsys.readouterr().out


def test_within_a_commit_nobody_ever_saw_how_things_stood(home, capsys):
    """A run's failure is recorded with what becomes of the run: in between it would be queued."""
    with Reader(home) as reader:
        before = reader.position()
    write_log(home, groups=[[batch_of(RUN, e.AttemptEnded(epoch=2, cause="crashed"), e.RunFailed(cause="crashed"))]])
    assert main(["status", "--home", str(home), "--at", str(before + 1)]) == 0
    shown = capsys.readouterr()
    assert f"stood at position {before}, the last commit before position {before + 1}\n" in shown.err
    assert "1 completed, 1 running" in shown.out
    assert main(["status", "--home", str(home), "--at", str(before + 2)]) == 0
    assert "1 completed, 1 failed" in capsys.readouterr().out


def test_what_completed_meanwhile_was_not_stopped(home, monkeypatch, capsys):
    def stop(of, kind, target):
        write_log(home, batch_of(RUN, e.AttemptEnded(epoch=2, cause="completed"), e.RunCompleted()))
        return Accepted(subject=target)

    monkeypatch.setattr(client, "operate", stop)
    assert main(["stop", "x", "--home", str(home)]) == 0
    assert capsys.readouterr().out == "x: stopped 0 of 2 runs\n"


async def test_bringing_a_large_log_up_to_date_is_told(home, monkeypatch, caplog):
    monkeypatch.setattr(upgrade, "PROGRESS_SECONDS", 0.0)
    monkeypatch.setattr(rebuilding, "_EVERY", 5)
    with Reader(home) as reader:
        events = reader.position()
    tampered(home, "PRAGMA user_version = 1")
    caplog.set_level(logging.INFO)
    await (await SqliteEventStore.open(home / DATABASE)).close()
    told = [message.rpartition(": ")[2] for message in caplog.messages if str(home / DATABASE) in message]
    first = f"written by an older version; bringing it up to date ({events} events)"
    assert (told[0], told[1], told[-1]) == (first, f"5 of {events} events", "up to date")
    assert wrong(home) == {}


def test_up_brings_a_home_of_an_older_version_up_to_date(tmp_path):
    home = tmp_path / "home"
    queued_experiment(home)
    write_log(
        home,
        batch_of("x", e.ExperimentStopped()),
        batch_of(RUN, e.RunStopped(reason="operator")),
        batch_of(OTHER, e.RunStopped(reason="operator")),
    )
    tampered(home, "PRAGMA user_version = 1")
    live_home = LiveHome(home)
    try:
        assert lander(home, "status")[0] == 2  # the control
        assert lander(home, "up")[0] == 0
        assert lander(home, "status")[0] == 0
    finally:
        live_home.close()


def test_status_says_that_the_disk_is_full(home, capsys):
    with HomeLock(home):
        show_full(home, True)
        assert main(["status", "--home", str(home)]) == 0
        assert "no space left on the disk: trainers wait" in capsys.readouterr().err
        show_full(home, False)
        assert main(["status", "--home", str(home)]) == 0
        assert capsys.readouterr().err == ""


# --- the check --------------------------------------------------------------------------------------------------------


def test_a_whole_home_passes_and_is_not_written_to(home, capsys):
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*") if path.is_file()}
    assert main(["check", "--home", str(home)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0].strip() for line in lines] == [
        "file", "schema", "hash chain", "sequences", "events", "deletions", "projections", "artifacts", "models",
    ]  # fmt: skip
    assert all(" ok " in line for line in lines)
    assert {path: path.stat().st_mtime_ns for path in before} == before


DAMAGES = {
    "an event was changed": (
        "UPDATE events SET at = at + 1 WHERE position = 5",
        "hash chain",
        "breaks between positions 5 and",
    ),
    "an event is gone": ("DELETE FROM events WHERE position = 6", "hash chain", "breaks"),
    "the end was cut off": (
        "DELETE FROM events WHERE position = (SELECT max(position) FROM events);"
        "DELETE FROM commits WHERE last_position = (SELECT max(last_position) FROM commits)",
        "hash chain",
        "its end was cut off",
    ),
    "a number is missing": ("UPDATE events SET seq = seq + 1 WHERE position = 10", "sequences", "x/"),
    "a table says otherwise": ("UPDATE progress SET step = 5 WHERE run = 'x/baseline/0'", "projections", "differs in step"),
    "a row is missing": ("DELETE FROM episodes", "projections", "is missing; the events say otherwise"),
    "a trigger is gone": ("DROP TRIGGER events_are_not_deleted", "schema", "missing: trigger events_are_not_deleted"),
    "a table was added": ("CREATE TABLE mine (x)", "schema", "not ours: table mine"),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_what_was_tampered_with_is_found(home, what, capsys):
    assert wrong(home) == {}  # the control: it was whole
    statement, part, words = DAMAGES[what]
    if what == "a trigger is gone":
        with closing(sqlite3.connect(home / DATABASE)) as connection:
            connection.execute(statement)
    else:
        tampered(home, *statement.split(";"))
    found = wrong(home)
    assert words in found[part]
    assert main(["check", "--home", str(home)]) == 1
    assert f"{part.ljust(12)} WRONG" in capsys.readouterr().out


def test_a_file_that_is_not_the_log_any_more_is_told_without_a_traceback(home):
    path = home / DATABASE
    content = bytearray(path.read_bytes())
    content[8192:9216] = bytes(1024)
    path.write_bytes(content)
    assert wrong(home)


def test_every_flipped_bit_is_found_or_changes_nothing(home):
    """And whatever it does to whoever reads, the check says so instead of failing."""
    path = home / DATABASE
    whole, content = path.read_bytes(), _content(home)
    chance = random.Random(0)
    places = [place for place, byte in enumerate(whole) if byte]
    found = 0
    for place in chance.sample(places, 60):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped)
        wrongs = wrong(home)
        assert wrongs or _content(home) == content, place
        found += bool(wrongs)
    assert found > 30


def _content(home):
    with closing(sqlite3.connect(f"file:{home / DATABASE}?mode=ro", uri=True)) as connection:
        tables = ("sqlite_master", "streams", "events", "commits", "bookmark", *TABLES)
        return [connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in tables]


def test_a_lost_and_a_damaged_checkpoint_are_found(home):
    with Reader(home) as reader:
        first, second = Record(reader, RUN).checkpoints()
    artifact_path(home, second.pages[1]).unlink()
    assert "is missing: the checkpoint of x/baseline/0 at step 6" in wrong(home)["artifacts"]
    artifact_path(home, first.sha256).write_bytes(b"other")
    assert "is damaged: the checkpoint of x/baseline/0 at step 4" in wrong(home)["artifacts"]


NO_FILES = {
    "a symbolic link": lambda path, aside: path.symlink_to(aside),
    "a directory": lambda path, aside: path.mkdir(),
    "a socket": lambda path, aside: os.mknod(path, stat.S_IFSOCK | 0o600),
    "a FIFO": lambda path, aside: os.mkfifo(path),
}


@pytest.mark.parametrize("what", NO_FILES)
def test_what_is_no_regular_file_is_found_and_not_waited_for(home, what, tmp_path):
    """A link to the same content, too: what it leads to may change without the home."""
    path, aside = artifact_path(home, sha256(b"page a")), tmp_path / "aside"
    path.rename(aside)
    NO_FILES[what](path, aside)
    assert f"{path} is {what} and not a regular file: the checkpoint of x/baseline/0" in wrong(home)["artifacts"]
    assert sha256(b"page a") in back_up(home, tmp_path / "copy").lost
    assert write_or_refuse(home, b"page a") == (what != "a directory")
    assert ("artifacts" in wrong(home)) == (what == "a directory"), "to write it again replaces it"


def write_or_refuse(home, content):
    try:
        write_artifact(home, content)
    except IsADirectoryError:
        return False
    return True


@pytest.mark.parametrize("which", ["final", "best"])
def test_a_damaged_model_is_found(home, which):
    (home / f"experiments/x/models/v-0-{which}.zip").write_bytes(b"another")
    assert f"is damaged: the {which} model of x/v/0" in wrong(home)["models"]


# --- collection -------------------------------------------------------------------------------------------------------


def several(*returns, finished=()):
    names = dict.fromkeys(("digest", "weights", "sha256"), "0" * 64)
    return [
        e.CheckpointCommitted(step=step, episodes=0, mean_return=value, finished=step in finished, **names)
        for step, value in enumerate(returns, 1)
    ]


def test_what_is_kept():
    kept = Retention(3, 10).kept(several(*[1.0] * 6, 9.0, *[1.0] * 18, finished=[2]))
    assert [found.step for found in kept] == [2, 7, 10, 20, 23, 24, 25]
    assert [found.step for found in Retention(1, 0).kept(several(None, float("nan"), 2.0, None))] == [3, 4]
    assert [found.step for found in Retention(1, 0).kept(several(None, None))] == [2]
    assert Retention().kept([]) == []


def test_the_best_in_evaluation_is_kept_as_well():
    found = several(1.0, 9.0, 1.0, 1.0, 1.0)
    evaluated = [
        each.model_copy(update={"evaluation": value})
        for each, value in zip(found, [5.0, None, 7.0, float("nan"), 7.0], strict=True)
    ]
    assert [each.step for each in Retention(1, 0).kept(evaluated)] == [2, 3, 5]


def test_collection_deletes_what_nothing_needs_and_the_check_agrees(home, capsys):
    with Reader(home) as reader:
        first, second = Record(reader, RUN).checkpoints()
    everything = {path.name for path in retention.artifact_files(home)}
    age(home, 2 * retention.UNTOUCHED_SECONDS)
    assert main(["gc", "--home", str(home), "--keep", "1", "--keep-every", "0"]) == 0
    assert "x/baseline/0: 1 of 3 checkpoints are kept" in capsys.readouterr().out
    assert {path.name for path in retention.artifact_files(home)} == everything
    assert main(["gc", "--home", str(home), "--keep", "1", "--keep-every", "0", "--delete"]) == 0
    assert "deleted 2 files" in capsys.readouterr().out
    left = {path.name for path in retention.artifact_files(home)}
    assert set(second.files) <= left  # the page that it shares with the first, too
    assert first.sha256 not in left
    assert wrong(home) == {}
    artifact_path(home, second.sha256).unlink()
    assert "is missing" in wrong(home)["artifacts"]  # the control: only what was collected is missed by nobody
    assert main(["gc", "--home", str(home), "--keep", "1", "--delete"]) == 0
    assert "nothing to delete" in capsys.readouterr().out


def age(home, seconds):
    then = time.time() - seconds
    for path in retention.artifact_files(home):
        os.utime(path, (then, then))


def test_what_may_just_be_being_written_is_left_alone_and_counted(home, capsys):
    """A checkpoint not yet announced; and one that a run, gone back, or another like it, is making again bit for bit."""
    fresh = artifact_path(home, sha256(b"not yet announced"))
    fresh.parent.mkdir(parents=True, exist_ok=True)
    fresh.write_bytes(b"not yet announced")
    superseded = artifact_path(home, sha256(b"9 lost"))
    with Reader(home) as reader:
        now = time.time()
        found = retention.garbage(reader, Retention(1, 0), now)
        assert (found.files, found.recent) == ((), 3)
        later = retention.garbage(reader, Retention(), now + 2 * retention.UNTOUCHED_SECONDS)
        assert (set(later.files), later.recent) == ({fresh, superseded}, 0)
    assert main(["gc", "--home", str(home), "--keep", "1", "--keep-every", "0"]) == 0
    assert "3 files of the last hour stay for now: a run may just be writing them" in capsys.readouterr().out
    write_log(home, batch_of(RUN, e.AttemptEnded(epoch=2, cause="crashed")))
    with Reader(home) as reader:
        assert retention.garbage(reader, Retention(), now).files == ()  # it waits, to train again
    write_log(home, batch_of(RUN, e.RunFailed(cause="crashed")))
    with Reader(home) as reader:
        assert retention.garbage(reader, Retention(), now).files == (superseded,)


def test_the_beginning_of_a_file_stays_as_long_as_it_may_go_on(home):
    """From another machine: what has arrived waits an hour for the rest."""
    partial = PartialArtifact(home, sha256(b"not whole"))
    partial.append(b"not")
    partial.close()
    with Reader(home) as reader:
        now = time.time()
        assert partial.partial not in retention.garbage(reader, Retention(), now).files
        assert partial.partial in retention.garbage(reader, Retention(), now + 2 * retention.UNTOUCHED_SECONDS).files


def test_what_is_touched_before_it_is_deleted_stays(home):
    """Some run has made the same file again, and is about to announce it."""
    superseded = artifact_path(home, sha256(b"9 lost"))
    age(home, 2 * retention.UNTOUCHED_SECONDS)
    with Reader(home) as reader:
        found = retention.garbage(reader, Retention(), time.time())
    assert found.files == (superseded,)
    superseded.touch()
    assert retention.delete(home, found) == (0, 0)
    assert superseded.exists()
    age(home, 2 * retention.UNTOUCHED_SECONDS)
    assert retention.delete(home, found) == (1, len(b"9 lost"))
    assert not superseded.exists()


def test_what_was_collected_is_missed_all_the_same_once_a_run_needs_it(home):
    """Another run has made the very same file, and its last checkpoint consists of it."""
    superseded = artifact_path(home, sha256(b"9 lost"))
    age(home, 2 * retention.UNTOUCHED_SECONDS)
    assert main(["gc", "--home", str(home), "--delete"]) == 0
    assert wrong(home) == {}
    write_log(home, batch_of(RUN, checkpoint(home, 9, "lost", ["a"]), producer=2))
    assert wrong(home) == {}  # it is there again
    superseded.unlink()
    assert "is missing: the checkpoint of x/baseline/0 at step 9" in wrong(home)["artifacts"]
    found = back_up(home, home.with_name("copy"))
    assert found.lost == (superseded.name,)


def test_two_collections_at_once_note_what_both_delete(home):
    """Each reads what is noted, adds its own and writes: one after the other."""
    names = [sha256(f"{number}".encode()) for number in range(2)]
    paths = [artifact_path(home, name) for name in names]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    age(home, 60)
    barrier = threading.Barrier(2)

    def delete(path):
        barrier.wait()
        retention.delete(home, retention.Garbage(time.time(), (path,), 0, {}))

    for _ in range(10):
        (home / "artifacts" / retention.COLLECTED).unlink(missing_ok=True)
        with ThreadPoolExecutor() as pool:
            list(pool.map(delete, paths))
        assert set(names) <= retention.collected(home)


# --- backup -----------------------------------------------------------------------------------------------------------


def test_a_backup_is_a_home_that_passes_the_check(home, tmp_path, capsys):
    age(home, 2 * retention.UNTOUCHED_SECONDS)
    assert main(["gc", "--home", str(home), "--keep", "1", "--keep-every", "0", "--delete"]) == 0
    capsys.readouterr()
    copy = tmp_path / "backups" / "monday"
    assert main(["backup", str(copy), "--home", str(home)]) == 0
    with Reader(home) as reader, Reader(copy) as copied:
        assert status(copied) == status(reader)
        assert f"the log up to position {reader.position()}, and 6 files" in capsys.readouterr().out
    assert wrong(copy) == {}
    assert [path.name for path in copy.parent.iterdir()] == ["monday"]
    write_log(copy, batch_of(RUN, e.AttemptEnded(epoch=2, cause="crashed")))
    assert wrong(copy) == {}


def test_a_backup_says_which_model_of_a_completed_run_is_not_in_it(home, tmp_path, capsys):
    (home / "experiments/x/models/v-0-final.zip").unlink()
    assert main(["backup", str(tmp_path / "copy"), "--home", str(home)]) == 1
    said = "lander-ctl: warning: experiments/x/models/v-0-final.zip is missing or damaged, and not in the backup\n"
    assert capsys.readouterr().err.endswith(said)


def test_a_backup_is_its_owners_alone(home, tmp_path):
    back_up(home, tmp_path / "copy")
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o700


@pytest.mark.parametrize("what", NO_FILES)
def test_what_is_no_regular_file_among_the_models_ends_no_backup(home, tmp_path, what):
    models = home / "experiments/x/models"
    models.mkdir(parents=True, exist_ok=True)
    (models / "model.zip").write_bytes(b"a model")
    NO_FILES[what](models / "other.zip", models / "model.zip")
    back_up(home, tmp_path / "copy")
    copied = [path.name for path in (tmp_path / "copy/experiments/x/models").iterdir()]
    assert "model.zip" in copied
    assert "other.zip" not in copied


def test_a_backup_never_overwrites_and_never_is_half_there(home, tmp_path, monkeypatch):
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "precious").touch()
    with pytest.raises(HomeError, match="exists already"):
        back_up(home, copy)
    with pytest.raises(NotFoundError):
        back_up(tmp_path / "nowhere", tmp_path / "new")

    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lander.store.upkeep.backup.shutil.copyfileobj", fail)
    with pytest.raises(HomeError, match="No space left on device"):
        back_up(home, tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "home"]


@pytest.mark.parametrize("place", ["", "artifacts/copy", "../link/copy", "../home/../home/new"])
def test_a_backup_into_the_home_itself_is_refused_and_nothing_is_left_there(home, place):
    home.with_name("link").symlink_to(home)
    before = sorted(home.rglob("*"))
    with pytest.raises(HomeError, match=r"lies in the home .*; choose another PATH$"):
        back_up(home, home / place)
    assert sorted(home.rglob("*")) == before


def test_a_backup_tells_what_it_could_not_copy(home, tmp_path, capsys):
    with Reader(home) as reader:
        checkpoint = Record(reader, RUN).checkpoints()[-1]
    artifact_path(home, checkpoint.sha256).write_bytes(b"rotten")
    assert main(["backup", str(tmp_path / "copy"), "--home", str(home)]) == 1
    assert checkpoint.sha256 in capsys.readouterr().err
    assert not artifact_path(tmp_path / "copy", checkpoint.sha256).exists()


def test_a_backup_that_is_killed_leaves_nothing_under_the_final_name(home, tmp_path):
    """Killed as soon as it has begun to build."""
    copy = tmp_path / "backups" / "copy"
    copy.parent.mkdir()
    with start(home, "backup", copy) as process:
        while not any(copy.parent.iterdir()):
            assert process.poll() is None
        process.kill()
    assert process.returncode == -9
    assert not copy.exists()
    assert lander(home, "backup", copy)[0] == 0
    assert wrong(copy) == {}


def test_every_table_is_compared():
    """A projection table that the check does not know would be checked by nobody."""
    from lander.store.log import schema

    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(schema.script())
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert names == {*TABLES, "streams", "events", "erased", "commits", "bookmark"}
