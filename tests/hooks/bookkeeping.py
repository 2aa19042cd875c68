"""In a zygote: its trainers write into a ledger what they say and what is acknowledged, where no kill can take it back."""

import os

from lander.actors.trainer.mailbox import Mailbox
from tests.chaos.ledger import LEDGER, digest

_descriptor = os.open(os.environ[LEDGER], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
_say, _forget = Mailbox.say, Mailbox._forget


def _write(*words):
    os.write(_descriptor, " ".join(map(str, words)).encode() + b"\n")


def say(self, event):
    _say(self, event)
    _write("said", self._run, self._epoch, self._acknowledged + len(self._outbox), digest(*self._outbox[-1]))


def forget(self, seq):
    before = self._acknowledged
    _forget(self, seq)
    if self._acknowledged > before:
        _write("acknowledged", self._run, self._epoch, self._acknowledged)


Mailbox.say, Mailbox._forget = say, forget
