"""What people say about an experiment where no supervisor serves the home: recorded, and nothing is started for it."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from lander.app import annotating, client, service
from lander.home.lock import HomeLock, is_locked
from lander.protocol import events as e
from lander.protocol.commands import AddNote
from lander.protocol.errors import ConflictError, NotFoundError, OccupiedError, UsageError
from lander.store.log import chain
from lander.store.log.event_store import batch_of
from lander.store.log.reader import Reader
from lander.store.projections.remarks import remarks
from lander.supervisor.single_decision import decide_alone
from tests.support.written_homes import attempt, queued_experiment, steps, write_log


@pytest.fixture(autouse=True)
def _nothing_is_started(monkeypatch):
    def started(*_):
        raise AssertionError("a supervisor was started")

    monkeypatch.setattr(service, "start", started)


@pytest.fixture
def home(tmp_path):
    """A home with an experiment that was stopped, one with runs that wait, and a host that has room for them."""
    joined = e.HostJoined(pid=1, incarnation="i", cpus=(0, 1), gpus=(), memory_mb=1.0)
    write_log(tmp_path, batch_of(e.host_stream("local"), joined))
    queued_experiment(tmp_path, "x", hypothesis="old")
    write_log(tmp_path, batch_of("x", e.ExperimentStarted(), e.ExperimentStopped()))
    queued_experiment(tmp_path, "waiting")
    return tmp_path


def said(home):
    with Reader(home) as reader:
        chain.verify(reader.connection)
        return remarks(reader, "x")


def position(home):
    with Reader(home) as reader:
        return reader.position()


def test_everything_is_recorded_with_who_says_it_and_nothing_goes_on(home):
    before = position(home)
    assert annotating.note(home, "x", " too hot\r\n") == "noted"
    assert annotating.tag(home, "x", ["a", "b"]) == "its tags are a, b"
    assert annotating.archive(home, "x") == "archived"
    answer = annotating.amend_hypothesis(home, "x", "new")
    assert answer == "hypothesis amended, before results could be seen; the original stays in the report"
    assert annotating.unarchive(home, "x") == "out of the archive"
    found = said(home)
    assert (found.notes[0].text, found.notes[0].operator, found.tags) == ("too hot", client.operator(), ("a", "b"))
    assert (found.amendments[0].text, found.archived) == ("new", None)
    with Reader(home) as reader:
        assert [stored.kind for stored in reader.events(after=before)] == [
            *("NoteAdded", "TagsChanged", "ExperimentArchived", "HypothesisAmended", "ExperimentUnarchived")
        ]
    assert not is_locked(home)
    assert "NoteAdded text=too hot" in (home / "experiments" / "x" / "logs" / "experiment.log").read_text()


def test_an_amendment_after_results_is_called_that(home):
    write_log(home, *attempt(1, steps(0, 8), run="x/baseline/0", cause="stopped"))
    assert "after results could be seen" in annotating.amend_hypothesis(home, "x", "new")
    assert annotating.amend_hypothesis(home, "x", "new") == "the hypothesis reads so already"


@pytest.mark.parametrize(
    ("act", "error", "refusal"),
    [
        (lambda home: annotating.archive(home, "waiting"), ConflictError, "waiting: is under way"),
        (lambda home: annotating.archive(home, "y"), NotFoundError, "y: no such experiment"),
        (lambda home: annotating.note(home, "x\ny", "n"), NotFoundError, r"^x\\ny: no such experiment"),
        (lambda home: annotating.note(home, "n" * 9000, "n"), NotFoundError, r"^n{199}…: no such experiment"),
        (lambda home: annotating.tag(home, "x\n/y", ["t"]), UsageError, r"whole experiment; name x\\n$"),
        (lambda home: annotating.archive(home / "none", "x"), NotFoundError, "nothing recorded here yet"),
        (lambda home: annotating.archive(home, "x/baseline"), UsageError, "this is about a whole experiment; name x"),
        (lambda home: annotating.note(home, "x", "n" * 2001), UsageError, "note: found 2,001 characters; must be at most"),
        (lambda home: annotating.note(home, "x", "  "), UsageError, "note: found no text"),
        (lambda home: annotating.tag(home, "x", ["a b"]), UsageError, "tag: found 'a b'; must be letters, digits"),
        (lambda home: annotating.tag(home, "x", [], ["a"]), UsageError, "x: has no tag a"),
        (lambda home: annotating.tag(home, "x", []), UsageError, "tag: found no tag"),
        (lambda home: annotating.amend_hypothesis(home, "x", "\x1b"), UsageError, "hypothesis: found the character"),
    ],
)
def test_bad_input_is_refused_in_one_line_and_nothing_is_changed(home, act, error, refusal):
    before = position(home)
    with pytest.raises(error, match=refusal) as refused:
        act(home)
    assert "\n" not in str(refused.value)
    assert position(home) == before
    assert not (home / "none").exists()


def test_a_command_waits_for_another_that_holds_the_home(home):
    with ThreadPoolExecutor() as pool, HomeLock(home):
        noted = pool.submit(annotating.note, home, "x", "at the same time")
        with pytest.raises(TimeoutError):
            noted.result(timeout=0.5)
    assert noted.result() == "noted"


def test_nobody_writes_while_a_supervisor_holds_the_home(home):
    with HomeLock(home), pytest.raises(OccupiedError):
        decide_alone(home, AddNote(experiment="x", operator="me", text="x"))
