"""What the trainers of a host report of their ends."""

import os
import signal
from types import SimpleNamespace

import pytest

from lander.actors.host import trainers as trainers_module
from lander.actors.host.trainers import Trainers
from lander.protocol.commands import TrainerKey

KEY = TrainerKey(run="e/a/0", epoch=1)


class Zygote:
    """Forks nothing, and is told what became of the processes."""

    def __init__(self, home, connection, tell):
        self.tell = tell

    def order(self, frame, log):
        """A trainer is ordered."""


@pytest.fixture
def reports(tmp_path, monkeypatch):
    """A host's trainers, of which one is ordered; and their reports."""
    monkeypatch.setattr(trainers_module, "ZygoteProcess", Zygote)
    monkeypatch.setattr(trainers_module, "encode", lambda message: b"")
    monkeypatch.setattr(trainers_module, "LEAVE_SECONDS", 0.01)
    reports = []
    trainers = Trainers(tmp_path, None, reports.append)
    trainers.start(SimpleNamespace(order=SimpleNamespace(run=KEY.run, epoch=KEY.epoch)))
    return trainers, reports


@pytest.mark.parametrize("lost", [True, False])
async def test_a_trainer_without_a_lease_was_lost_and_did_not_crash(reports, lost):
    trainers, reported = reports
    await (trainers.end_lost(KEY) if lost else trainers.end(KEY, 0.0, 0.0))
    trainers._zygote.tell(("exited", KEY.run, KEY.epoch, None, "SIGKILL", False))
    assert [(exit_.signal, exit_.lost) for exit_ in reported] == [("SIGKILL", lost)]
    assert ("not heard from the supervisor" in reported[0].log_tail) == lost


@pytest.mark.parametrize(
    ("early", "arrives"),
    [((), []), (("SIGTERM",), ["SIGTERM"]), (("SIGTERM", "SIGKILL"), ["SIGKILL"]), (("SIGKILL", "SIGTERM"), ["SIGKILL"])],
)
def test_what_was_due_before_a_trainer_was_forked_reaches_it(reports, early, arrives, monkeypatch):
    trainers, _ = reports
    for name in early:
        trainers._signal(KEY, signal.Signals[name])
    sent = []
    monkeypatch.setattr(signal, "pidfd_send_signal", lambda pidfd, number: sent.append(number.name))
    monkeypatch.setattr(trainers_module.os, "killpg", lambda pid, number: None)
    trainers._zygote.tell(("forked", KEY.run, KEY.epoch, os.getpid()))
    assert sent == arrives
