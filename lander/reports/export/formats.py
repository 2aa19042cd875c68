"""Which formats there are, what each needs, and how a target of the log becomes a directory in one of them."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple

from lander.home.layout import exports_directory
from lander.protocol.errors import LanderError, UsageError
from lander.reports.export.directory import replacing
from lander.store.log.reader import Reader

Write = Callable[[Reader, str, Path], None]
"""Writes what counts of a target's runs into a directory."""


class Format(NamedTuple):
    """The libraries it is written with, by the names they are imported by, and what the user does with it next."""

    libraries: tuple[str, ...] = ()
    next_step: str = ""


FORMATS: Final[Mapping[str, Format]] = {
    "csv": Format(),
    "json": Format(),
    "jsonl": Format(),
    "parquet": Format(("pyarrow",)),
    "tensorboard": Format(("tensorboard",), "tensorboard --logdir {directory}"),
    "wandb": Format(("wandb",), "wandb sync {directory}/offline-run-*"),
    "mlflow": Format(("mlflow", "sqlalchemy", "alembic"), "mlflow ui --backend-store-uri sqlite:///{directory}/mlflow.db"),
}
"""Each is the name of the module here that writes it, and of the extra that brings its libraries."""


_LONGEST: Final = 500
"""Characters of what a library says."""


class Exported(NamedTuple):
    """Where it lies, how many runs it holds, and up to which position of the log."""

    directory: Path
    runs: int
    position: int


def export(reader: Reader, target: str, form: str, output: Path | None = None) -> Exported:
    """Write a target of the log, as of one moment, as a directory that is whole or not there.

    An earlier export there is replaced. Raises `NotFoundError` for a target that does not exist, `UsageError` where a
    library is missing, or where anything else lies at `output` or it cannot be written, `LanderError` where a library fails.
    """
    with reader.snapshot():
        runs, position = reader.runs(target), reader.position()
        write = writer(form)
        directory = default_directory(reader.home, target, form) if output is None else output
        about = {"format": form, "target": target, "position": position}
        blamed = _blamed_on_its_library(form, f"{directory}: {form} could not write it")
        with replacing(directory, about) as unfinished, blamed:
            write(reader, target, unfinished)
    return Exported(directory, len(runs), position)


def default_directory(home: Path, target: str, form: str) -> Path:
    """`<home>/experiments/<id>/exports/<format>`, the arm and the seed behind it where it is of those alone."""
    experiment, *rest = target.split("/")
    return exports_directory(home, experiment) / "-".join([form, *rest])


def writer(form: str) -> Write:
    """What writes a format; nothing of its libraries is imported before it is called."""
    for library in FORMATS[form].libraries:
        if find_spec(library) is None:
            raise UsageError(f"export --to {form} needs {library}; pip install 'lander-ctl[{form}]'")
    with _blamed_on_its_library(form, f"export --to {form}: its library does not work here"):
        write: Write = import_module(f"lander.reports.export.{form}").write
    return write


@contextmanager
def _blamed_on_its_library(form: str, what: str) -> Iterator[None]:
    """Tell whatever a format's library raises in one line; `OSError` is about the place, and a format without one is ours."""
    try:
        yield
    except (LanderError, OSError):
        raise
    except Exception as error:
        if not FORMATS[form].libraries:
            raise
        raise LanderError(f"{what}: {type(error).__name__}: {' '.join(str(error).split())}"[:_LONGEST]) from error
