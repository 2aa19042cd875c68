"""What a name stands for: a file, a recorded experiment, both, or neither."""

from pathlib import Path

import pytest

import lander.app.requests
from lander.app.named_experiment import also_recorded, named_experiment
from lander.app.requests import request_by_name
from lander.cli.main import main
from lander.protocol import events as e
from lander.protocol.errors import ConfigurationError, NotFoundError, UsageError
from lander.store.log.event_store import batch_of
from tests.support.written_homes import queued_experiment, write_log


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home in which `demo` and `tuned.yaml` are recorded, seen from a directory with other things."""
    monkeypatch.chdir(tmp_path)
    queued_experiment(tmp_path / "home", "demo")
    queued_experiment(tmp_path / "home", "tuned.yaml")
    return tmp_path / "home"


def test_an_id_is_a_recorded_experiment_and_a_file_a_file(home):
    Path("cartpole.yaml").write_text("")
    assert named_experiment(home, "demo") is None
    assert named_experiment(home, "cartpole.yaml") == Path("cartpole.yaml")
    assert named_experiment(home / "nothing", "cartpole.yaml") == Path("cartpole.yaml")


def test_of_both_the_file_is_meant_and_it_is_said(home):
    assert named_experiment(home, "tuned.yaml") is None
    Path("tuned.yaml").write_text("")
    assert named_experiment(home, "tuned.yaml") == Path("tuned.yaml")
    assert also_recorded(home, "demo.yaml") == ""
    assert also_recorded(home, "tuned.yaml") == (
        "tuned.yaml is a file and a recorded experiment; the file is meant,"
        " lander-ctl run --experiment-id tuned.yaml is the other"
    )


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch])
def test_what_cannot_be_an_experiment_file_hides_no_experiment(home, make):
    make(Path("demo"))
    assert named_experiment(home, "demo") is None
    make(Path("other"))
    assert named_experiment(home, "other") == Path("other"), "for its reader to refuse"


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("dmeo", NotFoundError, "dmeo: neither a file nor an experiment recorded in {home}; did you mean demo?"),
        ("cartpol", NotFoundError, "cartpol: neither a file nor an experiment recorded in {home}; did you mean cartpole.yaml?"),
        ("nowhere", NotFoundError, "nowhere: neither a file nor an experiment recorded in {home}"),
        ("cartpole.yml", ConfigurationError, "cartpole.yml: no such file; did you mean cartpole.yaml?"),
        ("there/cartpole.yaml", ConfigurationError, "there/cartpole.yaml: no such file"),
        (
            "demo/v",
            UsageError,
            "demo/v: an experiment is run as a whole: lander-ctl run demo; lander-ctl resume demo/v continues a part of it",
        ),
    ],
)
def test_what_is_neither_is_one_line_with_the_near_names(home, name, error, words):
    Path("cartpole.yaml").write_text("")
    with pytest.raises(error) as refused:
        named_experiment(home, name)
    assert str(refused.value) == words.format(home=home)


@pytest.mark.parametrize("name", ["demo", "demo/baseline"])
def test_what_was_deleted_is_said_to_be_that(home, name):
    """Its file may still be there, and can be trained again under another id."""
    gone = e.ExperimentDeleted(operator="me", hypothesis="", environments=(), baseline="0" * 64, baseline_rule=1, variants=1)
    write_log(home, batch_of("demo", gone, at=1))
    with pytest.raises(NotFoundError) as refused:
        named_experiment(home, name)
    assert str(refused.value) == (
        "demo: was deleted on 1970-01-01 00:00 UTC; lander-ctl run FILE --experiment-id ID trains it anew under another id"
    )
    with pytest.raises(ConfigurationError, match=r"demo/x\.yaml: no such file"):
        named_experiment(home, "demo/x.yaml")


def test_where_nothing_is_recorded_files_are_near_names_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("demo.toml").write_text("")
    with pytest.raises(NotFoundError, match=r"demo: neither a file .* did you mean demo.toml\?"):
        named_experiment(tmp_path / "home", "demo")


def test_a_recorded_experiment_keeps_its_id(home):
    with pytest.raises(UsageError, match="--experiment-id other: demo is recorded, and keeps its id; lander-ctl fork demo/ARM"):
        request_by_name("demo", home, experiment_id="other", warn=print, execution={})


# --- one grammar ------------------------------------------------------------------------------------------------------


@pytest.fixture
def asked(monkeypatch):
    """What a command line asks for, as (which experiment, its changes, its seeds), without carrying it out."""
    found = []

    class EnoughError(Exception):
        """What was to be known is known."""

    def recorded(home, name, overrides, **options):
        found.append((name, overrides, options.get("seeds")))
        raise EnoughError

    def request(file, overrides, experiment_id=None, **options):
        found.append((file, overrides, options.get("seeds")))
        raise EnoughError

    monkeypatch.setattr(lander.app.requests, "recorded", recorded)
    monkeypatch.setattr(lander.app.requests, "request", request)

    def ask(*words):
        assert main([*words]) == 1  # by `EnoughError`
        return found.pop()

    return ask


@pytest.mark.parametrize("command", ["run", "submit", "validate"])
def test_an_experiment_is_an_argument_and_what_changes_stands_behind_it(home, asked, command):
    at = (command, "--home", str(home))
    Path("a.yaml").write_text("")
    steps, more = "training_steps=100", "hyperparameters.gamma=0.9"
    assert asked(*at, "demo") == ("demo", (), None)
    assert asked(*at, "demo", steps, more) == ("demo", (steps, more), None)
    assert asked(*at, "demo", "--seeds", "+5") == ("demo", (), "+5")
    assert asked(*at, "demo", "--training-steps", "100") == ("demo", (steps,), None)
    assert asked(*at, "a.yaml", more, "--training-steps", "100") == (Path("a.yaml"), (more, steps), None)


def test_old_spellings_go_on_working(home, asked):
    at = ("run", "--home", str(home))
    assert asked(*at, "--experiment-id", "demo", "training_steps=100") == ("demo", ("training_steps=100",), None)
    assert asked(*at, "--config", "a.yaml", "training_steps=100") == (Path("a.yaml"), ("training_steps=100",), None)
    Path("tuned.yaml").write_text("")
    assert asked(*at, "--experiment-id", "tuned.yaml") == ("tuned.yaml", (), None)


def test_the_choice_between_a_file_and_an_experiment_is_said(home, monkeypatch):
    heard = []
    monkeypatch.setattr(lander.app.requests, "request", lambda file, *_, **__: file)
    for name in ("a.yaml", "tuned.yaml"):
        Path(name).write_text("")
        assert request_by_name(name, home, warn=heard.append) == Path(name)
    (notice,) = heard
    assert notice.startswith("tuned.yaml is a file and a recorded experiment; the file is meant")
