"""The tables of `csv`, `json` and `parquet`: the recorded data, the runs themselves, and their resource use."""

import json
from collections.abc import Iterator, Mapping
from typing import Final, Literal

from lander.reports.analysis.run_histories import final_of
from lander.reports.analysis.tidy_tables import RECORDED, RUN, Row, Table
from lander.reports.export.exported_runs import ExportedRun, runs_of
from lander.reports.export.plain import moment
from lander.store.log.reader import Reader
from lander.store.records.run_record import Record
from lander.store.records.usage_samples import samples

Kind = Literal["text", "integer", "number", "truth", "time"]

_OF_RUN: Final = ("state", "cause", "attempt", "resume", "step", "total_steps", "episodes")
_USED: Final = ("cpu_percent", "memory_mb", "gpu_percent")
_COLUMNS: Final[Mapping[Kind, str]] = {
    "text": "run arm role algorithm environment hyperparameters state cause resume name host",
    "integer": "seed attempt attempts step total_steps episodes episode env first_step last_step length evaluation_seed",
    "number": "return value training_return evaluation_return cpu_percent memory_mb gpu_percent",
    "truth": "truncated final",
    "time": "started ended time",
}
KINDS: Final[Mapping[str, Kind]] = {column: kind for kind, columns in _COLUMNS.items() for column in columns.split()}
"""The kind of each column, the same in every table; a time is ISO 8601 text."""


def tables(reader: Reader, target: str) -> dict[str, Table]:
    """Every table of a target, by name; raises `NotFoundError` for an unknown target."""
    found = runs_of(reader, target)
    names = [run.key.id for run in found]
    return {
        "runs": _runs(reader, found),
        **{name: table(reader, names) for name, table in RECORDED.items()},
        "resources": _resources(reader, names),
    }


def _runs(reader: Reader, runs: list[ExportedRun]) -> Table:
    """`training_return` is the mean of the last 100 episodes, `evaluation_return` that of the final evaluation."""
    arm = ("role", "algorithm", "environment", "hyperparameters")
    standing = ("state", "cause", "attempts", *_OF_RUN[3:])
    columns = (*RUN, *arm, *standing, "training_return", "evaluation_return", "started", "ended")
    return Table(columns, (_run(reader, run) for run in runs))


def _run(reader: Reader, run: ExportedRun) -> Row:
    key, arm = run.key, run.arm
    hyperparameters = json.dumps(arm.hyperparameters, ensure_ascii=False)
    final = final_of(Record(reader, key.id).evaluations(), run.status["step"])
    return (
        *(key.id, key.arm, key.seed),
        *(arm.role, arm.algorithm, arm.environment, hyperparameters),
        *(run.status[name] for name in _OF_RUN),
        *(run.status["mean_return"], final.mean_return if final else None),
        *(None if at is None else moment(at) for at in (run.started, run.ended)),
    )


def _resources(reader: Reader, runs: list[str]) -> Table:
    """The resources that every attempt used, superseded ones included; `cpu_percent` is of one core."""
    return Table((*RUN, "attempt", "host", "time", *_USED), _samples(reader, runs[0].partition("/")[0], set(runs)))


def _samples(reader: Reader, experiment: str, runs: set[str]) -> Iterator[Row]:
    for at, host, used in samples(reader, experiment):
        if used.run in runs:
            _, arm, seed = used.run.split("/")
            yield used.run, arm, int(seed), used.epoch, host, moment(at), used.cpu_percent, used.memory_mb, used.gpu_percent
