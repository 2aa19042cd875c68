"""The deletion of an experiment, and the compaction of a log: by the home's supervisor, or alone where none runs."""

import time
from pathlib import Path
from typing import Final, NamedTuple

from lander.app import client
from lander.app.conversation import raise_if_refused
from lander.app.home_decision import decided
from lander.home.lock import is_full
from lander.protocol.commands import CompactLog, DeleteExperiment
from lander.protocol.errors import HomeError, LanderError, UsageError
from lander.protocol.text import named
from lander.store.log.reader import Reader
from lander.store.log.stored_events import consequential
from lander.store.records.tries import Try, recorded_tries
from lander.store.upkeep.deletion import Extent, extent

COMPACT_SECONDS: Final = 3600.0
"""How long a supervisor may take to compact its log; it rewrites the whole file."""
_LOOK_SECONDS: Final = 0.1


class Doomed(NamedTuple):
    """An experiment that may be deleted: what goes, and what stays as its tombstone; `unfinished` counts runs that would have
    gone on.
    """

    tried: Try
    decision: str
    extent: Extent
    unfinished: int

    @property
    def command(self) -> DeleteExperiment:
        """The command that deletes it."""
        return _command(self.tried.experiment, self.tried.baseline, self.tried.rule, self.tried.variants, self.decision)


def doomed(home: Path, name: str) -> Doomed:
    """What a deletion would do; nothing is changed. Raises the error that a supervisor would refuse it with."""
    if "/" in name:
        whole = name.partition("/")[0]
        detail = f"only a whole experiment can be deleted; lander-ctl delete {named(whole)} is about all its runs"
        raise UsageError(f"{named(name)}: {detail}")
    with Reader(home) as reader, reader.snapshot():
        _refuse(reader, _command(name, "0" * 64, 1, 0, ""))
        tried = next(each for each in recorded_tries(reader) if each.experiment == name and not each.deleted)
        return Doomed(tried, _decision(reader, name), extent(reader, name), len(reader.unfinished(name)))


def _command(name: str, baseline: str, rule: int, variants: int, decision: str) -> DeleteExperiment:
    return DeleteExperiment(
        experiment=name, operator=client.operator(), baseline=baseline, baseline_rule=rule, variants=variants, decision=decision
    )


def _refuse(reader: Reader, command: DeleteExperiment) -> None:
    """Decide as the home's supervisor would, or this process where none serves the home, and record nothing."""
    from lander.supervisor.core.decide import decide
    from lander.supervisor.core.fold import fold
    from lander.supervisor.core.timers import Timers
    from lander.supervisor.single_decision import unserved

    message = command if client.running(reader.home) is not None else unserved(reader.home, command)
    state = fold(consequential(reader.connection))
    raise_if_refused(decide(state, message, time.time(), Timers(), leaving=True).answer)


def _decision(reader: Reader, name: str) -> str:
    """The decision on each variant, in words; empty if there is none to be made of what is recorded."""
    from lander.reports.analysis.comparison import findings

    try:
        contrasts = findings(reader, name).contrasts
    except LanderError:
        return ""
    return ", ".join(f"{each.variant}: {each.decision}" for each in contrasts)


def delete(home: Path, found: Doomed) -> None:
    """Delete an experiment, and wait until it is erased.

    Raises the error it is refused with. After an interruption, the supervisor goes on, or the next one does.
    """
    from lander.supervisor.single_decision import decide_alone

    command = found.command
    decided(
        home,
        lambda supervisor: _ask(home, supervisor, command),
        lambda: raise_if_refused(decide_alone(home, command)),
    )


def _ask(home: Path, supervisor: client.Client, command: DeleteExperiment) -> None:
    """Have the supervisor delete an experiment; it answers when that is erased, and may be gone or without room before."""
    name = command.experiment
    supervisor.send(command)
    while supervisor.listen(_LOOK_SECONDS) is None:
        if client.running(home) is None:
            gone = "since the supervisor is gone; lander-ctl up goes on"
            raise LanderError(f"{name}: {_begun(home, name)}, {gone}")
        if is_full(home):
            raise HomeError(f"{name}: {_begun(home, name)}, since no space is left on the disk; it goes on when there is room")


def _begun(home: Path, name: str) -> str:
    with Reader(home) as reader:
        return "deleted, and not erased yet" if reader.deleted_at(name) is not None else "not deleted yet"


def compact(home: Path) -> tuple[int, int]:
    """Give the space of erased events back; returns the size of the log before and after, in bytes.

    After an interruption the log is either as it was or compacted, and this may be called again.
    """
    from lander.supervisor.single_decision import compact_alone

    with Reader(home):
        pass  # there is something to compact
    return decided(home, lambda supervisor: _ask_to_compact(home, supervisor), lambda: compact_alone(home))


def _ask_to_compact(home: Path, supervisor: client.Client) -> tuple[int, int]:
    try:
        before, after = map(int, supervisor.ask(CompactLog(), seconds=COMPACT_SECONDS).detail.split())
    except client.SupervisorEndedError as error:
        detail = "has ended before the log was compacted; nothing is lost: run lander-ctl compact again"
        raise client.SupervisorEndedError(f"{home}: {supervisor.name} {detail}") from error
    return before, after
