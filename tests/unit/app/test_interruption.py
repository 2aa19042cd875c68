"""Signals as a flag: what each of them asks for."""

import signal

import pytest

from lander.app.interruption import Interruption


def sent(*numbers):
    with Interruption(signal.SIGHUP) as interruption:
        for number in numbers:
            signal.raise_signal(number)
    return interruption


@pytest.mark.parametrize(
    ("numbers", "hung_up"),
    [
        ((signal.SIGINT,), False),
        ((signal.SIGTERM,), False),
        ((signal.SIGHUP,), True),
        ((signal.SIGHUP, signal.SIGHUP), True),
        ((signal.SIGHUP, signal.SIGINT), False),
        ((signal.SIGINT, signal.SIGHUP), False),
    ],
)
def test_a_terminal_that_closes_is_told_from_a_wish_to_stop(numbers, hung_up):
    interruption = sent(*numbers)
    assert (interruption.wished, interruption.hung_up) == (True, hung_up)


def test_a_second_signal_ends_the_waiting_once_the_first_is_delivered():
    with Interruption() as interruption:
        interruption.delivered = True
        with pytest.raises(KeyboardInterrupt, match="no longer waiting"):
            signal.raise_signal(signal.SIGINT)


def test_a_signal_that_is_ignored_stays_ignored():
    """As SIGHUP is under `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert not sent(signal.SIGHUP).wished
    finally:
        signal.signal(signal.SIGHUP, before)


def test_what_was_there_before_hears_signals_again():
    before = signal.getsignal(signal.SIGINT)
    sent(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) == before
