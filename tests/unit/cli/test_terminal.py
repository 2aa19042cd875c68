"""Whatever a command prints is made printable: hypotheses, errors, and what environments print."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import lander.cli
from lander.cli.command_names import COMMANDS as COMMANDS_OF_PROGRAM
from lander.cli.main import main
from lander.cli.terminal import in_home, keep_home
from lander.home.layout import trainer_log
from lander.protocol import events as e
from lander.protocol.experiment import RunKey
from lander.store.log.event_store import batch_of
from tests.support.written_homes import RUN, attempt, episode, queued_experiment, steps, write_log

HOSTILE = "better\x1b]0;owned\x07\x1b[31m \u202eesrow\u202c\x9b2J"
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """An experiment whose every text wants to be obeyed."""
    home = tmp_path_factory.mktemp("hostile")
    queued_experiment(home, hypothesis=HOSTILE, environment_kwargs={"text": HOSTILE})
    words = (steps(0, 10), episode(10), e.WarningRaised(message=HOSTILE), e.MetricsLogged(step=10, values={HOSTILE: 1.0}))
    write_log(home, *attempt(1, *words), batch_of(RUN, e.RunFailed(cause=f"crashed({HOSTILE})", detail=HOSTILE, why=HOSTILE)))
    log = trainer_log(home, RunKey.parse(RUN))
    log.parent.mkdir(parents=True)
    log.write_bytes(HOSTILE.encode() * 5000 + b"\r\nthe last line\n")
    return home


COMMANDS = (
    ["status"],
    ["status", "x", "--json"],
    ["status", "--at", "3"],
    ["events"],
    ["events", "--json"],
    ["logs", RUN],
    ["report", "x"],
    ["report", "x", "--format", "md"],
    ["report", "x", "--format", "json"],
    ["check"],
    ["diff", RUN, RUN],
    ["stop", HOSTILE],
    ["status", HOSTILE],
    [HOSTILE],
)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_nothing_a_command_prints_is_obeyed(home, capsys, words):
    main(["--home", str(home), *words])
    printed = capsys.readouterr()
    assert printed.out or printed.err
    assert not OBEYED.findall(printed.out + printed.err)


def test_what_an_environment_printed_stays_readable(home, capsys):
    assert main(["--home", str(home), "logs", RUN]) == 0
    printed = capsys.readouterr().out
    assert printed.count(r"better\u001b]0;owned") == 5000
    assert printed.endswith("\nthe last line\n")


def test_json_says_the_same_as_before(home, capsys):
    main(["--home", str(home), "events", "--json", "--kind", "WarningRaised"])
    assert json.loads(capsys.readouterr().out)["message"] == HOSTILE
    main(["--home", str(home), "report", "x", "--format", "json"])
    assert json.loads(capsys.readouterr().out)["hypothesis"] == HOSTILE


@pytest.mark.parametrize("command", ["", *COMMANDS_OF_PROGRAM])
def test_help_breaks_no_word(capsys, monkeypatch, command):
    def words(columns):
        monkeypatch.setenv("COLUMNS", str(columns))
        assert main([*command.split(), "--help"]) == 0
        return capsys.readouterr().out.partition("\nCommands:")[0].split()

    whole = words(160)
    assert whole[:2] == ["Usage:", "lander-ctl"]
    assert words(50) == words(80) == whole


def test_no_command_prints_past_the_terminal():
    room = Path(lander.cli.__file__).parent
    written = {path.relative_to(room).as_posix(): path.read_text() for path in room.rglob("*.py")}
    printing = {name for name, text in written.items() if re.search(r"click\.s?echo\(|(?<![\w.])print\(|stdout\.write", text)}
    assert printing == {"terminal.py"}


def test_a_command_whose_streams_were_closed_before_it_began_does_its_work(tmp_path):
    queued_experiment(tmp_path)
    command = 'exec "$0" -c "import sys; from lander.cli.main import main; sys.exit(main())" list --home "$1" <&- >&- 2>&-'
    assert subprocess.run(["bash", "-c", command, sys.executable, str(tmp_path)], check=False).returncode == 0


@pytest.fixture
def another_home():
    keep_home(Path("a b"))
    yield
    keep_home(None)


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("x was stopped; lander-ctl run x goes on", "x was stopped; lander-ctl run --home 'a b' x goes on"),
        ("lander-ctl up carries on", "lander-ctl up --home 'a b' carries on"),
        ("lander-ctl check --home PATH looks at the copy", "lander-ctl check --home PATH looks at the copy"),
        ("lander-ctl worker HOST:1 on the other machine", "lander-ctl worker HOST:1 on the other machine"),
        ("lander-ctl is not installed there", "lander-ctl is not installed there"),
    ],
)
def test_a_command_in_a_message_is_about_the_home_that_was_given(another_home, message, shown):
    assert in_home(message) == shown
    keep_home(None)
    assert in_home(message) == message


def test_the_home_of_a_worker_is_in_no_command_for_the_supervisors_machine(tmp_path, capsys):
    token = tmp_path / "token"
    token.touch(0o600)
    assert main(["worker", "127.0.0.1:1", "--token-file", str(token), "--home", str(tmp_path / "other")]) == 2
    assert "lander-ctl token" in (said := capsys.readouterr().err)
    assert "--home" not in said
