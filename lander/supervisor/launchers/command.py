"""Any engine with commands that start a job, list jobs, and end one: Kubernetes, SkyPilot, the tools of a cloud.

`launch` is run once for each job, with the token on its standard input. `alive` prints one line for each job: its name and, if
it likes, its state and more words. `cancel` ends one. The engine calls a job by the name that it is given.
"""

from collections.abc import Iterator, Mapping
from typing import Final, Literal

from lander.supervisor.launchers.engine_commands import ask
from lander.supervisor.launchers.launcher import Job, LauncherError, Options, Room, WorkerCommand, own_words
from lander.supervisor.launchers.placeholders import filled, of_job
from lander.supervisor.launchers.side_by_side import refusals

_ENDED: Final = ("ended", "succeeded", "failed", "completed", "terminated", "terminating", "stopped", "cancelled", "deleted")
_STATES: Final[Mapping[str, Literal["waiting", "running", "ended"]]] = {
    **dict.fromkeys(("waiting", "pending", "queued", "starting", "creating", "init"), "waiting"),
    **dict.fromkeys(("running", "up"), "running"),
    **dict.fromkeys(_ENDED, "ended"),
}


class CommandLauncher:
    """The commands `launch`, `alive` and `cancel` of an engine, for the jobs whose names begin with `prefix`."""

    def __init__(self, prefix: str, options: Options) -> None:
        self._prefix = prefix
        self._launch, self._alive, self._cancel = (options[each] for each in ("launch", "alive", "cancel"))
        self._refused: dict[str, Job] = {}

    async def launch(self, number: int, command: WorkerCommand) -> tuple[str, ...]:
        """Run `launch` for each job, side by side; what it prints is not read."""
        names = command.names(number)
        refused = await refusals({name: self._launch_one(name, command) for name in names})
        self._refused |= {name: Job(name, "ended", words) for name, words in refused.items()}
        return names

    async def _launch_one(self, name: str, command: WorkerCommand) -> None:
        await ask(filled(self._launch, of_job(name, command), command.arguments(name)), f"{command.token}\n")

    async def alive(self) -> Mapping[str, Job]:
        """The jobs that `alive` prints."""
        printed = await self._printed()
        refused, self._refused = self._refused, {}
        return refused | dict(self._jobs(printed))

    async def _printed(self) -> str:
        return await ask(filled(self._alive, {"prefix": self._prefix}))

    def _jobs(self, printed: str) -> Iterator[tuple[str, Job]]:
        for line in printed.splitlines():
            name, state, detail = [*line.split(maxsplit=2), "", "", ""][:3]
            if name.startswith(f"{self._prefix}-"):
                known = _STATES.get(state.lower())
                yield name, Job(name, known or "running", own_words(detail if known else f"{state} {detail}"))

    def room(self) -> Room:
        """No bound is known."""
        return Room()

    async def cancel(self, job: str) -> None:
        """Run `cancel`; what it complains of does not count if the job is over."""
        try:
            await ask(filled(self._cancel, {"name": job}))
        except LauncherError:
            found = dict(self._jobs(await self._printed())).get(job)  # `alive` says only once what was refused
            if found is not None and found.state != "ended":
                raise

    async def close(self) -> None:
        """Nothing to let go of."""
