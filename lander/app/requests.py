"""Requests: an experiment that has been read and checked, and its execution. Nothing is started here.

What is imported in functions is not needed to refuse a typing error, which must not wait for it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lander.app.unknown_environments import refuse_unknown
from lander.experiments.environment_files import EnvironmentFiles, beside
from lander.experiments.parsing import parse_experiment, read_experiment
from lander.experiments.specification import ExperimentSpec
from lander.protocol.code import Code
from lander.protocol.errors import UsageError
from lander.protocol.experiment import Experiment

if TYPE_CHECKING:
    from lander.actors.host.requirements import Built
    from lander.protocol.events import Execution


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """An experiment that has been read and checked, and its execution; `source` is its name in error messages.

    `execution` is complete: it includes the directories from which modules of environments are imported. `experiment.code` is
    what its runs train on: `archive`, if it is new code, or what was captured in `home`. `found` is the code as it is now.
    """

    experiment: Experiment
    execution: "Execution"
    notices: tuple[str, ...]
    source: str
    archive: bytes | None
    new_code: bool
    home: Path | None
    found: Code | None


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
    new_code: bool = False,
    source: str = "experiment",
) -> Request:
    """Read an experiment (a file, or data called `source`) and check it against what is installed on this machine.

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
        "automatic_device": _automatic_device,
    }
    directory = Path(str(execution.get("directory") or Path.cwd()))
    files = options["files"] = beside(Path(what) if isinstance(what, str | Path) else None, directory)
    if isinstance(what, str | Path):
        source = str(what)
        experiment, notices = read_experiment(Path(what), **options)
    else:
        data = what.model_dump(mode="json", exclude_unset=True) if isinstance(what, ExperimentSpec) else what
        experiment, notices = parse_experiment(data, source=source, **options)
    refuse_unknown(experiment, source, files.directories)

    from lander.app.environment_code import capture
    from lander.experiments.execution import execution_with

    places = {"directory": str(directory), "search_first": files.before(str(directory))}
    directed = execution_with(**{**places, **execution})
    captured = capture(experiment, directed.directories)
    complete = experiment.model_copy(update={"code": captured.code})
    return checked(complete, directed, notices, source, archive=captured.archive, new_code=new_code)


def _automatic_device() -> str:
    """What `device: auto` is on this machine."""
    from lander.actors.host.gpus import Gpus, torch_without_cuda

    return "cuda" if Gpus().names and not torch_without_cuda() else "cpu"


def checked(
    experiment: Experiment,
    execution: "Execution",
    notices: Sequence[str],
    source: str,
    *,
    archive: bytes | None = None,
    new_code: bool = False,
    home: Path | None = None,
) -> Request:
    """The request for an experiment, with the defaults of its algorithms filled in.

    It is checked with the code of `archive`, or with what was captured in a `home`. Raises `ConfigurationError` if the
    experiment cannot run with what is installed on this machine.
    """
    from lander.actors.host.requirements_process import check
    from lander.actors.sb3.defaults import with_defaults
    from lander.app.environment_code import on_captured_code
    from lander.reports.analysis import comparability

    on_captured_code(check, experiment, source, execution.directories, archive=archive, home=home)
    complete = with_defaults(experiment)
    return Request(
        experiment=complete,
        execution=execution,
        notices=(*notices, *comparability.notices(complete)),
        source=source,
        archive=archive,
        new_code=new_code,
        home=home,
        found=complete.code,
    )


def built_everything(wanted: Request) -> "tuple[Built, ...]":
    """Build every environment and every model of a request, train nothing; raises `ConfigurationError` for what cannot be."""
    from lander.actors.host.requirements_process import build_everything
    from lander.app.environment_code import on_captured_code

    experiment, directories = wanted.experiment, wanted.execution.directories
    return on_captured_code(build_everything, experiment, wanted.source, directories, archive=wanted.archive, home=wanted.home)


def request_by_name(
    name: str,
    home: Path,
    overrides: Sequence[str] = (),
    *,
    experiment_id: str | None = None,
    warn: Callable[[str], object],
    **reading: Any,
) -> Request:
    """The request for what a name stands for, as `named_experiment` finds it: a file, or a recorded experiment to continue.

    `experiment_id` names the experiment of a file. `warn` hears if the name stands for both.
    """
    from lander.app.named_experiment import also_recorded, named_experiment

    file = named_experiment(home, name)
    if file is not None:
        found = request(file, overrides, experiment_id=experiment_id, **reading)
        if notice := also_recorded(home, name):
            warn(notice)
        return found
    if experiment_id not in (None, name):
        new = f"lander-ctl fork {name}/ARM begins a new one from it"
        raise UsageError(f"--experiment-id {experiment_id}: {name} is recorded, and keeps its id; {new}")
    return recorded(home, name, overrides, **reading)


def recorded(
    home: Path,
    name: str,
    overrides: Sequence[str] = (),
    *,
    execution: Mapping[str, object],
    seeds: str | None = None,
    new_code: bool = False,
    **options: Any,
) -> Request:
    """The request to continue a recorded experiment of this home, with overrides and the given settings of `execution`.

    `seeds` such as `+5` adds five seeds to every arm, an override of a variant that there is not adds it. With `new_code` what
    is added trains on the code of the environments as it is now. Raises `NotFoundError` for an unknown name, and what `request`
    raises.
    """
    from lander.app.environment_code import code_now, directories_of
    from lander.experiments.changing import changed_experiment, with_more_seeds
    from lander.experiments.execution import execution_with
    from lander.store.log.reader import Reader
    from lander.supervisor.core.resubmission import added_arms, refuse_lacking_code

    with Reader(home) as reader:
        experiment, before = reader.experiment(name), reader.execution(name)
    files = EnvironmentFiles(*map(Path, directories_of(before)))
    if seeds is not None and seeds.startswith("+"):
        experiment, seeds = with_more_seeds(experiment, seeds), None
    wanted = changed_experiment(experiment, overrides, files, seeds=seeds, **options)
    directed = execution_with(**{**before.model_dump(), **_places(before, files), **execution})
    if new_code:
        return _on_new_code(wanted, directed, name)
    found = code_now(wanted, directories_of(directed)) or experiment.code
    refuse_lacking_code(experiment.code, found, added_arms(experiment, wanted))
    kept = checked(wanted.model_copy(update={"code": experiment.code}), directed, (), name, home=home)
    return replace(kept, found=found)


def _places(before: "Execution", files: EnvironmentFiles) -> dict[str, Any]:
    """Where modules are searched from now on: nowhere else, unless an environment was named by a file that is elsewhere."""
    return {"search_first": files.before(before.directory)} if files.names_any else {}


def _on_new_code(wanted: Experiment, execution: "Execution", name: str) -> Request:
    from lander.app.environment_code import capture, directories_of

    captured = capture(wanted, directories_of(execution))
    complete = wanted.model_copy(update={"code": captured.code})
    return checked(complete, execution, (), name, archive=captured.archive, new_code=True)
