"""Workers as actors of Ray. A program for the Python that has Ray speaks to it (`ray_driver.py`), anew for each question."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from lander.supervisor.launchers.engine_commands import ask
from lander.supervisor.launchers.last_words import last_words
from lander.supervisor.launchers.launcher import Job, LauncherError, Options, Room, WorkerCommand, own_words

_DRIVER: Final = Path(__file__).with_name("ray_driver.py")
AUTO: Final = "auto"
"""The address of the cluster that this machine is a node of."""


class Ray:
    """The actors whose names begin with `prefix`. `options` may give the cluster's `address`, and the `python` that has Ray."""

    def __init__(self, prefix: str, options: Options) -> None:
        self._prefix = prefix
        (self._address,) = options.get("address", (AUTO,))
        (self._python,) = options.get("python", (sys.executable,))
        self._over: Mapping[str, Job] = {}
        """The jobs that are over, until `alive` has said so."""

    async def launch(self, number: int, command: WorkerCommand) -> tuple[str, ...]:
        """Create an actor for each job; Ray starts each as soon as a node has room for it.

        The place of an actor whose worker has ended becomes free now: it has stayed to say how that ended.
        """
        names = command.names(number)
        wanted = {name: {"arguments": command.arguments(name), "log": f"{command.home}/{name}.log"} for name in names}
        cpus = command.slots or 1
        over = await self._ask("launch", prefix=self._prefix, jobs=wanted, token=command.token, cpus=cpus)
        self._over = {**self._over, **jobs(over)}
        return names

    async def alive(self) -> Mapping[str, Job]:
        """Every actor of ours that Ray lists; one that ended is told of once, with the last error of its worker."""
        found = jobs(await self._ask("alive", prefix=self._prefix))
        over, self._over = self._over, {}
        return {**over, **found}

    def room(self) -> Room:
        """No bound is known."""
        return Room()

    async def cancel(self, job: str) -> None:
        """Have the worker of an actor leave in good order; one that waits for a place is withdrawn."""
        await self._ask("cancel", job=job)

    async def close(self) -> None:
        """Nothing to let go of."""

    async def _ask(self, what: str, **request: object) -> object:
        text = json.dumps({"do": what, "address": self._address, **request})
        printed = await ask((self._python, str(_DRIVER)), text)
        return answer(printed)


def answer(printed: str) -> Any:
    """The answer on the last line that the driver prints; raises `LauncherError` for an error, or if there is none."""
    try:
        found = json.loads(printed.strip().rpartition("\n")[2])
        error = found.get("error")
    except (ValueError, AttributeError) as error:
        raise LauncherError(f"the program that speaks to Ray printed no answer: {own_words(printed)}") from error
    if error is not None:
        raise LauncherError(f"ray: {error}")
    return found.get("answer")


def jobs(answer: object) -> Mapping[str, Job]:
    """The jobs by name, from what the driver answers; raises `LauncherError` for anything else."""
    match answer:
        case dict():
            return {str(name): _job(str(name), said) for name, said in answer.items()}
        case _:
            raise LauncherError(f"ray: no list of actors: {answer}")


def _job(name: str, said: object) -> Job:
    match said:
        case [("waiting" | "running" | "ended") as state, str(words)]:
            return Job(name, state, own_words(words if state != "ended" else last_words(words)))
        case _:
            raise LauncherError(f"ray: {name} has no state: {said}")
