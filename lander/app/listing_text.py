"""The table of `lander-ctl list`: one line for each experiment, as wide as the terminal is."""

from collections.abc import Sequence
from typing import Final

from lander.protocol.text import MARK, cut
from lander.store.projections.listing import ListedExperiment

HEADINGS: Final = ("experiment", "state", "environment", "arms × seeds", "age", "tags")
_ID, _STATE, _ENVIRONMENT, _SIZE, _, _TAGS = range(len(HEADINGS))
_LEAST: Final = {_ID: 20, _STATE: 20, _ENVIRONMENT: 15, _TAGS: 12}
"""The characters to which these columns may be cut."""
_EXPENDABLE: Final = (_SIZE, _TAGS, _ENVIRONMENT)
"""The columns that a narrow terminal leaves out, in this order."""
_GAP: Final = "  "
_SECOND, _MINUTE, _HOUR, _DAY = 1, 60, 3600, 86_400


def table(listed: Sequence[ListedExperiment], width: int | None) -> tuple[list[str], list[str]]:
    """The lines, and the headings of the columns for which `width` has no room; None is as wide as needed."""
    rows = [HEADINGS, *map(_cells, listed)]
    natural = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    least = [min(size, _LEAST.get(column, size)) for column, size in enumerate(natural)]
    wanted = [column for column in range(len(HEADINGS)) if column != _TAGS or any(row[_TAGS] for row in rows[1:])]
    shown = wanted if width is None else _fitting(wanted, least, width)
    widths = natural if width is None else _narrowed(shown, natural, least, width)
    lines = [_GAP.join(_fitted(column, row[column], widths[column]) for column in shown).rstrip() for row in rows]
    return lines, [HEADINGS[column] for column in wanted if column not in shown]


def no_experiments(archived: int, deleted: int) -> str:
    """What is said of a home in which there is no experiment to list, or none but archived ones."""
    if archived:
        return f"no experiments but {archived} archived; lander-ctl list --archived shows them"
    if deleted:
        return f"no experiments: all were deleted ({deleted} deleted); lander-ctl events --kind ExperimentDeleted shows them"
    return "no experiments yet"


def _cells(listed: ListedExperiment) -> tuple[str, ...]:
    return (
        listed.id,
        listed.headline["summary"],
        ", ".join(listed.environments) or "–",
        _size(listed),
        age(listed.age_seconds),
        ", ".join(listed.remarks.tags),
    )


def _size(listed: ListedExperiment) -> str:
    """`2 × 5`, or the number of runs if the arms do not all have the same seeds."""
    product = listed.arms * listed.seeds
    return f"{listed.arms} × {listed.seeds}" if product == listed.runs else f"{listed.runs} runs"


def age(seconds: float) -> str:
    """`40s`, `12m`, `5h`, `30d`."""
    for unit, size, until in (("s", _SECOND, _MINUTE), ("m", _MINUTE, _HOUR), ("h", _HOUR, 2 * _DAY)):
        if seconds < until:
            return f"{max(0, int(seconds)) // size}{unit}"
    return f"{int(seconds) // _DAY}d"


def _fitting(wanted: Sequence[int], least: Sequence[int], width: int) -> Sequence[int]:
    """The columns for which there is room, each cut as far as it may be."""
    shown = wanted
    for expendable in _EXPENDABLE:
        if _total(shown, least) > width:
            shown = [column for column in shown if column != expendable]
    return shown


def _narrowed(shown: Sequence[int], natural: Sequence[int], least: Sequence[int], width: int) -> Sequence[int]:
    """The width of each column: where they are too wide, the widest that may still be cut gives way first."""
    widths = list(natural)
    for _ in range(_total(shown, natural) - width):
        spare = [column for column in shown if widths[column] > least[column]]
        if spare:
            widths[max(spare, key=widths.__getitem__)] -= 1
    return widths


def _total(shown: Sequence[int], widths: Sequence[int]) -> int:
    return sum(widths[column] for column in shown) + len(_GAP) * (len(shown) - 1)


def _fitted(column: int, text: str, width: int) -> str:
    """The text in this width: an id loses its middle, because ids that differ often do so at their end."""
    if column != _ID or len(text) <= width:
        return cut(text, width).ljust(width)
    tail = (width - 1) // 2
    return text[: width - 1 - tail] + MARK + text[-tail:]
