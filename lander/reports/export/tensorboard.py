"""TensorBoard: a directory for each run with its scalars, under Stable-Baselines3's own names.

Written record by record with TensorBoard's `RecordWriter`, so that the same log gives the same bytes. `SummaryWriter` would
import torch; `EventFileWriter` would start a thread and name its file after the clock and the host.
"""

import contextlib
import json
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from tensorboard.summary.writer.record_writer import RecordWriter

from lander.protocol.events import Event as LogEvent
from lander.protocol.events import MetricsLogged, TrainingStarted
from lander.protocol.lineage import Lineage, Start
from lander.reports.export.directory import note
from lander.reports.export.exported_runs import ExportedRun, runs_of
from lander.reports.export.formats import Exported
from lander.store.log.reader import Reader
from lander.store.records.run_record import Record

_FILE: Final = "events.out.tfevents.lander-ctl"
_FOLLOWED_KINDS: Final = (TrainingStarted.kind, MetricsLogged.kind)


def write(reader: Reader, target: str, directory: Path) -> None:
    """Write `<arm>/<seed>/events.out.tfevents.…` for each run: its configuration, and its metrics without superseded ones."""
    for run in runs_of(reader, target):
        with _EventFile.of(run, directory) as file:
            for at, metrics in Record(reader, run.key.id).dated_metrics():
                file.add_scalars(at, metrics)


class Following:
    """An export that grows with the log; use as a context manager.

    An attempt that continues from a step supersedes what was written beyond it. The same record as
    `SummaryWriter(purge_step=…)` writes makes TensorBoard purge that.
    """

    def __init__(self, reader: Reader, target: str, exported: Exported) -> None:
        self._reader = reader
        self._target = target
        self._directory = exported.directory
        self._position = exported.position
        self._open = contextlib.ExitStack()
        self._runs: dict[str, _Followed] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._open.close()
        self._note(growing=False)

    def grow(self) -> int:
        """Append what was recorded since the last call; returns the log position up to which it has read."""
        until = self._reader.position()
        for stored in self._reader.events(self._target, _FOLLOWED_KINDS, self._position, until):
            self._followed(stored.stream).add(stored.producer, stored.at, stored.decode())
        for run in self._runs.values():
            run.file.flush()
        self._position = max(self._position, until)
        return self._position

    def _note(self, *, growing: bool) -> None:
        about = {"format": "tensorboard", "target": self._target, "position": self._position}
        note(self._directory, about, growing=growing)

    def _followed(self, run: str) -> "_Followed":
        """The file of a run and its lineage; opens the file at the run's first event."""
        if run not in self._runs:
            (found,) = runs_of(self._reader, run)
            file = self._open.enter_context(_EventFile.of(found, self._directory))
            before = self._reader.events(run, [TrainingStarted.kind], until=self._position)
            self._runs[run] = _Followed(file, [_start(stored.producer, stored.decode()) for stored in before])
            self._note(growing=True)  # or, if this process is killed, the next export would refuse a file it does not know
        return self._runs[run]


class _Followed:
    """A run's file, and the starts of its attempts so far."""

    def __init__(self, file: "_EventFile", starts: list[Start]) -> None:
        self.file = file
        self._lineage = Lineage(starts)

    def add(self, epoch: int, at: int, event: LogEvent) -> None:
        """Write a metric unless it is superseded; at the start of an attempt, purge what that supersedes."""
        if isinstance(event, TrainingStarted):
            self._lineage = Lineage((*self._lineage.starts, Start(epoch, event.from_step)))
            self.file.purge(at, event.from_step)
        elif isinstance(event, MetricsLogged) and self._lineage.counts_event(epoch, event):
            self.file.add_scalars(at, event)


def _start(epoch: int, event: LogEvent) -> Start:
    return Start(epoch, getattr(event, "from_step", 0))


class _EventFile:
    """A run's file of TensorBoard events, written to its end; use as a context manager."""

    def __init__(self, path: Path) -> None:
        self._records = RecordWriter(path.open("ab"))

    @classmethod
    def of(cls, run: ExportedRun, directory: Path) -> Self:
        """The file of a run; a new one begins with the run's configuration."""
        path = directory / run.key.arm / str(run.key.seed) / _FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        new = not path.exists()
        file = cls(path)
        if new:
            file.begin(run)
        return file

    def begin(self, run: ExportedRun) -> None:
        """Write the version of the file format, and the run's configuration."""
        began = (run.queued if run.started is None else run.started) / 1e6
        self._add(Event(wall_time=began, file_version="brain.Event:2"))
        self._add(Event(wall_time=began, summary=_hyperparameters(run, began)))

    def add_scalars(self, at: int, metrics: MetricsLogged) -> None:
        """Add the logger's values of one step; `at` is the time in microseconds since the Unix epoch."""
        values = [Summary.Value(tag=name, simple_value=value) for name, value in metrics.values.items()]
        self._add(Event(wall_time=at / 1e6, step=metrics.step, summary=Summary(value=values)))

    def purge(self, at: int, step: int) -> None:
        """Remove everything beyond a step; everything if the step is 0."""
        log = SessionLog(status=SessionLog.START)
        self._add(Event(wall_time=at / 1e6, step=step + 1 if step else 0, session_log=log))

    def flush(self) -> None:
        """Make the added records visible to readers."""
        self._records.flush()

    def _add(self, event: Any) -> None:
        self._records.write(event.SerializeToString(deterministic=True))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._records.close()


def _hyperparameters(run: ExportedRun, began: float) -> Any:
    """The summary for the HPARAMS tab; a value that is neither number nor text is written as JSON."""
    settings = {name: _scalar(value) for name, value in run.settings.items()}
    summary = hparams_pb(settings, trial_id=run.key.id, start_time_secs=began)
    for value in summary.value:  # serialise the maps in an order that does not depend on the process
        content = value.metadata.plugin_data
        content.content = HParamsPluginData.FromString(content.content).SerializeToString(deterministic=True)
    return summary


def _scalar(value: object) -> object:
    return value if isinstance(value, bool | int | float | str) else json.dumps(value, ensure_ascii=False)
