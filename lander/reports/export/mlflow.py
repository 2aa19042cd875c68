"""MLflow: a tracking database (SQLite) with one experiment, and one MLflow run for each run.

MLflow's own client writes it, configured to send nothing over the network. Ids and creation times are MLflow's own; the rest
is a function of the log. MLflow has no infinite values: its database holds the largest float instead.
"""

import json
import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, TypeVar

from lander.protocol.errors import UsageError
from lander.protocol.states import RunState
from lander.reports.export.exported_runs import ExportedRun, runs_of
from lander.reports.export.surroundings import only
from lander.store.log.reader import Reader
from lander.store.records.run_record import Record

T = TypeVar("T")

_METRICS: Final = 1000
_PARAMETERS: Final = 100
"""The most metrics and parameters that MLflow accepts in one request."""
_LONGEST: Final = 6000
"""Characters of a parameter that MLflow stores (from 2.14 on); a longer one is cut and ends with an ellipsis."""
_STATUS: Final[dict[RunState, str]] = {
    "queued": "SCHEDULED",
    "completed": "FINISHED",
    "failed": "FAILED",
    "stopped": "KILLED",
    "skipped": "KILLED",
}
"""Any other state is RUNNING."""


def write(reader: Reader, target: str, directory: Path) -> None:
    """Write `mlflow.db`; raises `UsageError` if the path cannot be part of a database URL."""
    if unfit := set(str(directory)) & set("?#%"):
        raise UsageError(
            f"{directory.parent}: MLflow opens no database below a name with {min(unfit)}; choose another --output"
        )
    with only("MLFLOW_", MLFLOW_DISABLE_TELEMETRY="true"):
        from mlflow.tracking import MlflowClient  # the import configures its loggers, so they are silenced after it

        # MLflow caches open databases by path: the next export of this process needs another path.
        with _silenced("mlflow", "alembic"), _without_fsync(), TemporaryDirectory(dir=directory) as place:
            _write_all(MlflowClient(tracking_uri=f"sqlite:///{place}/mlflow.db"), reader, target)
            Path(place, "mlflow.db").rename(directory / "mlflow.db")


def _write_all(client: Any, reader: Reader, target: str) -> None:
    name = target.split("/")[0]
    experiment = client.create_experiment(name, artifact_location=f"mlflow-artifacts:/{name}")
    for run in runs_of(reader, target):
        _write(client, experiment, reader, run)


def _write(client: Any, experiment: str, reader: Reader, run: ExportedRun) -> None:
    from mlflow.entities import Metric, Param

    identifier = _created(client, experiment, run)
    parameters = [Param(name, _text(value)) for name, value in run.settings.items()]
    for some in _batches(parameters, _PARAMETERS):
        client.log_batch(identifier, params=some)
    metrics = (
        Metric(_name(name), value, at // 1000, metrics.step)
        for at, metrics in Record(reader, run.key.id).dated_metrics()
        for name, value in metrics.values.items()
    )
    for each in _batches(metrics, _METRICS):
        client.log_batch(identifier, metrics=each)
    status = _STATUS.get(run.status["state"], "RUNNING")
    if run.ended is None:  # `set_terminated` would record the current time
        client.update_run(identifier, status)
    else:
        client.set_terminated(identifier, status, _milliseconds(run.ended))


def _created(client: Any, experiment: str, run: ExportedRun) -> str:
    standing = {name: str(run.status[name]) for name in ("state", "cause", "attempt") if run.status[name] is not None}
    tags = {"run": run.key.id, "arm": run.key.arm, "role": run.arm.role, "seed": str(run.key.seed), **standing}
    began = _milliseconds(run.queued if run.started is None else run.started)
    return str(client.create_run(experiment, start_time=began, run_name=run.key.id, tags=tags).info.run_id)


def _milliseconds(at: int | None) -> int | None:
    return None if at is None else at // 1000


def _name(metric: str) -> str:
    """A metric's name with each character that MLflow does not allow replaced."""
    return re.sub(r"[^\w.\-/ ]", "_", metric, flags=re.ASCII)


def _text(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _batches(values: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(values)
    while some := list(islice(rest, size)):
        yield some


@contextmanager
def _silenced(*names: str) -> Iterator[None]:
    """Silence these loggers below ERROR: they report every table that they create."""
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


@contextmanager
def _without_fsync() -> Iterator[None]:
    """Turn off SQLite's fsync at each commit: the finished directory is flushed once (`directory.replacing`)."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    event.listen(Engine, "connect", _disable_fsync)
    try:
        yield
    finally:
        event.remove(Engine, "connect", _disable_fsync)


def _disable_fsync(connection: Any, record: Any) -> None:
    connection.execute("PRAGMA synchronous = OFF")
