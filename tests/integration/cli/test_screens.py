"""What a person sees in a window: sentences are broken between words, and what is out of date is said to be that."""

from lander.protocol import events as e
from lander.store.log.event_store import batch_of
from tests.support.command_line import LANDER
from tests.support.pseudo_terminal import window
from tests.support.written_homes import OTHER, attempt, queued_experiment, write_log


def test_an_error_is_broken_between_words_where_the_window_ends(tmp_path):
    queued_experiment(tmp_path)
    with window(tmp_path, *LANDER, "list", "--newer", "soon", columns=50) as terminal:
        assert terminal.wait() == 2
    lines = terminal.text.replace("\r", "").splitlines()
    assert len(lines) > 1
    assert all(len(line) <= 50 for line in lines)
    assert {"number", "such", "30m,", "2w"} <= {word for line in lines for word in line.split()}


def test_a_finding_is_broken_between_words_below_its_own_column(tmp_path):
    queued_experiment(tmp_path)
    with window(tmp_path, *LANDER, "check", columns=50) as terminal:
        assert terminal.wait() == 0
    lines = [line.rpartition("\x1b[K")[2] for line in terminal.text.replace("\r", "").splitlines()]  # without the progress
    assert all(len(line) <= 50 for line in lines)
    assert [line for line in lines if line.startswith(" ")]
    assert all(line.startswith(" " * 20) for line in lines if line.startswith(" "))


def test_watch_says_that_nobody_carries_on_and_what_has_to_be_mended(tmp_path):
    queued_experiment(tmp_path)
    write_log(tmp_path, *attempt(1, ended=False), *attempt(1, run=OTHER, cause="environment_error"))
    write_log(tmp_path, batch_of(OTHER, e.RunFailed(cause="environment_error", detail="")))
    with window(tmp_path, *LANDER, "status", "--watch", "--home", tmp_path, columns=200) as terminal:
        terminal.wait_for(f"no supervisor is running: this is how things stood; lander-ctl up --home {tmp_path} carries on")
        terminal.wait_for(f"once the environment of x/v/0 is mended, lander-ctl retry --home {tmp_path} x/v/0 tries it again")
        assert "x: unsupervised (1 of 2), 1 failed" in terminal.text
