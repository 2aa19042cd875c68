"""The report as one self-contained HTML page: no network, no script, all figures and films embedded."""

import base64
import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from lander.experiments.writing import experiment_file
from lander.protocol.states import in_words
from lander.protocol.text import printable
from lander.reports.analysis.configuration import MOST_BESIDE, by_arm, differences
from lander.reports.analysis.findings import ArmFinding, Estimate
from lander.reports.analysis.material import Material
from lander.reports.render import numbers
from lander.reports.render.answer import NEXT, answer
from lander.reports.render.command_words import parts
from lander.reports.render.drawing import inline, key
from lander.reports.render.markup import environment, read_template
from lander.reports.render.summary import (
    ABOUT,
    amendments,
    code,
    lineage,
    manifest,
    notes,
    notice,
    published,
    question,
    reached,
    steps_to,
    summary,
)
from lander.reports.render.verdict import method

Films = Mapping[str, Sequence[tuple[str, Path]]]
"""For each arm, the titles and files of its films."""


_LONG_NAME: Final = 20
"""Arms with longer names get a wider first column."""


def page(material: Material, figures: Mapping[str, bytes], films: Films | None = None) -> str:
    """The HTML page; `figures` are the plots by name, as SVG files."""
    from markupsafe import Markup

    templates = environment()
    templates.filters |= _FILTERS
    findings = material.findings
    settings = differences(material.experiment)
    return templates.get_template("page.html").render(
        findings=findings,
        question=question(findings),
        summary=summary(material),
        amendments=list(amendments(findings)),
        notes=list(notes(findings)),
        notice=notice(findings),
        published=list(published(findings)),
        lineage=lineage(material),
        answer=answer(findings),
        next=NEXT,
        contrasts={contrast.variant: contrast for contrast in findings.comparisons},
        settings=settings,
        beside=len(findings.arms) <= MOST_BESIDE,
        by_arm=by_arm(settings),
        long_names=max(len(arm.name) for arm in findings.arms) > _LONG_NAME,
        algorithms=len({arm.algorithm for arm in material.experiment.arms}),
        completed=any(arm.returns for arm in findings.arms),
        method=method(findings),
        in_words=in_words,
        steps_to=steps_to(findings),
        about=ABOUT,
        keys={arm.name: key(index) for index, arm in enumerate(findings.arms)},
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


def _commands(sentence: str, experiment: str) -> Any:
    """A sentence with its commands as code; a line may end between their words only."""
    from markupsafe import Markup

    return Markup("").join(
        Markup('<code class="command">{}</code>').format(
            Markup(" ").join(Markup("<span>{}</span>").format(word) for word in part.text.split(" "))
        )
        if part.is_command
        else part.text
        for part in parts(printable(sentence), experiment)
    )


def _breakable(name: str) -> Any:
    """A setting's name, which may continue on another line after a dot."""
    from markupsafe import Markup

    return Markup(".<wbr>").join(name.split("."))


def _small(text: str) -> Any:
    from markupsafe import Markup

    return Markup("<small>{}</small>").format(text) if text not in ("", numbers.NOTHING) else Markup("")


_FILTERS: Final[Mapping[str, Any]] = {
    "plain": _plain,
    "number": numbers.number,
    "whole": numbers.whole,
    "duration": numbers.duration,
    "p_value": numbers.p_value,
    "reached": _reached,
    "small": _small,
    "breakable": _breakable,
    "commands": _commands,
    "with_interval": _with_interval,
    "with_interval_whole": partial(_with_interval, write=numbers.whole),
    "with_interval_share": partial(_with_interval, write=numbers.percent),
}
