"""An experiment from question to end: the one path that the command line and the Python API share.

Nothing here prints. The caller's `show` gets the experiment's status four times a second. An interruption stops the experiment
that was set going here, and a supervisor that was started for it leaves with it. A caller whose output is closed leaves the
experiment going.
"""

import contextlib
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from lander.app import client, service
from lander.app.interruption import Interruption
from lander.app.launchers import NONE, Wanted, have_them_used
from lander.app.requests import Request
from lander.home import address
from lander.home.artifacts import write_artifact
from lander.home.identity import HomeIdentity
from lander.home.lock import LOCK
from lander.protocol.commands import Accepted, SubmitExperiment
from lander.protocol.errors import ConfigurationError, HomeGoneError, LanderError, OutputClosedError, WireError
from lander.protocol.states import TERMINAL, UNDER_WAY
from lander.protocol.wire import encode
from lander.store.log.reader import DATABASE, Reader
from lander.store.projections.status import ExperimentStatus, status

PERIOD: Final = 0.25
LOOKS: Final = 5
"""In each period, whether there is anything left to wait for; that is asked far more cheaply than how everything stands."""
STOP_SECONDS: Final = 45.0
"""How long stopping may take when nobody watches; what does not come to a boundary within 40 s is killed."""
WHAT_NEXT: Final = "lander-ctl up carries on, lander-ctl down ends what is left"

_JOINED: Final = "; Ctrl-C here does not stop it"

Show = Callable[[ExperimentStatus], object]
T = TypeVar("T")


class UnsupervisedError(LanderError):
    """The supervisor ended, on purpose or not, before the experiment did."""


def submit(wanted: Request, home: Path, on: Wanted = NONE) -> tuple[Accepted, bool]:
    """Hand the experiment to the home's supervisor; returns its answer, and whether the supervisor had to be started.

    The same experiment twice is one experiment. A supervisor that was started in vain leaves again. The launchers `on` which it
    is to train are put to use before. Raises `ConfigurationError` if the experiment is too large to be sent, before anything
    starts.
    """
    from lander.actors.host.gpus import Gpus
    from lander.supervisor.manifest import manifest

    command = SubmitExperiment(
        experiment=wanted.experiment.model_copy(update={"code": wanted.found}),
        execution=wanted.execution,
        manifest=manifest(wanted.source, sys.argv, Gpus().names),
        notices=wanted.notices,
        new_code=wanted.new_code,
    )
    try:
        encode(command)
    except WireError as error:
        raise ConfigurationError(f"{wanted.source}: {error}; use fewer arms, and keep data in files of its own") from error
    if wanted.archive is not None:
        service.make_home(home)
        write_artifact(home, wanted.archive)  # before it is recorded, as with checkpoints
    if not on.settings:
        return service.ask_starting(home, command)
    return service.ask_starting(home, command, on.listening, lambda: have_them_used(home, on))


def conduct(
    wanted: Request, home: Path, show: Show, tell: Callable[[str], object] = lambda text: None, on: Wanted = NONE
) -> ExperimentStatus:
    """Carry an experiment out to its end; `tell` hears what the supervisor has to say of the submission.

    The first Ctrl-C (or SIGTERM) stops the experiment and then raises `KeyboardInterrupt`; a second one stops waiting. If the
    experiment was under way before, by whatever set it going, Ctrl-C raises at once, and stops nothing.
    Nor does an output that is closed: if `show` or `tell` raises `OSError`, or the terminal is closed, the experiment goes on,
    and `OutputClosedError` is raised. A supervisor that had to be started leaves when nothing is left for it to do.
    Raises what `submit` raises, `HomeGoneError` if the home is deleted, and `UnsupervisedError` if the supervisor goes away.
    """
    name = wanted.experiment.experiment_id
    output = _Output()
    with Interruption(signal.SIGHUP) as interruption:
        accepted, started = submit(wanted, home, on)
        joined = accepted.under_way and not started  # what a crash left under way goes on because of us
        try:
            if accepted.detail:
                output.put(tell, f"{name}: {accepted.detail}{_JOINED if joined else ''}")
            return _follow(home, name, show, interruption, output, joined=joined)
        except (HomeGoneError, UnsupervisedError):
            started = False  # another home or supervisor may be in its place, which is no concern of ours
            raise
        except OutputClosedError:
            raise
        except Exception:
            if not joined:
                _abandon(home, name)
            raise
        finally:
            if started:
                service.let_go(home)  # what still trains, when the output was closed, it first brings to its end


class _Output:
    """Where the experiment is shown, until that raises `OSError`: nothing can be shown there any more."""

    def __init__(self) -> None:
        self.closed: OSError | None = None

    def put(self, show: Callable[[T], object], what: T) -> None:
        if self.closed is None:
            try:
                show(what)
            except OSError as error:
                self.closed = error


def _follow(
    home: Path, name: str, show: Show, interruption: Interruption, output: _Output, *, joined: bool
) -> ExperimentStatus:
    """Show how the experiment goes until it has ended; raises as `conduct` does, and what ends only the following."""
    stopping = False
    identity = HomeIdentity(home, LOCK, DATABASE)
    with Reader(home) as reader:
        while True:
            identity.require()  # the supervisor sees the same, and has nowhere to say it
            supervised = client.running(home) is not None  # asked first, so that an end it recorded last is seen
            standing = status(reader, name)["experiments"][0]
            closed = output.closed  # for a period: by now, a Ctrl-C that also ended the reader of the output has arrived
            output.put(show, standing)
            if standing["state"] not in UNDER_WAY:
                break
            if not supervised:
                raise UnsupervisedError(f"{name}: {_end_of_supervisor(home, standing)}")
            if not stopping and _stop_is_wished(name, interruption, closed, joined=joined):
                client.stop(home, name)
                stopping = interruption.delivered = True
            _rest(reader, name)
    if stopping:
        raise KeyboardInterrupt(_interrupted(standing))
    return standing


def _end_of_supervisor(home: Path, standing: ExperimentStatus) -> str:
    """How the supervisor ended, what that means for the runs, and how to go on."""
    if address.read(home) is not None:  # a crash leaves it there
        return f"the supervisor is gone, see {home / 'supervisor.log'}; {WHAT_NEXT}"
    name, runs = standing["id"], standing["runs"]
    left = [run["state"] for run in runs if run["state"] not in TERMINAL]
    what = f"{len(left)} of {len(runs)} runs"
    if set(left) == {"paused"}:
        is_paused = f"{what} {'are' if len(left) > 1 else 'is'} paused"
        return f"{is_paused}, and the supervisor has ended; lander-ctl run {name} goes on"
    ended = f"the supervisor was ended by lander-ctl down or a signal, and {what} with it"
    return f"{ended}; lander-ctl run {name} goes on from the last checkpoints"


def _stop_is_wished(name: str, interruption: Interruption, closed: OSError | None, *, joined: bool) -> bool:
    """Whether the experiment is to be stopped; raises if only the following of it is to end."""
    if interruption.wished and not interruption.hung_up:  # read in this order, as a signal may come in between
        if joined:
            raise KeyboardInterrupt(f"interrupted: {name} was under way before, and goes on; lander-ctl stop {name} stops it")
        return True
    if closed is not None or interruption.hung_up:
        why = "the terminal was closed" if closed is None else f"nothing more can be shown ({closed.strerror or closed})"
        next_step = f"lander-ctl run {name} shows it again, lander-ctl stop {name} stops it"
        raise OutputClosedError(f"{why}; {name} goes on: {next_step}") from closed
    return False


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
    return f"interrupted: {name} was stopped after {done:,} of {total:,} steps; lander-ctl run {name} goes on"


def _abandon(home: Path, name: str) -> None:
    """Stop an experiment that nobody will follow any more, as far as that can be done."""
    deadline = time.monotonic() + STOP_SECONDS
    with contextlib.suppress(LanderError), Reader(home) as reader:
        client.stop(home, name)
        while time.monotonic() < deadline and status(reader, name)["experiments"][0]["state"] in UNDER_WAY:
            time.sleep(PERIOD)
