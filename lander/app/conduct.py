"""An experiment from question to end: the one path that the command line and the Python API share.

Nothing here prints. Whoever conducts is shown the experiment's status four times a second, and may be interrupted at any
moment: the experiment is then stopped, and a supervisor that was started for it leaves with it.
"""

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Final, Self

from lander.app import client
from lander.experiments.execution import execution_with
from lander.experiments.parsing import parse_experiment, read_experiment, with_more_seeds
from lander.experiments.specification import ExperimentSpec
from lander.experiments.writing import as_written
from lander.protocol.commands import Accepted, SubmitExperiment
from lander.protocol.errors import LanderError
from lander.protocol.events import Execution
from lander.protocol.experiment import Experiment
from lander.protocol.states import UNDER_WAY
from lander.store.log.reader import Reader
from lander.store.projections.status import ExperimentStatus, status

PERIOD: Final = 0.25
LOOKS: Final = 5
"""In each period, whether there is anything left to wait for; that is asked far more cheaply than how everything stands."""
STOP_SECONDS: Final = 45.0
"""How long stopping may take when nobody watches; what does not come to a boundary within 40 s is killed."""
WHAT_NEXT: Final = "lander-ctl up carries on, lander-ctl down ends what is left"

Show = Callable[[ExperimentStatus], object]


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """An experiment that has been read and checked, and how to carry it out; `source` is what errors call it.

    `execution` says all of it, also where to look for modules of environments.
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

    `execution` holds what was said of how to carry it out. Starts nothing and writes nothing; raises `ConfigurationError`,
    one line per problem.
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
    """The request for an experiment, if it can run with what is installed here, and with what it leaves unsaid."""
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
    """The request to go on with an experiment of this home as it was recorded, but for overrides and what `execution` says.

    `seeds` such as `+5` add so many to those of every arm. Raises `NotFoundError` where there is none of that name, and what
    `request` raises.
    """
    with Reader(home) as reader:
        experiment, before = reader.experiment(name), reader.execution(name)
    if seeds is not None and seeds.startswith("+"):
        experiment, seeds = with_more_seeds(experiment, seeds), None
    carried_out = {**before.model_dump(), **execution}
    return request(as_written(experiment), overrides, execution=carried_out, seeds=seeds, **options)


def submit(wanted: Request, home: Path) -> tuple[Accepted, bool]:
    """Hand the experiment to the home's supervisor; returns its answer, and whether the supervisor had to be started.

    The same experiment twice is one experiment. A supervisor that was started in vain leaves again.
    """
    from lander.actors.host.measuring import Gpus
    from lander.supervisor.manifest import manifest

    command = SubmitExperiment(
        experiment=wanted.experiment,
        execution=wanted.execution,
        manifest=manifest(wanted.source, sys.argv, Gpus().names),
        notices=wanted.notices,
    )
    return client.ask_starting(home, command)


def conduct(wanted: Request, home: Path, show: Show, tell: Callable[[str], object] = lambda text: None) -> ExperimentStatus:
    """Carry an experiment out to its end; `tell` hears what the supervisor has to say of the submission.

    The first Ctrl-C (or SIGTERM) stops the experiment and then raises `KeyboardInterrupt`; a second one stops waiting.
    A supervisor that had to be started leaves at the end, unless others use it by then.
    Raises what `submit` raises, and `LanderError` if the supervisor goes away.
    """
    name = wanted.experiment.experiment_id
    with Interruption() as interruption:
        accepted, started = submit(wanted, home)
        try:
            if accepted.detail:
                tell(f"{name}: {accepted.detail}")
            return _follow(home, name, show, interruption)
        except Exception:
            _abandon(home, name)
            raise
        finally:
            if started:
                client.let_go(home)


class Interruption:
    """Makes of the first Ctrl-C or SIGTERM a wish that can be asked for, and of the second a `KeyboardInterrupt`.

    Does nothing outside the main thread, where Python delivers no signals.
    """

    def __init__(self, *numbers: signal.Signals) -> None:
        self._numbers = (signal.SIGINT, signal.SIGTERM, *numbers)
        self.wished = False
        self.delivered = False
        """The wish has reached the supervisor: from now on a second signal means that nobody wants to wait."""
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._hear) for number in self._numbers}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.delivered:
            raise KeyboardInterrupt("no longer waiting; lander-ctl status tells how it stands, lander-ctl down ends everything")
        self.wished = True


def _follow(home: Path, name: str, show: Show, interruption: Interruption) -> ExperimentStatus:
    """Show how the experiment goes until it has ended."""
    stopping = False
    with Reader(home) as reader:
        while True:
            supervised = client.running(home) is not None  # asked first, so that an end it recorded last is seen
            standing = status(reader, name)["experiments"][0]
            show(standing)
            if standing["state"] not in UNDER_WAY:
                break
            if not supervised:
                raise LanderError(f"{name}: the supervisor is gone, see {home / 'supervisor.log'}; {WHAT_NEXT}")
            if interruption.wished and not stopping:
                client.stop(home, name)
                stopping = interruption.delivered = True
            _rest(reader, name)
    if stopping:
        raise KeyboardInterrupt(_interrupted(standing))
    return standing


def _rest(reader: Reader, name: str) -> None:
    """Wait for a period, or only until the last run has ended."""
    for _ in range(LOOKS):
        time.sleep(PERIOD / LOOKS)
        if not reader.unfinished(name):
            return


def _interrupted(standing: ExperimentStatus) -> str:
    done = sum(run["step"] for run in standing["runs"])
    total = sum(run["total_steps"] for run in standing["runs"])
    name = standing["id"]
    return f"interrupted: {name} was stopped after {done:,} of {total:,} steps; lander-ctl run --experiment-id {name} goes on"


def _abandon(home: Path, name: str) -> None:
    """Stop an experiment that nobody will follow any more, as far as that can be done."""
    deadline = time.monotonic() + STOP_SECONDS
    with contextlib.suppress(LanderError), Reader(home) as reader:
        client.stop(home, name)
        while time.monotonic() < deadline and status(reader, name)["experiments"][0]["state"] in UNDER_WAY:
            time.sleep(PERIOD)
