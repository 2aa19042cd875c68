"""The Python API: the same path as the command line, with values instead of text."""

import os
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lander.app import client
from lander.app.conduct import Request, Show, conduct, recorded, request
from lander.experiments.specification import ExperimentSpec
from lander.protocol.errors import UsageError
from lander.reports.analysis.comparison import findings
from lander.reports.analysis.findings import Findings
from lander.reports.render.text_report import as_text
from lander.reports.render.verdict import verdict
from lander.store.log.reader import Reader
from lander.store.projections.status import ExperimentStatus, status

if TYPE_CHECKING:
    from lander.actors.host.requirements import Built

Source = ExperimentSpec | Mapping[str, object] | str | Path
Progress = bool | Callable[[ExperimentStatus], object] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOutcome:
    """How one run ended; `why` it was not tried again if it failed, `mean_return` over its last 100 episodes, `model` an
    ordinary Stable-Baselines3 zip."""

    id: str
    arm: str
    seed: int
    state: str
    cause: str | None
    detail: str | None
    why: str | None
    steps: int
    episodes: int
    mean_return: float | None
    model: Path | None

    @property
    def completed(self) -> bool:
        """Whether it was trained to its end."""
        return self.state == "completed"


@dataclass(frozen=True, kw_only=True, slots=True)
class ArmOutcome:
    """How the runs of one arm ended, and the mean and sample standard deviation of what its completed runs achieved.

    That is their final evaluation, or where some have none, their last 100 training episodes.
    """

    name: str
    runs: tuple[RunOutcome, ...]
    mean_return: float | None
    spread: float | None

    @property
    def completed(self) -> bool:
        """Whether every run of the arm was trained to its end."""
        return all(run.completed for run in self.runs)


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """How an experiment stands: arms by name, baseline first, and what was found: the numbers behind its verdict."""

    experiment_id: str
    state: str
    home: Path
    arms: Mapping[str, ArmOutcome]
    findings: Findings

    @property
    def verdict(self) -> list[str]:
        """For each variant whether the hypothesis is supported, refuted or undecided, in words."""
        return verdict(self.findings)

    @property
    def runs(self) -> tuple[RunOutcome, ...]:
        """Every run, arm by arm."""
        return tuple(run for arm in self.arms.values() for run in arm.runs)

    @property
    def completed(self) -> bool:
        """Whether every run was trained to its end."""
        return all(arm.completed for arm in self.arms.values())

    def __str__(self) -> str:
        return as_text(self.findings)


def run(
    experiment: Source | None = None,
    *,
    home: str | Path | None = None,
    overrides: Sequence[str] = (),
    experiment_id: str | None = None,
    mode: Literal["sequential", "parallel"] | None = None,
    max_workers: int | None = None,
    seeds: Iterable[int] | str | None = None,
    monitoring: bool | None = None,
    progress: Progress = None,
) -> Result:
    """Train an experiment to its end and return what came of it, as `lander-ctl run` does.

    `experiment` is a file, the data of one, or an `Experiment`; `overrides` are `KEY=VALUE`. What was stopped, failed or
    interrupted goes on from its last checkpoints; without an `experiment`, `experiment_id` names the recorded one to go on
    with (as it was carried out before, but for `mode`, `max_workers` and `monitoring` where given), and
    `overrides=["training_steps=…"]` extend it, `seeds="+5"` adds five. `home` is where everything is kept (default:
    LANDER_HOME, or ./results). `progress` is called with the experiment's status four times a second; True shows it on
    standard output, None does so on a terminal only.
    A failed run is not an exception: look at `completed`. Ctrl-C stops the experiment, then raises `KeyboardInterrupt`.
    Raises `ConfigurationError` before anything starts, and other `LanderError`s where it cannot be carried out.
    """
    if mode not in (None, "sequential", "parallel"):
        raise UsageError(f"mode: found {mode!r}; must be sequential or parallel; lander.validate trains nothing")
    if isinstance(overrides, str):
        raise UsageError(f"overrides: found text, {overrides!r}; must be a list of KEY=VALUE")
    if max_workers is not None and max_workers < 1:
        raise UsageError(f"max_workers: found {max_workers}; must be at least 1")
    given = {"mode": mode, "max_workers": max_workers, "monitoring": monitoring}
    execution = {name: value for name, value in given.items() if value is not None}
    home = _home(home)
    wanted = _wanted(experiment, experiment_id, home, overrides, execution, _seeds(seeds))
    _warn(wanted)
    with _view(progress) as show:
        standing = conduct(wanted, home, show)
    return _result(home, standing)


def fork(
    target: str,
    at: int | str,
    *,
    overrides: Sequence[str],
    home: str | Path | None = None,
    experiment_id: str | None = None,
    seeds: Iterable[int] | str | None = None,
    progress: Progress = None,
) -> Result:
    """Continue `EXPERIMENT/ARM[/SEED]` from a checkpoint, once as it was and once with `overrides`, as `lander-ctl fork` does.

    `at` is the checkpoint's timestep, `"last"`, `"best"` (in evaluation) or `"final"`; `overrides` are `KEY=VALUE`, and
    `"training_steps=…"` is how far both go. `progress` and the rest are as in `run`. Raises `NotFoundError` where there is no
    such run or checkpoint, `ConfigurationError` where a change does not fit what the checkpoint holds.
    """
    from lander.app.forking import fork_request

    home = _home(home)
    wanted = fork_request(home, target, str(at), overrides, execution={}, experiment_id=experiment_id, seeds=_seeds(seeds))
    _warn(wanted)
    with _view(progress) as show:
        standing = conduct(wanted, home, show)
    return _result(home, standing)


def export(target: str, to: str, *, output: str | Path | None = None, home: str | Path | None = None) -> Path:
    """Write what a target recorded for another tool, as `lander-ctl export` does; returns the directory.

    `to` is `csv`, `json`, `jsonl`, `parquet`, `tensorboard`, `wandb` or `mlflow`. Raises `NotFoundError` for an unknown target,
    `UsageError` for an unknown format, one whose library is not installed, or a directory that holds what no export wrote.
    """
    from lander.reports.export import formats

    if to not in formats.FORMATS:
        raise UsageError(f"to: found {to!r}; must be one of {', '.join(formats.FORMATS)}")
    with Reader(_home(home)) as reader:
        return formats.export(reader, target, to, None if output is None else Path(output)).directory


def validate(
    experiment: Source, *, overrides: Sequence[str] = (), seeds: Iterable[int] | str | None = None
) -> "tuple[Built, ...]":
    """Build every environment and model of an experiment and train nothing; returns what was built, arm by arm.

    Raises `ConfigurationError`, one line per problem. Starts and writes nothing.
    """
    from lander.actors.host.requirements import build_everything

    wanted = request(experiment, overrides, execution={"mode": "validation"}, seeds=_seeds(seeds))
    _warn(wanted)
    return build_everything(wanted.experiment, wanted.source)


def report(experiment_id: str, *, home: str | Path | None = None) -> Result:
    """How a recorded experiment stands, and what it has shown so far, as `lander-ctl report` tells it; trains nothing.

    Raises `NotFoundError` where there is none of that name.
    """
    home = _home(home)
    with Reader(home) as reader:
        reader.experiment(experiment_id)
        (standing,) = status(reader, experiment_id)["experiments"]
    return _result(home, standing)


def stop(target: str, *, home: str | Path | None = None) -> None:
    """Stop `EXPERIMENT[/ARM[/SEED]]`: what trains writes a checkpoint and ends. Returns before it has."""
    client.operate(_home(home), "StopTarget", target)


def pause(target: str, *, home: str | Path | None = None) -> None:
    """Pause a target: what trains writes a checkpoint and frees its slot. Returns before it has."""
    client.operate(_home(home), "PauseTarget", target)


def resume(target: str, *, home: str | Path | None = None) -> None:
    """Go on with what is paused, stopped, failed or skipped; starts a supervisor if none runs, and returns at once."""
    client.go_on(_home(home), "ResumeTarget", target)


def retry(target: str, *, home: str | Path | None = None) -> None:
    """Try again what failed or was skipped; starts a supervisor if none runs, and returns at once."""
    client.go_on(_home(home), "RetryTarget", target)


def skip(target: str, *, home: str | Path | None = None) -> None:
    """Have an experiment go on without a target."""
    client.operate(_home(home), "SkipTarget", target)


def _home(home: str | Path | None) -> Path:
    return Path(home or os.environ.get("LANDER_HOME") or "results")


def _wanted(
    experiment: Source | None,
    experiment_id: str | None,
    home: Path,
    overrides: Sequence[str],
    execution: Mapping[str, object],
    seeds: str | None,
) -> Request:
    if experiment is not None:
        return request(experiment, overrides, execution=execution, experiment_id=experiment_id, seeds=seeds)
    if experiment_id is None:
        raise UsageError("experiment: missing; must be given, or experiment_id, to go on with a recorded one")
    return recorded(home, experiment_id, overrides, execution=execution, seeds=seeds)


def _seeds(seeds: Iterable[int] | str | None) -> str | None:
    return seeds if seeds is None or isinstance(seeds, str) else ",".join(str(seed) for seed in seeds)


def _warn(wanted: Request) -> None:
    for notice in wanted.notices:
        warnings.warn(notice, UserWarning, stacklevel=3)


def _view(progress: Progress) -> AbstractContextManager[Show]:
    if callable(progress):
        return nullcontext(progress)
    from lander.app.live_view import live_view

    return live_view(quiet=not (sys.stdout.isatty() if progress is None else progress))


def _result(home: Path, standing: ExperimentStatus) -> Result:
    name = standing["id"]
    with Reader(home) as reader:
        found, models = findings(reader, name), reader.models(name)
    outcomes = [
        RunOutcome(
            id=run["id"],
            arm=run["arm"],
            seed=run["seed"],
            state=run["state"],
            cause=run["cause"],
            detail=run["detail"] or None,
            why=run["why"],
            steps=run["step"],
            episodes=run["episodes"],
            mean_return=run["mean_return"],
            model=models.get(run["id"]),
        )
        for run in standing["runs"]
    ]
    arms = {
        arm.name: ArmOutcome(
            name=arm.name,
            runs=tuple(run for run in outcomes if run.arm == arm.name),
            mean_return=arm.mean.value if arm.mean else None,
            spread=arm.spread,
        )
        for arm in found.arms
    }
    return Result(experiment_id=name, state=standing["state"], home=home, arms=arms, findings=found)
