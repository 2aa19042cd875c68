"""The export formats, the libraries each needs, and `export`, which writes a target as a directory in one of them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, NamedTuple

from lander.home.layout import exports_directory
from lander.protocol.errors import LanderError, UsageError
from lander.reports.export.directory import replacing
from lander.store.log.reader import Reader

Write = Callable[..., Sequence[str] | None]
"""Writes the record of a target's runs, without superseded parts, into a directory: `write(reader, target, directory)`.

Some formats take options by keyword. Returns a sentence for each thing that was left out, or None.
"""


class Format(NamedTuple):
    """The import names of the libraries that write it, the command that the user runs next, and the package of its module."""

    libraries: tuple[str, ...] = ()
    next_step: str = ""
    package: str = __package__


FORMATS: Final[Mapping[str, Format]] = {
    "csv": Format(),
    "json": Format(),
    "jsonl": Format(),
    "parquet": Format(("pyarrow",)),
    "tensorboard": Format(("tensorboard",), "tensorboard --logdir {directory}"),
    "wandb": Format(("wandb",), "wandb sync {directory}/offline-run-*"),
    "mlflow": Format(("mlflow", "sqlalchemy", "alembic"), "mlflow ui --backend-store-uri sqlite:///{directory}/mlflow.db"),
}
"""Each name is that of the module that writes the format, and of the extra that installs its libraries."""


_LONGEST: Final = 500
"""Characters kept of a library's error message."""


class Exported(NamedTuple):
    """An export: its directory, its number of runs, and the position of the log up to which it goes.

    `left_out` has a sentence for each thing that could not be exported.
    """

    directory: Path
    runs: int
    position: int
    left_out: tuple[str, ...] = ()


def export(
    reader: Reader,
    target: str,
    form: str,
    output: Path | None = None,
    begin: Callable[[], object] = lambda: None,
    formats: Mapping[str, Format] = FORMATS,
    **options: Any,
) -> Exported:
    """Write a target, from one snapshot of the log, as a directory that appears only when it is complete.

    Replaces an earlier export there. Calls `begin` when nothing is left to be refused. `options` go to the format. Raises
    `NotFoundError` for an unknown target, `UsageError` if a library is missing, if anything but an export lies at `output` or
    it cannot be written, and `LanderError` if a library fails.
    """
    with reader.snapshot():
        runs, position = reader.runs(target), reader.position()
        write = writer(form, formats)
        directory = default_directory(reader.home, target, form) if output is None else output
        about = {"format": form, "target": target, "position": position}
        errors = _library_errors(formats[form], f"{directory}: {form} could not write it")
        with replacing(directory, about) as unfinished, errors:
            begin()
            left_out = write(reader, target, unfinished, **options)
    return Exported(directory, len(runs), position, tuple(left_out or ()))


def default_directory(home: Path, target: str, form: str) -> Path:
    """`<home>/experiments/<id>/exports/<format>`, followed by the arm and the seed if the target names them."""
    experiment, *rest = target.split("/")
    return exports_directory(home, experiment) / "-".join([form, *rest])


def writer(form: str, formats: Mapping[str, Format] = FORMATS) -> Write:
    """The function that writes a format; imports the format's libraries only now. Raises `UsageError` if one is missing."""
    wanted = formats[form]
    for library in wanted.libraries:
        if find_spec(library) is None:
            raise UsageError(f"export --to {form} needs {library}; pip install 'lander-ctl[{form}]'")
    with _library_errors(wanted, f"export --to {form}: its library does not work here"):
        write: Write = import_module(f"{wanted.package}.{form}").write
    return write


@contextmanager
def _library_errors(wanted: Format, what: str) -> Iterator[None]:
    """Raise a library's exception as a `LanderError` of one line.

    An `OSError` passes: it concerns the output path. For a format without a library, an exception is our defect and passes.
    """
    try:
        yield
    except (LanderError, OSError):
        raise
    except Exception as error:
        if not wanted.libraries:
            raise
        raise LanderError(f"{what}: {type(error).__name__}: {' '.join(str(error).split())}"[:_LONGEST]) from error
