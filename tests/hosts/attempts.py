"""What the log says of the attempts of runs: where each trained, how far it came, how it ended, and what it cost."""

from dataclasses import dataclass, field
from itertools import pairwise

from lander.protocol import events as e
from lander.store.log.reader import Reader


@dataclass
class Attempt:
    """One attempt of a run; steps are counted from the beginning of the run, places in the log are positions."""

    epoch: int
    host: str
    started_at: int
    """When the supervisor started it, and below, when it ended: in microseconds since 1970, by the supervisor's clock."""
    trained_at: int = 0
    """When it began to train, by its own clock."""
    from_step: int | None = None
    """Where it began to train; None if it never did."""
    began: int = 0
    """Where in the log it says so."""
    resume: str = ""
    last_step: int = 0
    spoke: int = 0
    """Where in the log the last of its own events is."""
    checkpoints: list[int] = field(default_factory=list)
    cause: str = ""
    ended_at: int = 0

    @property
    def trained(self):
        return self.from_step is not None


def attempts(home, experiment="x"):
    """The attempts of every run, by its id, in order."""
    found = {}
    with Reader(home) as reader:
        for stored in reader.events(experiment):
            event = stored.decode()
            if isinstance(event, e.AttemptStarted):
                found.setdefault(stored.stream, []).append(Attempt(event.epoch, event.host, started_at=stored.at))
            elif isinstance(event, e.AttemptEnded):
                ended = found[stored.stream][event.epoch - 1]
                ended.cause, ended.ended_at = event.cause, stored.at
            elif stored.producer:
                _hear(found[stored.stream][stored.producer - 1], stored, event)
    return found


def _hear(attempt, stored, event):
    attempt.spoke = stored.position
    if isinstance(event, e.TrainingStarted):
        attempt.began, attempt.from_step, attempt.last_step = stored.position, event.from_step, event.from_step
        attempt.trained_at, attempt.resume = stored.at, event.resume
    elif isinstance(event, e.StepsRecorded):
        attempt.last_step = event.last_step
    elif isinstance(event, e.CheckpointCommitted):
        attempt.checkpoints.append(event.step)


def spoke_too_late(run):
    """The attempts of a run of which something was recorded after a later one had begun to train."""
    return [each.epoch for each in run for later in run if later.epoch > each.epoch and 0 < later.began < each.spoke]


def lost_steps(run):
    """Of each attempt after which another trained: the steps that it trained in vain, itself and the other one."""
    trained = [each for each in run if each.trained]
    return [(before.last_step - after.from_step, before, after) for before, after in pairwise(trained)]
