"""Values as tables of pandas, which is imported only for that."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import Field, fields
from typing import TYPE_CHECKING, Any, get_args

from lander.protocol.errors import UsageError
from lander.reports.analysis.findings import Estimate

if TYPE_CHECKING:
    from pandas import DataFrame


def data_frame(kind: type[Any], values: Sequence[Any], more: Mapping[str, Sequence[Any]] | None = None) -> "DataFrame":
    """A row for each value of this dataclass, a column for each field that holds one value or an estimate, and `more` columns.

    An estimate has three columns. Raises `UsageError` if pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise UsageError("to_dataframe needs pandas; pip install 'lander-ctl[pandas]'") from error
    columns = {name: column for each in fields(kind) for name, column in _columns(each, values)}
    return pd.DataFrame(columns | dict(more or {}))


def _columns(field: Field[Any], values: Sequence[Any]) -> Iterator[tuple[str, list[Any]]]:
    types = {getattr(each, "__origin__", each) for each in (field.type, *get_args(field.type))}
    found = [getattr(value, field.name) for value in values]
    if Estimate in types:
        yield field.name, [each and each.value for each in found]
        yield f"{field.name}_low", [each and each.low for each in found]
        yield f"{field.name}_high", [each and each.high for each in found]
    elif not types & {tuple, dict}:
        yield field.name, found
