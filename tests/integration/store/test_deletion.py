"""A home with deleted experiments: the log verifies, the others are as they were, and the tries are counted as before."""

import asyncio
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lander.app import annotating, client, deletion
from lander.cli.main import main
from lander.home.artifacts import write_artifact
from lander.home.layout import artifact_path, code_directory, experiment_directory
from lander.home.processes import AGENT
from lander.protocol import commands as c
from lander.protocol import events as e
from lander.protocol.code import Code
from lander.protocol.errors import LanderError, StoreError
from lander.reports.analysis.comparison import findings
from lander.store.log import chain
from lander.store.log.event_store import batch_of
from lander.store.log.reader import DATABASE, Reader
from lander.store.projections.projections import TABLES
from lander.store.projections.rebuild import rebuild
from lander.store.projections.status import status
from lander.store.records.ancestry import episodes_with_past
from lander.store.records.tries import other_tries, recorded_tries
from lander.store.upkeep import backup
from lander.store.upkeep import deletion as removing
from lander.store.upkeep.backup import back_up
from lander.store.upkeep.deletion import remove_files, unfinished_deletions
from lander.store.upkeep.integrity import check
from lander.store.writers import erasing, writer_connection
from lander.store.writers.sqlite_store import SqliteEventStore
from tests import golden
from tests.support.histories import experiment, origin, submitted
from tests.support.in_process_supervisor import in_process_supervisor
from tests.support.live_home import LiveHome
from tests.support.tampering import tampered
from tests.support.written_homes import attempt, checkpoint, episode, queued_experiment, sha256, steps, write_log

DELETED = ("e1", "e2", "e7")
OTHERS = [name for number in range(10) if (name := f"e{number}") not in DELETED]
LONG_AGO = time.time() - 10_000


def completed(home, name, **settings):
    """An experiment of two runs that has completed, with checkpoints and models; all share the page `a`."""
    wanted = experiment(name, **settings)
    yield batch_of(name, submitted(wanted))
    for run in wanted.runs:
        first = wanted.origin.branch(run.seed).step if wanted.origin else 0
        model = experiment_directory(home, name) / "models" / f"{run.arm}-{run.seed}-final.zip"
        model.parent.mkdir(parents=True, exist_ok=True)
        model.write_bytes(run.id.encode())
        saved = e.ModelSaved(step=9, path=str(model.relative_to(home)), sha256=sha256(run.id.encode()))
        yield batch_of(run.id, e.RunQueued())
        words = [steps(first, 9), episode(9, 1.0), checkpoint(home, 9, run.id, ["a"], finished=True, episodes=1), saved]
        yield from attempt(1, *words, run=run.id, from_step=first, cause="completed")
        yield batch_of(run.id, e.RunCompleted())
    yield batch_of(name, e.ExperimentCompleted(), e.NoteAdded(text="well", operator="me@here"))


@pytest.fixture(scope="module")
def ten(tmp_path_factory):
    """Ten experiments. `e5` is a fork of `e4`; `e1` and `e4` train on the same captured code, `e7` on its own."""
    home = tmp_path_factory.mktemp("ten") / "home"
    shared, own = write_artifact(home, b"shared code"), write_artifact(home, b"the code of e7")
    at = {seed: checkpoint(home, 4, f"e4/{seed}") for seed in (0,)}
    for number in range(10):
        archive = {1: shared, 4: shared, 7: own}.get(number)
        settings = {"origin": origin(at, of=("e4", "baseline"))} if number == 5 else {}
        batches = list(completed(home, f"e{number}", training_steps=9 + number % 3, **settings))
        if archive:
            changed = batch_of(f"e{number}", e.CodeChanged(code=Code(archive=archive, modules=("m",))))
            batches.insert(1, changed)
        write_log(home, groups=[[batch] for batch in batches])
    code_directory(home, own).mkdir(parents=True)
    return home


@pytest.fixture
def home(ten, tmp_path):
    return shutil.copytree(ten, tmp_path / "home")


@pytest.fixture
def deleted(home, capsys):
    """The same home, three of whose experiments were deleted."""
    for name in DELETED:
        assert lander(home, "delete", name, "--yes") == 0
    capsys.readouterr()
    return home


def lander(home, *words):
    return main([*words, "--home", str(home)])


def wrong(home):
    """What the check finds wrong, by part."""
    return {finding.part: finding.detail for finding in check(home) if not finding.ok}


def shown(home, part):
    return next(finding.detail for finding in check(home) if finding.part == part)


def of_the_others(home):
    """Every row of every projection, and every event, that belongs to the experiments that stay."""
    with Reader(home) as reader:
        runs = dict(reader.connection.execute("SELECT id, experiment FROM progress"))
        rows = {table: reader.connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in TABLES}
        rows["remarks"] = [row[1:] for row in rows["remarks"]]
        kept = {table: [row for row in found if runs.get(row[0], row[0]) in OTHERS] for table, found in rows.items()}
        return kept, [stored for stored in reader.events() if e.experiment_of(stored.stream) in OTHERS]


# --- three of ten -----------------------------------------------------------------------------------------------------


def test_a_log_with_three_deleted_of_ten_verifies_and_the_others_are_as_they_were(home, capsys):
    before = of_the_others(home)
    assert {row[0] for row in before[0]["experiments"]} == set(OTHERS)  # the comparison compares something
    for name in DELETED:
        assert lander(home, "delete", name, "--yes") == 0
    assert wrong(home) == {}
    assert shown(home, "deletions") == "3 experiments were deleted, and 65 of their events erased"
    assert of_the_others(home) == before
    with Reader(home) as reader:
        assert {each["id"] for each in status(reader)["experiments"]} == set(OTHERS)


def test_what_others_need_stays_and_the_rest_of_the_files_goes(deleted):
    with Reader(deleted) as reader:
        assert unfinished_deletions(deleted, DELETED) == []
        assert reader.under_way() == []
    assert not any(experiment_directory(deleted, name).exists() for name in DELETED)
    assert all(experiment_directory(deleted, name).exists() for name in OTHERS)
    assert artifact_path(deleted, sha256(b"page a")).exists()
    assert not artifact_path(deleted, sha256(b"9 e1/v/0")).exists()
    assert artifact_path(deleted, sha256(b"9 e0/v/0")).exists()
    assert artifact_path(deleted, sha256(b"shared code")).exists()


def test_captured_code_goes_with_the_last_experiment_that_names_it_once_it_is_old(home):
    own = sha256(b"the code of e7")
    remove_files(home, "e7", now=time.time() + 10_000)
    assert not artifact_path(home, own).exists()
    assert not code_directory(home, own).exists()


def test_forks_and_reports_of_the_others_work(deleted, capsys):
    with Reader(deleted) as reader:
        assert [each.last_step for each in episodes_with_past(reader, "e5/baseline/0")] == [9]
        assert findings(reader, "e5").origin == "e4/baseline"
        assert len(findings(reader, "e0").arms) == 2
    assert lander(deleted, "report", "e5") == 0
    assert lander(deleted, "export", "e0", "--to", "jsonl") == 0
    assert lander(deleted, "gc") == 0


def test_the_home_counts_its_tries_as_before(home):
    def tries():
        with Reader(home) as reader:
            return other_tries(recorded_tries(reader), reader.experiment("e0"))

    before = tries()
    assert before.experiments == 3  # with the same baseline: e3, e6, e9
    lander(home, "delete", "e3", "--yes")
    assert tries() == before
    with Reader(home) as reader:
        (found,) = (each for each in recorded_tries(reader) if each.deleted)
    assert (found.experiment, found.environment, found.variants, found.decision) == ("e3", "CartPole-v1", 1, "v: undecided")


def test_a_backup_of_a_home_with_deletions_is_whole(deleted, tmp_path):
    made = back_up(deleted, tmp_path / "copy")
    assert made.lost == ()
    assert wrong(tmp_path / "copy") == {}
    assert of_the_others(tmp_path / "copy") == of_the_others(deleted)


@pytest.mark.parametrize("place", ["_copy_files", "_copy_tree"])
def test_a_backup_during_a_deletion_is_whole_and_loses_nothing(home, tmp_path, monkeypatch, place):
    def deleted_first(*arguments):
        monkeypatch.setattr(backup, place, as_it_is)
        deletion.delete(home, deletion.doomed(home, "e7"))
        return as_it_is(*arguments)

    as_it_is = getattr(backup, place)
    monkeypatch.setattr(backup, place, deleted_first)
    assert back_up(home, tmp_path / "copy").lost == ()
    assert wrong(tmp_path / "copy") == {}
    with Reader(tmp_path / "copy") as reader:
        assert reader.deleted_at("e7") is not None
    assert not experiment_directory(tmp_path / "copy", "e7").exists()


def test_the_space_comes_back(deleted, capsys):
    before = of_the_others(deleted)
    size = (deleted / DATABASE).stat().st_size
    assert lander(deleted, "compact") == 0
    assert " MB before, " in capsys.readouterr().out
    assert (deleted / DATABASE).stat().st_size < size
    assert wrong(deleted) == {}
    assert of_the_others(deleted) == before


def test_a_compaction_without_room_changes_nothing(deleted, capsys):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        assert lander(deleted, "compact") == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    (line,) = capsys.readouterr().err.splitlines()
    assert "no space left to compact it" in line
    assert "nothing was changed" in line
    assert wrong(deleted) == {}
    assert lander(deleted, "compact") == 0


# --- what is said of it -----------------------------------------------------------------------------------------------


def test_a_dry_run_says_what_would_go_and_changes_nothing(home, capsys):
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*") if path.is_file()}
    assert lander(home, "delete", "e7") == 0
    first, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith("e7: would delete 2 runs, 18 steps: 22 events, 0.0 MB of the log, and 4 files, ")
    assert rest == [
        "  stays: that it was tried, as 1 variant on CartPole-v1 (v: undecided)",
        "  stays: 1 file that other experiments need",
        f"  stays: 1 file of the last hour; lander-ctl gc --home {home} --delete collects them later",
        f"  lander-ctl delete --home {home} e7 --yes does it; it cannot be undone",
    ]
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_what_no_supervisor_would_train_is_deleted_at_once_and_the_dry_run_says_what_never_finishes(home, capsys):
    queued_experiment(home, "waiting")
    assert lander(home, "delete", "waiting") == 0
    assert "  2 of its runs are unfinished, and will never finish\n" in capsys.readouterr().out
    before = of_the_others(home)
    assert lander(home, "delete", "waiting", "--yes") == 0
    assert wrong(home) == {}
    assert of_the_others(home) == before


def test_after_a_crash_it_is_deleted_only_once_the_trainers_are_gone(home, capsys):
    """The agent of a supervisor that crashed is there, by its command line; then it is not."""
    queued_experiment(home, "left")
    write_log(home, *attempt(1, run="left/v/0", ended=False))
    program = [sys.executable, "-c", "print(flush=True); input()", AGENT, str(home.resolve())]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as agent:
        agent.stdout.readline()
        for options in ((), ("--yes",)):
            assert lander(home, "delete", "left", *options) == 2
            down = f"lander-ctl down --home {home}"
            said = f"lander-ctl: left: still trains, though no supervisor is running; {down} ends that\n"
            assert capsys.readouterr().err == said
        agent.kill()
    assert lander(home, "delete", "left", "--yes") == 0
    assert wrong(home) == {}


def test_a_hint_names_the_home_only_where_the_command_line_did(home, capsys, monkeypatch):
    monkeypatch.setenv("LANDER_HOME", str(home))
    for words, hint in (
        (["delete", "e7"], "lander-ctl delete e7 --yes does it"),
        (["delete", "e7", "--home", str(home)], f"lander-ctl delete --home {home} e7 --yes does it"),
        (["--home", str(home), "delete", "e7"], f"lander-ctl delete --home {home} e7 --yes does it"),
    ):
        assert main(words) == 0
        assert hint in capsys.readouterr().out


REFUSED = {
    "e4": (2, "e4: its fork e5 cannot do without it; delete that first"),
    "e44": (3, "e44: no such experiment; did you mean e4?"),
    "e1": (3, "e1: was deleted on "),
    "e0/v": (2, "e0/v: only a whole experiment can be deleted; lander-ctl delete "),
}


@pytest.mark.parametrize("options", [(), ("--yes",)], ids=["dry", "yes"])
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_deleted_is_refused_in_one_line(deleted, capsys, name, options):
    code, said = REFUSED[name]
    before = (deleted / DATABASE).read_bytes()
    assert lander(deleted, "delete", name, *options) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"lander-ctl: {said}")
    assert (deleted / DATABASE).read_bytes() == before


@pytest.mark.parametrize("command", ["status", "report", "logs", "verify", "wait"])
def test_every_command_says_that_it_was_deleted(deleted, capsys, command):
    assert lander(deleted, command, "e1") == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("lander-ctl: e1: was deleted on ")


def test_tombstones_are_where_the_help_of_list_says(deleted, capsys):
    assert main(["list", "--help"]) == 0
    assert "lander-ctl events --kind ExperimentDeleted\n" in capsys.readouterr().out
    assert lander(deleted, "events", "--kind", "ExperimentDeleted") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[2] for line in lines] == [*DELETED]
    assert all(" environments=[CartPole-v1] " in line for line in lines)


def test_events_show_the_tombstone_alone(deleted, capsys):
    assert lander(deleted, "events", "e1", "--json") == 0
    out, err = capsys.readouterr()
    assert out.count("\n") == 1
    assert '"kind": "ExperimentDeleted"' in out
    assert err.endswith("and its events were erased\n")


def test_the_past_does_not_show_what_was_deleted_since(deleted, capsys):
    with Reader(deleted) as reader:
        (last,) = reader.connection.execute("SELECT max(position) FROM events WHERE kind <> 'ExperimentDeleted'").fetchone()
        with rebuild(reader, last) as past:
            assert {each["id"] for each in status(past)["experiments"]} == set(OTHERS)
            assert past.position() == last
    assert lander(deleted, "status", "--at", str(last)) == 0
    assert f"stood at position {last}; deleted since, and no longer shown: e1, e2, e7\n" in capsys.readouterr().err
    assert lander(deleted, "status", "e1", "--at", str(last)) == 3
    assert "how it stood before can no longer be shown" in capsys.readouterr().err


# --- what was tampered with -------------------------------------------------------------------------------------------

OF = "SELECT e.position FROM events e JOIN streams s ON s.id = e.stream WHERE s.name"
TOMBSTONE = f"({OF} = 'e1' ORDER BY e.position DESC LIMIT 1)"
STAYING = f"({OF} = 'e0' LIMIT 1)"
TAMPERED = {
    "a tombstone": (
        [f"UPDATE events SET body = CAST(body || x'58' AS BLOB) WHERE position = {TOMBSTONE}"],
        {"hash chain": r"breaks between positions \d+ and \d+ \(e1\)"},
    ),
    "a tombstone that is erased": (
        [
            f"INSERT INTO erased VALUES ({TOMBSTONE}, zeroblob(32))",
            f"UPDATE events SET body = x'' WHERE position = {TOMBSTONE}",
        ],
        {"hash chain": r"\(e1\)", "deletions": "of e1 was erased, and no tombstone says"},
    ),
    "a digest": (
        ["UPDATE erased SET sha256 = randomblob(32) WHERE position = (SELECT min(position) FROM erased)"],
        {"hash chain": r"\(e1\)"},
    ),
    "a digest that is gone": (
        ["DELETE FROM erased WHERE position = (SELECT min(position) FROM erased)"],
        {"hash chain": r"\(e1\)", "deletions": "of e1 was erased, and its digest is missing"},
    ),
    "a digest too many": (
        [f"INSERT INTO erased VALUES ({STAYING}, zeroblob(32))"],
        {"deletions": "which is not erased"},
    ),
}


@pytest.mark.parametrize(("statements", "found"), TAMPERED.values(), ids=TAMPERED)
def test_what_was_tampered_with_is_found_and_named(deleted, statements, found):
    tampered(deleted)
    assert wrong(deleted) == {}  # the control
    tampered(deleted, *statements)
    problems = wrong(deleted)
    for part, words in found.items():
        assert re.search(words, problems[part])


def test_a_body_that_is_erased_without_a_tombstone_is_found_though_its_digest_is_right(deleted):
    with Reader(deleted) as reader:
        stored = next(iter(reader.events("e0")))
    keep = f"INSERT INTO erased VALUES ({stored.position}, x'{sha256(stored.body)}')"
    tampered(deleted, keep, f"UPDATE events SET body = x'' WHERE position = {stored.position}")
    problems = wrong(deleted)
    assert "hash chain" not in problems
    assert problems["deletions"] == f"event {stored.position} of e0 was erased, and no tombstone says that it was deleted"


# --- crashes ----------------------------------------------------------------------------------------------------------


class CrashError(BaseException):
    """This process is gone."""


def crash(*_):
    raise CrashError


CRASHES = {
    "before the files are removed": (removing, "_artifacts"),
    "before the directory is removed": (removing, "_remove_directory"),
    "before the events are erased": (erasing, "_must_reanchor"),
    "within the erasure": (erasing.erasure.Chunk, "next"),
}


@pytest.mark.parametrize("place", CRASHES.values(), ids=CRASHES)
def test_a_deletion_that_crashes_is_finished_by_the_next_that_opens_the_log(home, monkeypatch, place):
    before = of_the_others(home)
    monkeypatch.setattr(erasing.erasure, "MAX_EVENTS", 3)
    found = deletion.doomed(home, "e2")
    with monkeypatch.context() as patch:
        patch.setattr(*place, property(crash) if place[1] == "next" else crash)
        with pytest.raises(CrashError):
            deletion.delete(home, found)
    assert unfinished_deletions(home, ["e2"]) == ["e2"]
    assert wrong(home) == {}
    assert shown(home, "deletions").endswith("e2: not erased in full yet, lander-ctl up goes on")
    deletion.compact(home)
    assert unfinished_deletions(home, ["e2"]) == []
    assert not experiment_directory(home, "e2").exists()
    assert wrong(home) == {}
    assert of_the_others(home) == before


@pytest.fixture
def stuck(monkeypatch):
    """The directory of `e2` has a file that cannot be removed, until `stuck` is undone."""
    remove = shutil.rmtree

    def refuse(path, **options):
        if path.name == "e2":
            raise PermissionError(1, "Operation not permitted", "film.mp4")
        remove(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(removing.shutil, "rmtree", refuse)
        yield patch


STUCK = r"^e2: deleted, and not erased in full: \S+/e2: film.mp4 cannot be removed: Operation not permitted; .*lander-ctl up"


def test_a_file_that_cannot_be_removed_is_named_and_keeps_nobody_from_anything_else(home, stuck):
    with pytest.raises(LanderError, match=STUCK):
        deletion.delete(home, deletion.doomed(home, "e2"))
    assert annotating.note(home, "e0", "meanwhile") == "noted"
    deletion.delete(home, deletion.doomed(home, "e7"))
    assert unfinished_deletions(home, ["e2", "e7"]) == ["e2"]
    stuck.undo()
    deletion.compact(home)
    assert unfinished_deletions(home, ["e2"]) == []
    assert wrong(home) == {}


def test_a_compaction_beside_a_reader_says_that_nothing_is_given_back_yet(deleted, monkeypatch, capsys):
    monkeypatch.setitem(writer_connection.PRAGMAS, "busy_timeout", 10)
    with Reader(deleted) as reader, reader.snapshot():
        reader.position()
        assert lander(deleted, "compact") == 2
    assert "another process reads it, so its space cannot be given back yet" in capsys.readouterr().err
    assert wrong(deleted) == {}
    assert lander(deleted, "compact") == 0


# --- by a supervisor --------------------------------------------------------------------------------------------------


def test_what_cannot_be_erased_now_keeps_nobody_from_anything_else(home, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        patch.setattr(removing, "_remove_directory", lambda _: (_ for _ in ()).throw(PermissionError(13, "denied", "logs")))
        assert lander(home, "delete", "e2", "--yes") == 2
        (line,) = capsys.readouterr().err.splitlines()[-1:]
        assert line.startswith("lander-ctl: e2: deleted, and not erased in full: [Errno 13] denied: 'logs'")
        assert lander(home, "note", "e0", "seen") == 0
    assert unfinished_deletions(home, ["e2"]) == ["e2"]
    assert lander(home, "note", "e0", "seen again") == 0
    assert unfinished_deletions(home, ["e2"]) == []


async def test_a_running_supervisor_deletes_goes_on_after_a_crash_and_compacts(home, monkeypatch):
    async def asked(name):
        return await served.peer("client").ask(deletion.doomed(home, name).command)

    async def erased(*names):
        async with asyncio.timeout(30):
            while unfinished_deletions(home, names):  # noqa: ASYNC110 - it happens in another task, and the log is what tells
                await asyncio.sleep(0.01)

    async with in_process_supervisor(home) as served:
        assert await asked("e1") == c.Accepted(subject="e1")
        assert unfinished_deletions(home, ["e1"]) == []
        with monkeypatch.context() as patch:
            patch.setattr(erasing, "_must_reanchor", lambda *_: (_ for _ in ()).throw(StoreError("the log was altered")))
            assert (await asked("e2")).detail.startswith("e2: deleted, and not erased in full: the log was altered")
            begun = threading.Event()
            patch.setattr(erasing, "_must_reanchor", lambda *_: begun.set() or crash())
            await served.peer("client").say(deletion.doomed(home, "e7").command)
            assert await asyncio.to_thread(begun.wait, 30)
            await served.crash()
        await served.open()
        await erased("e2", "e7")
        refused = await served.peer("client").ask(deletion_of("e1"))
        assert refused.detail.startswith("e1: was deleted on ")
        answer = await served.peer("client").ask(c.CompactLog())
        before, after = map(int, answer.detail.split())
        assert before > after
    assert wrong(home) == {}


async def test_who_asked_a_supervisor_is_told_what_cannot_be_erased(home, stuck):
    async with in_process_supervisor(home) as served:
        answer = await served.peer("client").ask(deletion.doomed(home, "e2").command)
    assert isinstance(answer, c.Refused)
    assert re.search(STUCK, answer.detail)


def deletion_of(name):
    return c.DeleteExperiment(experiment=name, operator="me", baseline="0" * 64, baseline_rule=1, variants=1)


# --- logs of the chain's first rule -----------------------------------------------------------------------------------


@pytest.fixture
def old(tmp_path):
    """A home of a released version, brought up to date; nothing is erased."""
    golden.unpack(golden.VERSIONS[-1], tmp_path)
    asyncio.run(opened_and_closed(tmp_path))
    return tmp_path


async def opened_and_closed(home):
    await (await SqliteEventStore.open(home / DATABASE)).close()


def log_wrong(home):
    return {part: detail for part, detail in wrong(home).items() if part not in ("artifacts", "models")}  # not all are kept


def test_an_old_log_is_re_anchored_once_before_anything_is_erased(old, capsys):
    assert "re-anchored" not in shown(old, "hash chain")
    assert lander(old, "delete", "finished", "--yes") == 0
    assert lander(old, "delete", "doomed", "--yes") == 0
    assert log_wrong(old) == {}
    assert "; re-anchored once, up to position " in shown(old, "hash chain")
    with Reader(old) as reader:
        (anchor,) = reader.events(e.LOG_STREAM)
        assert isinstance(anchor.decode(), e.LogReanchored)
    assert lander(old, "delete", "grown") == 2
    assert "its fork forked" in capsys.readouterr().err


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET at = at + 1 WHERE position = 1",
        "UPDATE events SET body = x'80' WHERE position = 1",
        "UPDATE erased SET sha256 = zeroblob(32) WHERE position = (SELECT max(position) FROM erased)",
        "UPDATE commits SET chain = zeroblob(32) WHERE last_position = (SELECT min(last_position) FROM commits)",
        "DELETE FROM commits WHERE last_position = (SELECT min(last_position) FROM commits)",
    ],
)
def test_what_is_altered_in_a_part_that_was_re_anchored_is_found(old, statement):
    assert lander(old, "delete", "finished", "--yes") == 0
    tampered(old, statement)
    assert "a part that was re-anchored" in log_wrong(old)["hash chain"]


def test_nothing_is_erased_from_an_old_log_that_was_altered(old, capsys):
    tampered(old, "UPDATE events SET at = at + 1 WHERE position = 3")
    assert lander(old, "delete", "finished", "--yes") == 1
    assert "the hash chain breaks between positions 1 and" in capsys.readouterr().err
    with Reader(old) as reader:
        assert reader.connection.execute("SELECT count(*) FROM erased").fetchone() == (0,)
        assert chain.reanchored(reader.connection) is None


# --- the program of the reference, which knows nothing of ours -------------------------------------------------------


@pytest.fixture(scope="module")
def documented_verify():
    page = Path(__file__).parents[3] / "docs" / "reference" / "log-file.md"
    (program,) = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    names = {}
    exec(compile(program, str(page), "exec"), names)
    return names["verify"]


def test_the_documented_program_verifies_a_log_with_deletions_and_finds_what_is_altered(deleted, documented_verify):
    with Reader(deleted) as reader:
        assert documented_verify(deleted / DATABASE) == reader.position()
    tampered(deleted, "UPDATE erased SET sha256 = zeroblob(32) WHERE position = (SELECT min(position) FROM erased)")
    with pytest.raises(AssertionError, match="was altered"):
        documented_verify(deleted / DATABASE)


def test_the_documented_program_verifies_a_log_before_and_after_it_is_re_anchored(old, documented_verify):
    whole = documented_verify(old / DATABASE)
    assert lander(old, "delete", "finished", "--yes") == 0
    assert documented_verify(old / DATABASE) == whole + 2  # the tombstone and the anchor
    tampered(old, "UPDATE erased SET sha256 = zeroblob(32) WHERE position = (SELECT max(position) FROM erased)")
    with pytest.raises(AssertionError, match="the re-anchored part was altered"):
        documented_verify(old / DATABASE)


# --- what is killed in the middle of it -------------------------------------------------------------------------------

LEFT = "SELECT count(*) FROM events e JOIN streams s ON s.id = e.stream WHERE s.name GLOB 'large*' AND e.body <> x''"
EPISODES = 20_000


@pytest.fixture(scope="module")
def large(ten, tmp_path_factory):
    """The ten, and one whose erasure and whose space take a while."""
    home = shutil.copytree(ten, tmp_path_factory.mktemp("large") / "home")
    wanted = experiment("large", training_steps=EPISODES)
    first, second, *_ = attempt(1, run="large/v/0", ended=False)
    write_log(home, batch_of("large", submitted(wanted)), *(batch_of(run.id, e.RunQueued()) for run in wanted.runs))
    write_log(home, first, second)
    episodes = (batch_of("large/v/0", *map(episode, range(at, at + 500)), producer=1) for at in range(1, EPISODES, 500))
    write_log(home, groups=[[batch] for batch in episodes])
    write_log(home, batch_of("large/v/0", e.AttemptEnded(epoch=1, cause="crashed")))
    return home


def left(home):
    """How many events of `large` have a body, of which its tombstone is one."""
    with Reader(home) as reader:
        return reader.connection.execute(LEFT).fetchone()[0]


def is_erasing(home):
    return left(home) < EPISODES and deleted_at(home) is not None


def is_rewriting(home):
    """SQLite rewrites the log through the write-ahead log, whose pages nobody uses until the last is there."""
    log = home / f"{DATABASE}-wal"
    return log.exists() and log.stat().st_size > 1_000_000


def deleted_at(home):
    with Reader(home) as reader:
        return reader.deleted_at("large")


@pytest.mark.long
@pytest.mark.parametrize(
    ("words", "in_the_middle"),
    [(["delete", "large", "--yes"], is_erasing), (["compact"], is_rewriting)],
    ids=["delete", "compact"],
)
def test_a_supervisor_that_is_killed_in_the_middle_of_it_loses_nothing(large, tmp_path, words, in_the_middle):
    live_home = LiveHome(shutil.copytree(large, tmp_path / "home"))
    home = live_home.home
    if words == ["compact"]:
        assert lander(home, "delete", "large", "--yes") == 0
    else:
        write_log(home, *(batch_of(run, e.RunStopped(reason="operator")) for run in ("large/baseline/0", "large/v/0")))
        write_log(home, batch_of("large", e.ExperimentStopped()))
    before = of_the_others(home)
    try:
        live_home.start()
        command = [sys.executable, "-m", "lander", *words, "-q", "--home", str(home)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as asked:
            while not in_the_middle(home):
                assert asked.poll() is None, "it was over before it could be killed"
            os.kill(client.running(home).pid, signal.SIGKILL)
            _, errors = asked.communicate(timeout=60)
        assert (asked.returncode != 0, len(errors.splitlines())) == (True, 1)
        assert (left(home) > 1) == (words != ["compact"])
        assert (wrong(home), of_the_others(home)) == ({}, before)
        live_home.start()
        live_home.wait(lambda: left(home) == 1, "the deletion to go on")
        assert lander(home, "compact") == 0
        assert (wrong(home), of_the_others(home)) == ({}, before)
    finally:
        live_home.close()
