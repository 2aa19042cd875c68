"""How runs go on that came to nothing, where something has to be mended first: a line for each experiment."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from lander.protocol.retrying import how_to_retry, needs_new_code, raise_limits
from lander.store.log.reader import Reader

if TYPE_CHECKING:
    from lander.store.projections.status import ExperimentStatus, RunStatus


def ways_on(reader: Reader, experiments: "Iterable[ExperimentStatus]") -> Iterator[str]:
    """After errors of environments and exceeded limits."""
    for experiment in experiments:
        yield from after_environment_errors(reader, experiment)
        yield from after_exceeded_limits(reader, experiment)


def after_environment_errors(reader: Reader, experiment: "ExperimentStatus") -> Iterator[str]:
    """The command that tries again what the code of an environment has ended: on new code, if some was captured."""
    ended = [run for run in experiment["runs"] if run["state"] in ("failed", "skipped") and needs_new_code([run["cause"]])]
    if not ended:
        return
    from lander.store.records.run_code import code_by_run  # rarely needed, and slow to import

    code = code_by_run(reader, experiment["id"])
    captured = any(found is not None and found.archive is not None for found in map(code.get, _ids(ended)))
    target = _target(experiment["id"], ended)
    command = how_to_retry(target, ["environment_error"], "it" if len(ended) == 1 else "them", captured=captured)
    yield f"once the environment of {target} is mended, {command}"


def after_exceeded_limits(reader: Reader, experiment: "ExperimentStatus") -> Iterator[str]:
    """Which limits are to be raised before the runs go on that were stopped or paused because they exceeded them."""
    ended = [run for run in experiment["runs"] if run["state"] in ("stopped", "paused") and run["cause"] == "limit_exceeded"]
    if not ended:
        return
    limits = dict.fromkeys(limit for run in ended for limit in _exceeded(reader, run))
    target, name = _target(experiment["id"], ended), experiment["id"]
    command = f"lander-ctl resume {target}"
    yield f"before {command} goes on with what exceeded a limit, {raise_limits(name, limits)}"


def _exceeded(reader: Reader, run: "RunStatus") -> Iterator[str]:
    """The limits that the run's last attempt exceeded."""
    from lander.protocol.events import ResourceLimitExceeded

    events = (stored.decode() for stored in reader.events(run["id"], [ResourceLimitExceeded.kind]))
    return (event.limit for event in events if isinstance(event, ResourceLimitExceeded) and event.epoch == run["attempt"])


def _ids(runs: "Iterable[RunStatus]") -> list[str]:
    return [run["id"] for run in runs]


def _target(experiment: str, runs: "list[RunStatus]") -> str:
    return runs[0]["id"] if len(runs) == 1 else experiment
