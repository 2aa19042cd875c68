"""Findings as text for a terminal, and as JSON."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from lander.protocol.text import one_line, printable
from lander.reports.analysis.findings import ArmFinding, Findings
from lander.reports.render import numbers
from lander.reports.render.summary import amendments, code, notes, notice, reached, steps_to
from lander.reports.render.verdict import verdict


def as_json(findings: Findings) -> str:
    """The verdict and the findings as one JSON object with the field names of `Findings`; NaN and infinity are null."""
    fields = {"verdict": verdict(findings), "notice": notice(findings)}
    return printable(json.dumps(fields | _finite(asdict(findings)), indent=2, ensure_ascii=False, allow_nan=False))


def _finite(value: Any) -> Any:
    match value:
        case float() if not math.isfinite(value):
            return None
        case dict():
            return {str(name): _finite(each) for name, each in value.items()}
        case list() | tuple():
            return [_finite(each) for each in value]
    return value


def as_text(findings: Findings, picture: Sequence[str] = ()) -> str:
    """The verdict, a table of the arms, a picture if one is given, and the caveats."""
    drawn = ("", *picture) if picture else ()  # it has the colours of the terminal in it, and no text from outside
    return "\n".join([*map(one_line, _lines(findings)), *drawn, *map(one_line, _notes(findings))])


def _lines(findings: Findings) -> Iterator[str]:
    hypothesis = " ".join(findings.hypothesis.split())
    yield f"{findings.experiment}: {findings.state}" + (f" – {hypothesis}" if hypothesis else "")
    yield from (f"{label}: {text}" for label, text in amendments(findings))
    if warning := notice(findings):
        yield warning
    yield from verdict(findings)
    yield ""
    yield from _aligned([headings(findings), *(row(arm) for arm in findings.arms)])


def _notes(findings: Findings) -> Iterator[str]:
    yield from ("", *(f"note: {caveat}" for caveat in findings.caveats)) if findings.caveats else ()
    yield from (f"{label}: {text}" for label, text in (*code(findings), *notes(findings)))
    yield from [f"tags: {', '.join(findings.tags)}"] if findings.tags else []


def headings(findings: Findings) -> tuple[str, ...]:
    """The columns of the table of arms."""
    return ("arm", "runs", "mean return", "interquartile mean", steps_to(findings), "time", "steps/s")


def row(arm: ArmFinding) -> tuple[str, ...]:
    """One arm, a cell for each of `headings`."""
    return (
        arm.name,
        f"{len(arm.returns)} of {len(arm.runs)}",
        numbers.estimated(arm.mean),
        numbers.estimated(arm.iqm),
        f"{numbers.whole(arm.steps_to_threshold.value if arm.steps_to_threshold else None)} {reached(arm)}".rstrip(),
        numbers.duration(arm.wall_seconds),
        numbers.whole(arm.steps_per_second),
    )


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Aligned rows: names to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *rest in rows:
        cells = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        yield "  ".join([f"  {first.ljust(widths[0])}", *cells])
