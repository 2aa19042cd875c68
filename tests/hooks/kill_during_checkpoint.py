"""In a zygote: each trainer is killed in the middle of a checkpoint, one call later in every attempt, `KILLED_ATTEMPTS` times.

The calls are those that make a file durable_files, and the saying of the event. They are counted from when the attempt's first
checkpoint has been acknowledged. A run that is called undisturbed is left alone.
"""

import os
import signal
from pathlib import Path

from lander.actors.trainer.mailbox import Mailbox
from lander.home import durable_files
from tests.hooks import KILLED_ATTEMPTS

_init, _say = Mailbox.__init__, Mailbox.say
_counter = {"epoch": 0, "calls": 0, "counts": False}


def init(self, socket, run, epoch):
    _init(self, socket, run, epoch)
    _counter["epoch"] = KILLED_ATTEMPTS + 1 if "undisturbed" in run else epoch


def counted(call):
    def then_perhaps_killed(*arguments, **named):
        result = call(*arguments, **named)
        _counter["calls"] += _counter["counts"]
        if _counter["calls"] == _counter["epoch"] <= KILLED_ATTEMPTS:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return then_perhaps_killed


@counted
def say_checkpoint(self, event):
    _say(self, event)
    self.exchange()  # it is on its way


def say(self, event):
    if event.kind != "CheckpointCommitted":
        _say(self, event)
    elif _counter["counts"]:
        say_checkpoint(self, event)
    else:
        _say(self, event)
        self.flush()
        _counter["counts"] = True


Mailbox.__init__, Mailbox.say = init, say
durable_files.flush = counted(durable_files.flush)
Path.write_bytes, Path.replace = counted(Path.write_bytes), counted(Path.replace)
