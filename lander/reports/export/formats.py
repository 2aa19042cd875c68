"""Which formats there are, what each needs, and how a target of the log becomes a directory in one of them."""

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple

from lander.protocol.errors import UsageError
from lander.reports.export.directory import replacing
from lander.store.reader import Reader

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


class Exported(NamedTuple):
    """Where it lies, how many runs it holds, and up to which position of the log."""

    directory: Path
    runs: int
    position: int


def export(reader: Reader, target: str, form: str, output: Path | None = None) -> Exported:
    """Write a target of the log, as of one moment, as a directory that is whole or not there.

    An earlier export there is replaced. Raises `NotFoundError` for a target that does not exist, `UsageError` where a
    library is missing, or where anything else lies at `output` or it cannot be written.
    """
    with reader.snapshot():
        runs, position = reader.runs(target), reader.position()
        write = writer(form)
        directory = default_directory(reader.home, target, form) if output is None else output
        with replacing(directory, {"format": form, "target": target, "position": position}) as unfinished:
            write(reader, target, unfinished)
    return Exported(directory, len(runs), position)


def default_directory(home: Path, target: str, form: str) -> Path:
    """`<home>/experiments/<id>/exports/<format>`, the arm and the seed behind it where it is of those alone."""
    experiment, *rest = target.split("/")
    return home / "experiments" / experiment / "exports" / "-".join([form, *rest])


def writer(form: str) -> Write:
    """What writes a format; nothing of its libraries is imported before it is called."""
    for library in FORMATS[form].libraries:
        if find_spec(library) is None:
            raise UsageError(f"export --to {form} needs {library}; pip install 'lander-ctl[{form}]'")
    write: Write = import_module(f"lander.reports.export.{form}").write
    return write
