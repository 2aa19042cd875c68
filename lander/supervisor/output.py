"""What trainers on other machines print, appended to the logs of their runs in the home."""

import logging
from pathlib import Path
from typing import Final

from lander.home.layout import trainer_log
from lander.protocol.commands import OutputNoted, ReportOutput
from lander.protocol.experiment import RunKey
from lander.supervisor.core.state import State

LOG: Final = logging.getLogger(__name__)


class Output:
    """Takes each piece once, in order; of attempts that are over, and of other hosts' attempts, it takes none."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._taken: dict[tuple[str, int], int] = {}

    def take(self, host: str, piece: ReportOutput, state: State) -> OutputNoted | None:
        """Append a piece; returns how much of that output is here, None if it was not this host's to say."""
        if state.attempt_on(host, piece.run, piece.epoch) is None:
            return None
        key = piece.run, piece.epoch
        taken = self._taken.get(key)
        if taken is None:  # the first piece; or this supervisor is younger than the attempt
            self._forget_ended(state)
            taken = piece.offset
        if piece.offset >= taken and self._append(piece):  # a gap is what was left out of a long end
            taken = piece.offset + len(piece.data)
        self._taken[key] = taken
        return OutputNoted(run=piece.run, epoch=piece.epoch, offset=taken)

    def _append(self, piece: ReportOutput) -> bool:
        path = trainer_log(self._home, RunKey.parse(piece.run))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as file:
                file.write(piece.data)
        except OSError as error:
            LOG.error("%s: cannot be written: %s", path, error)
            return False
        return True

    def _forget_ended(self, state: State) -> None:
        self._taken = {key: taken for key, taken in self._taken.items() if state.attempt(*key) is not None}
