"""The report as one self-contained HTML page: no network, no script, all figures and films embedded."""

import base64
import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from lander.experiments.writing import experiment_file
from lander.protocol.states import in_words
from lander.reports.analysis.configuration import DEFAULT, differences
from lander.reports.analysis.findings import ArmFinding, Estimate
from lander.reports.analysis.material import Material
from lander.reports.render import numbers
from lander.reports.render.drawing import colour, inline
from lander.reports.render.markup import environment, read_template
from lander.reports.render.summary import (
    ABOUT,
    amendments,
    code,
    lineage,
    manifest,
    notes,
    notice,
    question,
    reached,
    steps_to,
    summary,
)
from lander.reports.render.verdict import method, verdict

Films = Mapping[str, Sequence[tuple[str, Path]]]
"""For each arm, the titles and files of its films."""


def page(material: Material, figures: Mapping[str, bytes], films: Films | None = None) -> str:
    """The HTML page; `figures` are the plots by name, as SVG files."""
    from markupsafe import Markup

    templates = environment()
    templates.filters |= _FILTERS
    findings = material.findings
    settings = differences(material.experiment)
    contrasts = {contrast.variant: contrast for contrast in findings.comparisons}
    sentences = [sentence.partition(": ") for sentence in verdict(findings)]
    return templates.get_template("page.html").render(
        findings=findings,
        question=question(findings),
        summary=summary(material),
        amendments=list(amendments(findings)),
        notes=list(notes(findings)),
        notice=notice(findings),
        lineage=lineage(material),
        verdicts=[
            (arm.name, contrasts.get(arm.name), decision, words)
            for arm, (decision, _, words) in zip(findings.arms[1:], sentences, strict=True)
        ],
        settings=settings,
        any_default=any(DEFAULT in setting.values for setting in settings),
        completed=any(arm.returns for arm in findings.arms),
        method=method(findings),
        in_words=in_words,
        steps_to=steps_to(findings),
        about=ABOUT,
        colours={arm.name: colour(index) for index, arm in enumerate(findings.arms)},
        figures={name: Markup(inline(drawn, name)) for name, drawn in figures.items()},  # matplotlib escapes its texts
        usage=material.usage,
        films={arm: [(title, _film(path)) for title, path in shown] for arm, shown in (films or {}).items() if shown},
        experiment_file=experiment_file(material.experiment),
        manifest=[*code(material.findings), *manifest(material.manifest)],
        css=Markup(read_template("page.css")),  # a file of our own
    )


def _film(path: Path) -> str:
    return f"data:video/mp4;base64,{base64.b64encode(path.read_bytes()).decode()}"


def _plain(value: Any) -> str:
    """A value for programs, with all its digits; empty if there is none."""
    return "" if value is None or (isinstance(value, float) and not math.isfinite(value)) else str(value)


def _with_interval(found: Estimate | None, write: numbers.Write = numbers.number) -> Any:
    """An estimate, with its interval in small print below."""
    return numbers.NOTHING if found is None else write(found.value) + _small(numbers.interval(found, write))


def _reached(arm: ArmFinding) -> Any:
    return _small(reached(arm))


def _small(text: str) -> Any:
    from markupsafe import Markup

    return Markup("<small>{}</small>").format(text) if text else Markup("")


_FILTERS: Final[Mapping[str, Any]] = {
    "plain": _plain,
    "number": numbers.number,
    "whole": numbers.whole,
    "duration": numbers.duration,
    "p_value": numbers.p_value,
    "reached": _reached,
    "with_interval": _with_interval,
    "with_interval_whole": partial(_with_interval, write=numbers.whole),
    "with_interval_share": partial(_with_interval, write=numbers.percent),
}
