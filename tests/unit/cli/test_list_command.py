"""`lander-ctl list`, and what people say about experiments, as the command line prints it."""

import json

import pytest

from lander.cli.main import main
from lander.home.lock import HomeLock
from lander.protocol import events as e
from lander.store.log.event_store import batch_of
from tests.support.histories import experiment, submitted
from tests.support.written_homes import RUN, attempt, queued_experiment, write_log

ALONE = "lander-ctl: no supervisor is running: this is how things stood; lander-ctl up carries on\n"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A home with an experiment that waits and one that was archived; it is the home of every command."""
    queued_experiment(tmp_path / "home", "x", hypothesis="Why not?")
    ended = [e.ExperimentStarted(), e.ExperimentStopped(), e.ExperimentArchived(operator="me")]
    write_log(tmp_path / "home", batch_of("old", submitted(experiment("old")), *ended, at=1))
    monkeypatch.setenv("LANDER_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def ask(capsys):
    """The exit code, standard output and standard error of a command line."""

    def asked(*words):
        return main(list(words)), *capsys.readouterr()

    return asked


def test_each_is_one_line_and_what_is_hidden_is_said(ask):
    code, output, errors = ask("list")
    assert code == 0
    heading, line = output.splitlines()
    assert heading.split("  ")[0] == "experiment"
    assert line.split()[0] == "x"
    assert "CartPole-v1" in line
    assert "2 × 1" in line
    assert errors == f"lander-ctl: 1 archived experiment is not shown; --all shows it\n{ALONE}"
    assert [line.split()[0] for line in ask("list", "--all")[1].splitlines()] == ["experiment", "x", "old"]
    assert [line.split()[0] for line in ask("list", "--archived")[1].splitlines()] == ["experiment", "old"]


def test_that_no_supervisor_runs_is_said_as_status_says_it_where_something_is_under_way(ask, home):
    with HomeLock(home):
        assert ALONE not in ask("list")[2] + ask("status")[2]
    for command in ("list", "status"):
        assert ask(command)[2].endswith(ALONE), command
        elsewhere = f"lander-ctl up --home {home} carries on\n"
        assert ask(command, "--home", str(home))[2].endswith(elsewhere), command
    assert ask("list", "--json")[2] == ""
    assert ask("list", "--archived")[2] == "", "what is shown has ended"
    ask("tag", "old", "a")
    assert ask("list", "--all", "--tag", "a")[2] == ""


def test_without_a_supervisor_nothing_is_shown_as_training_or_about_to(ask, home):
    write_log(home, *attempt(1, ended=False))
    found = json.loads(ask("status", "x", "--json")[1])
    assert [run["phase"] for run in found["experiments"][0]["runs"]] == ["unsupervised", None]
    assert "x: unsupervised (1 of 2)" in ask("status", "x")[1]
    assert "  unsupervised (1 of 2)  " in ask("list")[1]
    with HomeLock(home):
        assert "x: running (1 of 2)" in ask("status", "x")[1]
        assert "  running (1 of 2)  " in ask("list")[1]
    assert "x: running (1 of 2)" in ask("status", "x", "--position", str(found["position"]))[1], "that is how things stood then"
    write_log(home, batch_of(RUN, e.AttemptEnded(epoch=1, cause="crashed")))
    assert "x: waiting for a supervisor" in ask("status", "x")[1]


def test_json_has_everything(ask):
    ask("note", "x", "too hot")
    ask("tag", "x", "a", "b")
    ask("hypothesis", "x", "Because")
    code, output, errors = ask("list", "--json")
    assert (code, errors) == (0, "")
    found = json.loads(output)
    assert list(found) == ["position", "experiments"]
    (x,) = found["experiments"]
    assert (x["id"], x["tags"], x["hypothesis"], x["environments"]) == ("x", ["a", "b"], "Because", ["CartPole-v1"])
    assert [note["text"] for note in x["notes"]] == ["too hot"]
    assert [(each["text"], each["after_results"]) for each in x["amendments"]] == [("Because", False)]
    assert x["archived"] is None


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("list", "--state", "finished"), "--state: found 'finished'; must be one of queued, "),
        (("list", "--newer", "week"), "--newer: found 'week'; must be a number with m, h, d or w"),
        (
            (
                "list",
                "--nonsense",
            ),
            "--nonsense",
        ),
        (("archive", "x"), "x: is under way, and only what has ended is archived"),
        (("tag", "x", "a b"), "tag: found 'a b'; must be letters"),
        (("tag", "x", "a" * 33), "at most 32 characters"),
        (("note", "x", "n" * 2001), "note: found 2,001 characters; must be at most 2,000"),
        (("hypothesis", "x", ""), "hypothesis: found no text"),
    ],
)
def test_a_filter_nobody_knows_and_words_that_cannot_be_recorded_are_refused_in_one_line(ask, words, line):
    code, output, errors = ask(*words)
    assert (code, output, len(errors.splitlines())) == (2, "", 1)
    assert line in errors


def test_what_is_unknown_is_answered_with_the_nearest_name(ask):
    for words in (("archive", "olt"), ("note", "olt", "a"), ("tag", "olt", "a"), ("hypothesis", "olt", "a")):
        code, output, errors = ask(*words)
        assert (code, output) == (3, ""), words
        assert "did you mean old" in errors


def test_archiving_is_one_line_and_can_be_taken_back(ask):
    assert ask("unarchive", "old") == (0, "old: out of the archive\n", "")
    assert ask("archive", "old") == (0, "old: archived\n", "")
    assert ask("archive", "old") == (0, "old: already archived\n", "")


@pytest.mark.parametrize(
    ("option", "value", "there"),
    [
        ("--state", "failed", "; they have queued, stopped"),
        ("--environment", "Pong", "; they have CartPole-v1"),
        ("--tag", "a", ""),
    ],
)
def test_nothing_to_list_is_said_by_one_rule_for_every_filter(ask, option, value, there):
    said = f"lander-ctl: {option} '{value}': no experiment here has it{there}\n"
    assert ask("list", option, value) == (0, "no experiment here matches\n", said)
    code, output, errors = ask("list", option, value, "--json")
    assert (code, json.loads(output)["experiments"], errors) == (0, [], said)


def test_of_what_is_archived_only_what_all_would_show_is_counted(ask):
    assert ask("list", "--state", "stopped")[1:] == (
        "no experiment here matches\n",
        "lander-ctl: 1 archived experiment is not shown; --all shows it\n",
    )
    assert ask("list", "--newer", "1d")[2] == ALONE


def test_a_status_of_nothing_but_archived_experiments_says_so(ask, home):
    write_log(home, batch_of("x", e.ExperimentStarted(), e.ExperimentStopped(), e.ExperimentArchived(operator="me")))
    assert ask("status")[1] == "no experiments but 2 archived; lander-ctl list --archived shows them\n"


def test_status_hides_what_is_archived_and_has_what_was_said_of_one(ask):
    ask("tag", "old", "a")
    code, output, _errors = ask("status")
    assert (code, "x: " in output, "old" in output) == (0, True, False)
    assert ask("status", "old")[1].startswith("old: stopped, archived\n")
    assert "  stopped, archived  " in ask("list", "--all")[1]
    assert "archived" not in ask("status", "x")[1]
    (old,) = json.loads(ask("status", "old", "--json")[1])["experiments"]
    assert (old["tags"], old["notes"], old["amendments"]) == (["a"], [], [])
    assert old["archived"].startswith("1970-01-01")
    assert "tags" not in json.loads(ask("status", "--json")[1])["experiments"][0]


def test_where_all_were_deleted_that_is_said_and_not_that_there_were_none_yet(ask, tmp_path):
    for name in ("x", "old"):
        assert ask("delete", name, "--yes")[0] == 0
    said = "no experiments: all were deleted (2 deleted); lander-ctl events --kind ExperimentDeleted shows them\n"
    assert ask("list") == (0, said, "")
    assert ask("status") == (0, said, "")
    write_log(tmp_path / "empty")
    assert ask("list", "--home", str(tmp_path / "empty"))[1] == "no experiments yet\n"
