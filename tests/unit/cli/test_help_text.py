"""What `--help` says is what the command does."""

import pytest

from lander.app.forking import _OF_THE_VARIANT
from lander.app.worker import default_home
from lander.cli.main import main


@pytest.fixture
def help_of(capsys):
    """The help of a command, as one line."""

    def asked(command):
        assert main([command, "--help"]) == 0
        return " ".join(capsys.readouterr().out.split())

    return asked


def test_the_home_of_a_worker_is_its_own_and_that_of_other_commands_is_the_usual(help_of, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    usual = "(default: $LANDER_HOME, or ./results)"
    own, said = str(default_home("HOST:PORT")).replace("/home/me", "~"), help_of("worker")
    assert f"by default {own}; $LANDER_HOME does not change that" in said
    assert "whatever $LANDER_HOME is (default: as above)" in said
    assert usual not in said
    assert usual in help_of("fork")


def test_a_fork_names_what_may_change_the_common_environment_of_evaluations_too(help_of):
    said = help_of("fork")
    assert "hyperparameter" in said
    assert all(name in said for name in (*_OF_THE_VARIANT[1:], "evaluation_environment"))
