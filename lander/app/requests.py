"""Requests: an experiment that has been read and checked, and its execution. Nothing is started here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lander.experiments.changing import changed_experiment, with_more_seeds
from lander.experiments.execution import execution_with
from lander.experiments.parsing import parse_experiment, read_experiment
from lander.experiments.specification import ExperimentSpec
from lander.protocol.events import Execution
from lander.protocol.experiment import Experiment
from lander.store.log.reader import Reader


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """An experiment that has been read and checked, and its execution; `source` is its name in error messages.

    `execution` is complete: it includes the directory from which modules of environments are imported.
    """

    experiment: Experiment
    execution: Execution
    notices: tuple[str, ...]
    source: str


def request(
    what: ExperimentSpec | Mapping[str, object] | str | Path,
    overrides: Sequence[str] = (),
    *,
    execution: Mapping[str, object],
    experiment_id: str | None = None,
    seeds: str | None = None,
    checkpoint_frequency: int | None = None,
    eval_frequency: int | None = None,
    eval_episodes: int | None = None,
) -> Request:
    """Read an experiment (a file, or data) and check it against what is installed on this machine.

    `execution` holds the settings that were given; others get their defaults. Starts nothing and writes nothing. Raises
    `ConfigurationError`, one line per problem.
    """
    options: dict[str, Any] = {
        "overrides": overrides,
        "experiment_id": experiment_id,
        "seeds": seeds,
        "checkpoint_frequency": checkpoint_frequency,
        "eval_frequency": eval_frequency,
        "eval_episodes": eval_episodes,
    }
    if isinstance(what, str | Path):
        source = str(what)
        experiment, notices = read_experiment(Path(what), **options)
    else:
        source = "experiment"
        data = what.model_dump(mode="json", exclude_unset=True) if isinstance(what, ExperimentSpec) else what
        experiment, notices = parse_experiment(data, source=source, **options)
    return checked(experiment, execution_with(**{"directory": str(Path.cwd()), **execution}), notices, source)


def checked(experiment: Experiment, execution: Execution, notices: Sequence[str], source: str) -> Request:
    """The request for an experiment, with the defaults of its algorithms filled in.

    Raises `ConfigurationError` if the experiment cannot run with what is installed on this machine.
    """
    from lander.actors.host.requirements import check
    from lander.actors.sb3.defaults import with_defaults

    check(experiment, source, execution.directory)
    complete = with_defaults(experiment)
    return Request(experiment=complete, execution=execution, notices=tuple(notices), source=source)


def recorded(
    home: Path,
    name: str,
    overrides: Sequence[str] = (),
    *,
    execution: Mapping[str, object],
    seeds: str | None = None,
    **options: Any,
) -> Request:
    """The request to continue a recorded experiment of this home, with overrides and the given settings of `execution`.

    `seeds` such as `+5` adds five seeds to every arm. Raises `NotFoundError` for an unknown name, and what `request` raises.
    """
    with Reader(home) as reader:
        experiment, before = reader.experiment(name), reader.execution(name)
    if seeds is not None and seeds.startswith("+"):
        experiment, seeds = with_more_seeds(experiment, seeds), None
    wanted = changed_experiment(experiment, overrides, seeds=seeds, **options)
    return checked(wanted, execution_with(**{**before.model_dump(), **execution}), (), name)
