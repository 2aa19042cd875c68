"""Whether this machine can train a run: looked at before a trainer is forked, without running any code of the run.

Only machines other than the supervisor's ask: there, packages are compared where experiments are submitted.
"""

import asyncio
import shutil
from collections.abc import Iterator
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple

from lander.actors.environment.installed_packages import named_packages
from lander.actors.sb3.algorithm_table import algorithm_of
from lander.home.captured_code import unpacked
from lander.protocol.code import Code, Package, lacking_packages
from lander.protocol.commands import TrainerOrder
from lander.protocol.disk import MIN_FREE_MB, NO_ROOM
from lander.protocol.events import Lack
from lander.protocol.named_code import named_code

_MB: Final = 1 << 20


class Unfit(NamedTuple):
    """What this machine lacks for a run; `problem` is a sentence of which the machine is the subject."""

    lack: Lack
    problem: str


class Fitness:
    """Looks at what runs need. Packages are compared once for all runs with the same: hashing them takes a while."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._compared: dict[tuple[Package, ...], str] = {}
        self._one_at_a_time = asyncio.Lock()

    async def unfit_for(self, order: TrainerOrder) -> Unfit | None:
        """What it lacks, or None; the agent's loop goes on meanwhile."""
        async with self._one_at_a_time:  # the second run of an experiment needs no look of its own
            return await asyncio.to_thread(self._look, order)

    def _look(self, order: TrainerOrder) -> Unfit | None:
        try:
            return next(self._lacks(order), None)
        except Exception as error:  # such as an installation that is damaged: no reason to end all trainers here
            return Unfit("packages", f"cannot find out what is installed there: {error!r}")

    def _lacks(self, order: TrainerOrder) -> Iterator[Unfit]:
        free = shutil.disk_usage(self._home).free / _MB
        if free < MIN_FREE_MB:
            yield _no_room(f"{free:.0f} MB are free, and a run begins with {MIN_FREE_MB:.0f}")
        if words := self._lacking_packages(() if order.code is None else order.code.packages):
            yield Unfit("packages", words)
        yield from self._unpack(order)
        if missing := next(_missing_modules(order), ""):
            yield Unfit("module", f"has no module {missing}, which was not captured with the experiment: install it there")

    def _lacking_packages(self, packages: tuple[Package, ...]) -> str:
        if packages not in self._compared:
            self._compared[packages] = lacking_packages(packages, named_packages(each.name for each in packages))
        return self._compared[packages]

    def _unpack(self, order: TrainerOrder) -> Iterator[Unfit]:
        if order.code is None or order.code.archive is None:
            return
        try:
            unpacked(self._home, order.code.archive)
        except (OSError, ValueError) as error:
            yield without_code(order.code, error)


def without_code(code: Code, error: OSError | ValueError) -> Unfit:
    """What a machine lacks that cannot have the captured code, because of this error."""
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        return _no_room(str(error))
    return Unfit("code", f"cannot use the captured code of {' and '.join(code.modules)}: {error}")


def _no_room(words: str) -> Unfit:
    return Unfit("disk", f"has no room on its disk: {words}")


def _missing_modules(order: TrainerOrder) -> Iterator[str]:
    """The modules of the run's environments that were not captured and cannot be found here."""
    if not algorithm_of(order.arm).is_installed and not order.arm.algorithm_class:
        yield algorithm_of(order.arm).package
    captured = () if order.code is None or order.code.archive is None else order.code.modules
    for name in named_code(order.arm, order.evaluation_environment):
        module = name.partition(":")[0].partition(".")[0]
        if ":" in name and module not in captured and not _is_there(module, order.directory):
            yield module


def _is_there(module: str, directory: str) -> bool:
    """Whether a top-level module can be found, in this directory at last; nothing is imported."""
    try:
        return find_spec(module) is not None or (bool(directory) and PathFinder.find_spec(module, [directory]) is not None)
    except ValueError:  # of a module that has been imported without one
        return True
