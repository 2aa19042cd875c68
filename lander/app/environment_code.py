"""The code of an experiment's environments: captured when it is submitted, and when new code is asked for."""

import hashlib
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, TypeVar

from pydantic import ValidationError

from lander.actors.environment.installed_packages import packages_of
from lander.actors.sb3.algorithm_table import EXTRAS, algorithm_of
from lander.experiments.source_files import find_source
from lander.home.artifacts import write_artifact
from lander.home.captured_code import pack_files
from lander.protocol.code import Code
from lander.protocol.errors import ConfigurationError
from lander.protocol.events import Execution
from lander.protocol.experiment import Experiment
from lander.protocol.named_code import named_code
from lander.store.log.reader import Reader

T = TypeVar("T")


class Captured(NamedTuple):
    """The code as it is recorded, and the archive that is stored beside the log; None if all of it is installed.

    `missing` are modules that were not found, so that there is no code of them.
    """

    code: Code
    archive: bytes | None
    missing: tuple[str, ...]


def capture(experiment: Experiment, directories: Sequence[str]) -> Captured:
    """Capture the code of all environments; modules that are not installed are searched in `directories`.

    Runs none of it. Raises `ConfigurationError` if it cannot be read, or is too much.
    """
    named = [name for arm in experiment.arms for name in named_code(arm, experiment.evaluation_environment)]
    named += [algorithm.place for algorithm in map(algorithm_of, experiment.arms) if algorithm.package in EXTRAS]
    source = find_source([*named, *(task.environment for task in experiment.tasks)], *directories)
    archive = _packed(source.files)
    try:
        code = Code(
            archive=None if archive is None else hashlib.sha256(archive).hexdigest(),
            modules=tuple(source.modules),
            packages=packages_of(source.installed),
            uncaptured=tuple(source.uncaptured),
        )
    except ValidationError as error:
        raise ConfigurationError(f"the code of the environment imports more modules than can be recorded: {error}") from error
    return Captured(code, archive, tuple(source.missing))


def on_captured_code(
    build: Callable[[Experiment, str, Sequence[str], Path | None], T],
    experiment: Experiment,
    source: str,
    directories: Sequence[str],
    *,
    archive: bytes | None,
    home: Path | None = None,
) -> T:
    """What `build` gives for the experiment, with modules imported from captured code: `archive`, or that of a `home`.

    Raises what `build` raises. If the files of the directories would do, the error says that the capture lacks something.
    """
    if archive is None:
        return build(experiment, source, directories, home)
    with TemporaryDirectory(prefix="lander-code-") as scratch:
        write_artifact(Path(scratch), archive)
        try:
            return build(experiment, source, directories, Path(scratch))
        except ConfigurationError as error:
            refused = re.sub(rf"{re.escape(scratch)}/code/[0-9a-f]+/[0-9]+/", "", str(error))
    with suppress(ConfigurationError):
        build(experiment, source, directories, None)
        lacking = (
            "the capture of its code lacks something that its directory has: name that file or module in a string of a module"
        )
        refused += f"; {lacking}"
    raise ConfigurationError(refused)


def capture_again(home: Path, target: str) -> Code:
    """Capture the code of a recorded experiment's environments as it is now, and store it; raises as `capture` does."""
    name = target.partition("/")[0]
    with Reader(home) as reader:
        experiment, directories = reader.experiment(name), directories_of(reader.execution(name))
    captured = capture(experiment, directories)
    if captured.missing:
        where = " or ".join(directories)
        raise ConfigurationError(f"{name}: {' and '.join(captured.missing)} is not in {where}, so there is no new code")
    if captured.archive is not None:
        write_artifact(home, captured.archive)
    return captured.code


def code_now(experiment: Experiment, directories: Sequence[str]) -> Code | None:
    """The code of a recorded experiment's environments as it is now; None if that cannot be found out.

    It says what has changed, and nothing trains on it.
    """
    with suppress(ConfigurationError):
        captured = capture(experiment, directories)
        return None if captured.missing else captured.code
    return None


def _packed(files: dict[str, Path]) -> bytes | None:
    try:
        return pack_files(files) if files else None
    except OSError as error:
        raise ConfigurationError(f"the code of the environment cannot be captured: {error}") from error


def directories_of(recorded: Execution) -> tuple[str, ...]:
    """Where new code of a recorded experiment is: its directories, and the working directory if one of them is gone."""
    there = [directory for directory in recorded.directories if Path(directory).is_dir()]
    return tuple(there) if len(there) == len(recorded.directories) else (*there, str(Path.cwd()))
