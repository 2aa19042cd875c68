"""What stands below a status: why it may be out of date, what hosts lack, and what has to be mended before runs go on."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

from lander.cli.home_notices import home_notices
from lander.cli.options import CommandSettings
from lander.cli.terminal import in_home
from lander.protocol.states import LIVE, LOCAL, RunState

if TYPE_CHECKING:
    from lander.app.screen import Screen
    from lander.store.log.reader import Reader
    from lander.store.projections.status import ExperimentStatus, RunStatus

_MENDED_FIRST: Final = ("environment_error", "limit_exceeded")
"""Causes of an end that come again until a person has changed something."""
LOOK_SECONDS: Final = 2.0
_LAUNCHERS: Final = "SELECT 1 FROM streams WHERE name GLOB 'launcher:*' LIMIT 1"
_OTHER_HOSTS: Final = "SELECT 1 FROM streams WHERE name GLOB 'host:*' AND name <> 'host:local' LIMIT 1"


class StatusNotices:
    """The lines below the status of a target, each time that it is shown."""

    def __init__(self, reader: "Reader", settings: CommandSettings, target: str | None) -> None:
        self._reader = reader
        self._settings = settings
        self._target = target
        self._ended: list[tuple[str, int, RunState]] = []
        self._ways_on: list[str] = []

    def of_home(self, found: "Sequence[ExperimentStatus]") -> list[str]:
        """Why the status may be out of date, what engines say, and which hosts cannot train or bring no files home."""
        is_under_way = bool(self._reader.under_way(self._target))
        lines = home_notices(self._settings, under_way=is_under_way)
        if is_under_way and self._is_there(_LAUNCHERS):
            from lander.store.records.launchers import launchers

            lines += [f"lander-ctl: {each.remark}" for each in launchers(self._reader) if each.remark]
        return [in_home(line) for line in lines + self._unfit_hosts(found)]

    def ways_on(self, shown: "Screen") -> list[str]:
        """What has to be mended before runs that are shown go on; looked for anew only when others need it."""
        found = [block.experiment for block in shown.blocks if any(map(_is_mended_first, block.runs))]
        ended = [(run["id"], run["attempt"], run["state"]) for each in found for run in each["runs"] if _is_mended_first(run)]
        if ended != self._ended:
            from lander.app.ways_on import ways_on

            self._ways_on = [in_home(f"lander-ctl: {line}") for line in ways_on(self._reader, found)]
            self._ended = ended
        return self._ways_on

    def _unfit_hosts(self, found: "Sequence[ExperimentStatus]") -> list[str]:
        """Looked for only where there are other hosts, for that takes time."""
        runs = [run for each in found for run in each["runs"]]
        is_elsewhere = any(run["state"] in LIVE and run["host"] not in (None, LOCAL) for run in runs)
        if not is_elsewhere and not any(run["state"] == "queued" for run in runs):
            return []
        if not self._is_there(_OTHER_HOSTS):
            return []
        from lander.app.unfit_hosts import why_files_wait, why_queued, why_silent
        from lander.home.lock import is_locked

        lines = [*why_queued(self._reader, found), *why_files_wait(self._reader, found)]
        if is_locked(self._settings.home):  # without a supervisor nothing is heard
            lines += why_silent(self._reader, found)
        return [f"lander-ctl: {line}" for line in lines]

    def _is_there(self, query: str) -> bool:
        return self._reader.connection.execute(query).fetchone() is not None


@contextmanager
def notices_while_followed(settings: CommandSettings, target: str) -> "Iterator[Callable[[ExperimentStatus], Sequence[str]]]":
    """A function that returns the lines of the home for an experiment that is followed, looked for anew every two seconds."""
    lines: list[str] = []
    looked_at = float("-inf")
    found: StatusNotices | None = None

    def notices(experiment: "ExperimentStatus") -> Sequence[str]:
        nonlocal found, lines, looked_at
        if found is None:
            from lander.store.log.reader import Reader

            found = StatusNotices(opened.enter_context(Reader(settings.home)), settings, target)
        if time.monotonic() - looked_at >= LOOK_SECONDS:
            lines, looked_at = found.of_home([experiment]), time.monotonic()
        return lines

    with ExitStack() as opened:
        yield notices


def _is_mended_first(run: "RunStatus") -> bool:
    return run["cause"] in _MENDED_FIRST
