"""The output of trainers on other machines: each piece once, in order, and only of attempts that are there."""

from types import SimpleNamespace

import pytest

from lander.actors.host import output as sending
from lander.actors.host.output import MAX_REST
from lander.protocol.commands import MAX_OUTPUT, ReportOutput, TrainerKey
from lander.supervisor.core.state import State
from lander.supervisor.output import Output

KEY = TrainerKey(run="e/fast/0", epoch=2)
LOG = "experiments/e/logs/fast-0.log"


class OneAttempt(State):
    """A state with one attempt."""

    def attempt(self, run, epoch):
        return SimpleNamespace(host="far") if (run, epoch) == ("e/fast/0", 2) else None


def piece(offset, data, epoch=2):
    return ReportOutput(run="e/fast/0", epoch=epoch, offset=offset, data=data)


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def taking(home):
    output = Output(home)
    return lambda each, host="far": output.take(host, each, OneAttempt())


def test_a_piece_that_is_repeated_is_appended_once(home, taking):
    assert taking(piece(0, b"one")).offset == 3
    assert taking(piece(0, b"one")).offset == 3
    assert taking(piece(3, b" two")).offset == 7
    assert (home / LOG).read_bytes() == b"one two"


def test_a_younger_supervisor_goes_on_where_the_log_is(home, taking):
    taking(piece(0, b"one"))
    assert Output(home).take("far", piece(3, b" two"), OneAttempt()).offset == 7
    assert (home / LOG).read_bytes() == b"one two"


def test_another_host_and_another_attempt_write_nothing(home, taking):
    assert taking(piece(0, b"one"), host="near") is None
    assert taking(piece(0, b"one", epoch=1)) is None
    assert not home.exists()


def test_what_cannot_be_written_is_asked_for_again(home, taking):
    home.write_text("no directory")
    assert taking(piece(0, b"one")).offset == 0
    home.unlink()
    assert taking(piece(0, b"one")).offset == 3


def test_a_whole_log_arrives_over_lost_messages_and_an_earlier_attempts_does_not(home, taking, tmp_path):
    log = tmp_path / "log"
    log.write_bytes(b"of an earlier attempt\n")
    output = sending.Output()
    output.follow(KEY, log, log.stat().st_size)
    text = b"".join(b"line %d\n" % number for number in range(20_000))
    log.write_bytes(log.read_bytes() + text)
    lost = iter(range(100))
    for _ in range(20):
        for each in output.new():
            if next(lost) % 3:
                output.noted(taking(each))
    assert (home / LOG).read_bytes() == text
    assert list(output.new()) == list(output.rest(KEY)) == []


def test_of_a_long_end_the_last_part_is_sent(home, taking, tmp_path):
    log = tmp_path / "log"
    text = bytes(range(256)) * ((MAX_REST + 3 * MAX_OUTPUT) // 256)
    log.write_bytes(text)
    output = sending.Output()
    output.follow(KEY, log, 0)
    for each in output.rest(KEY):
        taking(each)
    assert (home / LOG).read_bytes() == text[-MAX_REST:]
    output.forget(KEY)
    assert list(output.rest(KEY)) == []
