"""Experiments from Python: the same path as the command line, with values instead of text."""

import sys
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Never

from lander.api.keywords import errors_in_keywords, in_keywords, refuse_unknown
from lander.api.results import Result, result
from lander.api.targets import home_of
from lander.app.conduct import Show, conduct
from lander.app.notebook_view import NotebookView, in_notebook
from lander.app.requests import Request, built_everything, recorded, request, request_by_name
from lander.experiments.specification import ExperimentSpec
from lander.protocol.errors import UsageError
from lander.store.log.reader import Reader
from lander.store.projections.status import ExperimentStatus, status

if TYPE_CHECKING:
    from lander.actors.host.requirements import Built

Source = ExperimentSpec | Mapping[str, object] | str | Path
Progress = bool | Callable[[ExperimentStatus], object] | None


@errors_in_keywords
def run(
    experiment: Source | None = None,
    *,
    home: str | Path | None = None,
    overrides: Sequence[str] = (),
    experiment_id: str | None = None,
    mode: Literal["sequential", "parallel"] | None = None,
    max_workers: int | None = None,
    seeds: Iterable[int] | str | None = None,
    training_steps: int | None = None,
    checkpoint_frequency: int | None = None,
    eval_frequency: int | None = None,
    eval_episodes: int | None = None,
    monitoring: bool | None = None,
    new_code: bool = False,
    progress: Progress = None,
    **unknown: Never,
) -> Result:
    """Train an experiment to its end and return what came of it, as `lander-ctl run` does.

    `experiment` is a file, the id of a recorded experiment, the data of a file, or an `Experiment`; `overrides` are
    `KEY=VALUE` for any setting, and the settings that are options of the command are keywords, too. What was stopped, failed or
    interrupted goes on from its last checkpoints. A recorded experiment goes on as it was carried out before, but for `mode`,
    `max_workers` and `monitoring` where given; more `training_steps` extend it, `seeds="+5"` adds five seeds,
    `overrides=["variants.NAME.hyperparameters.…"]` adds an arm. `experiment_id` is the id that an experiment gets. Its runs
    train on the code of the environments as it was captured, and with `new_code` those that are added on the code as it is now.
    `home` is where everything is kept (default: LANDER_HOME, or ./results). `progress` is called with the experiment's status
    four times a second; True shows it in the notebook or on standard output, None does so in a notebook or on a terminal only,
    False shows nothing.
    A failed run is not an exception: look at `completed`. Ctrl-C stops the experiment, unless it was under way before, then
    raises `KeyboardInterrupt`. Raises `ConfigurationError` before anything starts, `OutputClosedError` where progress cannot be
    shown any more while the experiment goes on, and other `LanderError`s where it cannot be carried out.
    """
    refuse_unknown(run, unknown)
    if mode not in (None, "sequential", "parallel"):
        raise UsageError(f"mode: found {mode!r}; must be sequential or parallel; lander.validate trains nothing")
    if max_workers is not None and max_workers < 1:
        raise UsageError(f"max_workers: found {max_workers}; must be at least 1")
    given = {"mode": mode, "max_workers": max_workers, "monitoring": monitoring}
    execution = {name: value for name, value in given.items() if value is not None}
    home = home_of(home)
    how: dict[str, Any] = {"execution": execution, "seeds": _seeds(seeds), "new_code": new_code}
    how |= {"checkpoint_frequency": checkpoint_frequency, "eval_frequency": eval_frequency, "eval_episodes": eval_episodes}
    wanted = _wanted(experiment, experiment_id, home, _changes(overrides, training_steps), **how)
    _warn_of(wanted)
    with _view(progress) as show:
        standing = conduct(wanted, home, show, _tell)
    return result(home, standing)


@errors_in_keywords
def fork(
    target: str,
    at: int | str,
    *,
    overrides: Sequence[str],
    home: str | Path | None = None,
    experiment_id: str | None = None,
    seeds: Iterable[int] | str | None = None,
    training_steps: int | None = None,
    progress: Progress = None,
    **unknown: Never,
) -> Result:
    """Continue `EXPERIMENT/ARM[/SEED]` from a checkpoint, once as it was and once with `overrides`, as `lander-ctl fork` does.

    `at` is the checkpoint's timestep, `"last"`, `"best"` (in evaluation) or `"final"`; `overrides` are `KEY=VALUE`, and
    `training_steps` is how far both go. `progress` and the rest are as in `run`. Raises `NotFoundError` where there is no
    such run or checkpoint, `ConfigurationError` where a change does not fit what the checkpoint holds.
    """
    from lander.app.forking import fork_request

    refuse_unknown(fork, unknown)
    home, changes = home_of(home), _changes(overrides, training_steps)
    wanted = fork_request(home, target, str(at), changes, execution={}, experiment_id=experiment_id, seeds=_seeds(seeds))
    _warn_of(wanted)
    with _view(progress) as show:
        standing = conduct(wanted, home, show, _tell)
    return result(home, standing)


@errors_in_keywords
def validate(
    experiment: Source,
    *,
    home: str | Path | None = None,
    overrides: Sequence[str] = (),
    seeds: Iterable[int] | str | None = None,
    training_steps: int | None = None,
    **unknown: Never,
) -> "tuple[Built, ...]":
    """Build every environment and model of an experiment and train nothing; returns what was built, arm by arm.

    `experiment` is as in `run`; `home` is where a recorded one is looked for. Raises `ConfigurationError`, one line per
    problem. Starts and writes nothing.
    """
    refuse_unknown(validate, unknown)
    how: dict[str, Any] = {"execution": {"mode": "validation"}, "seeds": _seeds(seeds)}
    wanted = _wanted(experiment, None, home_of(home), _changes(overrides, training_steps), **how)
    _warn_of(wanted)
    return built_everything(wanted)


def report(experiment_id: str, *, home: str | Path | None = None) -> Result:
    """How a recorded experiment stands, and what it has shown so far, as `lander-ctl report` tells it; trains nothing.

    Raises `NotFoundError` where there is none of that name.
    """
    home = home_of(home)
    with Reader(home) as reader:
        reader.experiment(experiment_id)
        (standing,) = status(reader, experiment_id)["experiments"]
    return result(home, standing)


def _wanted(
    experiment: Source | None,
    experiment_id: str | None,
    home: Path,
    overrides: Sequence[str],
    **reading: Any,
) -> Request:
    """The request for an experiment, named as on the command line; without one, for the recorded experiment of this id."""
    if isinstance(experiment, str):
        return request_by_name(experiment, home, overrides, experiment_id=experiment_id, warn=_warn, **reading)
    if experiment is not None:
        return request(experiment, overrides, experiment_id=experiment_id, **reading)
    if experiment_id is None:
        raise UsageError("experiment: missing; must be a file, its data, or the id of a recorded experiment")
    return recorded(home, experiment_id, overrides, **reading)


def _changes(overrides: Sequence[str], training_steps: int | None) -> Sequence[str]:
    """The overrides with that of `training_steps`; raises `UsageError` for a text, which would be one for each letter."""
    if isinstance(overrides, str):
        raise UsageError(f"overrides: found text, {overrides!r}; must be a list of KEY=VALUE")
    return overrides if training_steps is None else (*overrides, f"training_steps={training_steps}")


def _seeds(seeds: Iterable[int] | str | None) -> str | None:
    return seeds if seeds is None or isinstance(seeds, str) else ",".join(str(seed) for seed in seeds)


def _warn_of(wanted: Request) -> None:
    for notice in wanted.notices:
        _warn(notice)


def _warn(notice: str) -> None:
    warnings.warn(in_keywords(notice), UserWarning, stacklevel=5)


def _tell(answer: str) -> None:
    """Warn where nothing was done that was asked for, since the experiment has more than that."""
    if "already submitted" in answer and ";" in answer:
        _warn(answer)


def _view(progress: Progress) -> AbstractContextManager[Show]:
    if callable(progress):
        return nullcontext(progress)
    if progress is not False and in_notebook():
        return nullcontext(NotebookView().show)
    from lander.app.live_view import live_view

    return live_view(quiet=not (sys.stdout.isatty() if progress is None else progress))
