"""The interface of a launcher: it has an engine start workers, asks which of them are there, and ends them.

A launcher keeps nothing between two calls that a restarted supervisor would need: the names of jobs are chosen by the decision
core and recorded before anything is launched, and `alive` finds each job again by its name. So a job is never launched twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple, Protocol

from lander.protocol.errors import LanderError
from lander.protocol.text import cut, one_line

DETAIL_CHARACTERS: Final = 500
"""Characters kept of what an engine says."""
DEFAULT_HOME: Final = ".local/state/lander-ctl/workers"
"""Where the workers' own homes are, beneath the user's home directory there, unless an option says otherwise."""
Options = Mapping[str, tuple[str, ...]]
"""What an engine is told, such as `{"hosts": ("h1", "h2")}`: each option a list of words, absent if it was not given."""
STDIN: Final = "-"
"""As the token file: the worker reads the token from its standard input."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerCommand:
    """What each job of one launch runs: the worker, which dials the supervisor by itself.

    The jobs of a launch are called `BATCH-1`, `BATCH-2` and so on, and so are their workers. `token_file` has mode 0600 and its
    token many uses: an engine whose machines share this file system names the file, every other one sends `token` over the
    worker's standard input. The token is never an argument or an environment variable.
    """

    batch: str
    head: str
    """HOST:PORT that the workers dial."""
    token_file: Path
    token: str
    labels: tuple[str, ...] = ()
    slots: int | None = None
    """Cores that a worker offers; None for all that its job was given."""
    walltime: float | None = None
    """Seconds after which the engine ends a job; None for no bound."""
    home: str
    """The directory of the workers' own homes, on their machine; a relative one is beneath the user's home directory."""
    program: tuple[str, ...]
    """How lander-ctl is started there, such as `(sys.executable, "-m", "lander")`."""
    shared: str | None = None
    """The supervisor's home, where the workers' machines see it; None where files travel."""

    def name(self, index: int) -> str:
        """The name of a job and of its worker; the first has the index 1."""
        return f"{self.batch}-{index}"

    def names(self, number: int) -> tuple[str, ...]:
        """The names of so many jobs."""
        return tuple(self.name(index) for index in range(1, number + 1))

    def arguments(self, name: str, token_file: str = STDIN) -> tuple[str, ...]:
        """The worker of this name, as a list of arguments; `token_file` is where it reads the token."""
        options = {
            "--token-file": token_file,
            "--name": name,
            "--home": f"{self.home}/{name}",
            "--labels": ",".join(self.labels) or None,
            "--slots": None if self.slots is None else f"cpu={self.slots}",
            "--walltime": None if self.walltime is None else f"{self.walltime:.0f}s",
            "--shared": self.shared,
        }
        given = [word for option, value in options.items() if value is not None for word in (option, value)]
        return (*self.program, "worker", self.head, *given)


@dataclass(frozen=True, slots=True)
class Job:
    """One job of an engine. `id` is what the engine calls it, `detail` what the engine says of it, in its own words."""

    id: str
    state: Literal["waiting", "running", "ended"]
    detail: str = ""


class Room(NamedTuple):
    """How many workers an engine can have at once, None if it knows no bound, and in its own words why it is not more."""

    most: int | None = None
    detail: str = ""


class LauncherError(LanderError):
    """The engine is not installed, or refuses. The message is the engine's own words, cut and on one line."""

    def __init__(self, words: str) -> None:
        super().__init__(own_words(words))


class NotInstalledError(LauncherError):
    """The command that would ask the engine cannot be started on this machine, so nothing can be asked of it now."""


class Launcher(Protocol):
    """An engine. Every call may take as long as the engine takes; none blocks the event loop."""

    async def launch(self, number: int, command: WorkerCommand) -> tuple[str, ...]:
        """Order `number` jobs; returns what the engine calls them, in the order of `command.names(number)`.

        It may return fewer, if the engine has no room for more. A job that was ordered and cannot start is one that has ended,
        to `alive`. Raises `LauncherError` if none was ordered.
        """
        ...

    async def alive(self) -> Mapping[str, Job]:
        """Every job of this launcher that the engine still knows, by its name, in one question.

        A job that ended may be missing, or be there as `ended` with the reason. Raises `LauncherError` if the engine does not
        answer, which says nothing about the jobs.
        """
        ...

    def room(self) -> Room:
        """How many workers there can be at once, as far as the calls so far have shown."""
        ...

    async def cancel(self, job: str) -> None:
        """End the job that the engine calls so; harmless if it is over, or was never there. Raises `LauncherError`."""
        ...

    async def close(self) -> None:
        """Let go of connections. Jobs go on."""
        ...


def own_words(text: str) -> str:
    """What an engine says, as it is recorded and shown: its lines as one, and of a long text the beginning."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return cut(one_line("; ".join(lines)), DETAIL_CHARACTERS)
