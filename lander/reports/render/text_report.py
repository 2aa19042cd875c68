"""Findings as text for a terminal, and as JSON."""

import json
import math
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final

from lander.protocol.text import one_line, printable
from lander.reports.analysis.findings import ArmFinding, Findings
from lander.reports.render import numbers
from lander.reports.render.answer import COLUMNS, NEXT, answer
from lander.reports.render.command_words import parts
from lander.reports.render.summary import amendments, code, notes, notice, published, reached, steps_to
from lander.reports.render.text_table import text_table
from lander.reports.render.verdict import verdict

_KEPT: Final = "\0"  # in place of a blank at which no line may end; in no printable text
_WORD_COLUMNS: Final = [COLUMNS.index(name) for name in ("variant", "verdict", "test", "note")]


def as_json(findings: Findings) -> str:
    """The verdict and the findings as one JSON object with the field names of `Findings`; NaN and infinity are null.

    `verdict` has the sentences on each variant.
    """
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


def as_text(findings: Findings, picture: Sequence[str] = (), width: int | None = None, *, headed: bool = True) -> str:
    """The verdict, a table of the arms, a picture if one is given, and the caveats.

    The heading, id and state and hypothesis, is left out if it is not `headed`: where it stands just above.

    With a `width`, sentences are broken between words and tables between columns, so that no line is longer. A command stays in
    one line, to be copied.
    """
    drawn = ("", *picture) if picture else ()  # it has the colours of the terminal in it, and no text from outside
    return "\n".join([*_lines(findings, width, headed), *drawn, *_notes(findings, width)])


def _lines(findings: Findings, width: int | None, headed: bool) -> Iterator[str]:
    hypothesis = " ".join(findings.hypothesis.split())
    found = answer(findings)
    sentences = [f"{findings.experiment}: {findings.state}" + (f" – {hypothesis}" if hypothesis else "")] if headed else []
    sentences += [*(f"{label}: {text}" for label, text in amendments(findings)), notice(findings)]
    sentences += [] if found is None else [found.sentence, f"{NEXT}: {found.next_step}" if found.next_step else ""]
    for sentence in filter(None, sentences):
        yield from _in_lines(sentence, findings, width)
    if found is not None and found.rows:
        yield from ("", *_table([COLUMNS, *found.rows], width, _WORD_COLUMNS))
    yield from ("", *_table([headings(findings), *(row(arm) for arm in findings.arms)], width, [0]))
    for label, text in published(findings):
        yield from ("", *_in_lines(f"{label}: {text}", findings, width))


def _notes(findings: Findings, width: int | None) -> Iterator[str]:
    caveats = [f"note: {caveat}" for caveat in findings.caveats]
    yield from [""] if caveats else []
    others = [f"{label}: {text}" for label, text in (*code(findings), *notes(findings))]
    others += [f"tags: {', '.join(findings.tags)}"] if findings.tags else []
    for line in (*caveats, *others):
        yield from _in_lines(line, findings, width)


def _in_lines(text: str, findings: Findings, width: int | None) -> list[str]:
    line = one_line(text)
    if width is None:
        return [line]
    found = parts(line, findings.experiment)
    kept = "".join(part.text.replace(" ", _KEPT) if part.is_command else part.text for part in found)
    lines = textwrap.wrap(kept, width, break_long_words=False, break_on_hyphens=False)
    return [each.replace(_KEPT, " ") for each in lines]


def _table(rows: Sequence[Sequence[str]], width: int | None, left: Sequence[int]) -> Iterator[str]:
    return text_table([[*map(one_line, row)] for row in rows], width, left)


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
