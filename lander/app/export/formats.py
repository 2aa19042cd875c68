"""All export formats: those of the record, and those that need environments or models."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from lander.reports.export import formats
from lander.reports.export.formats import Exported, Format
from lander.store.log.reader import Reader

FORMATS: Final[Mapping[str, Format]] = {
    **formats.FORMATS,
    "minari": Format(("minari", "h5py"), "MINARI_DATASETS_PATH={directory} minari list local", __package__),
    "hub": Format(package=__package__),
}


def export(
    reader: Reader,
    target: str,
    form: str,
    output: Path | None = None,
    begin: Callable[[], object] = lambda: None,
    **options: Any,
) -> Exported:
    """Write a target in any of these formats, as `reports.export.formats.export` says."""
    return formats.export(reader, target, form, output, begin, FORMATS, **options)
