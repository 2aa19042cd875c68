"""The report as Markdown: shorter than the page, for a README or an issue; its figures are separate files."""

import html
import re
from collections.abc import Iterable, Iterator, Sequence

from lander.experiments.writing import experiment_file
from lander.protocol.states import in_words
from lander.protocol.text import one_line, printable
from lander.reports.analysis.configuration import MOST_BESIDE, Setting, by_arm, differences
from lander.reports.analysis.findings import ArmFinding, Contrast, Findings, RunFinding
from lander.reports.analysis.material import Material
from lander.reports.render import numbers
from lander.reports.render.answer import COLUMNS, NEXT, answer
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


def markdown(material: Material, pictures: Iterable[str] = (), prefix: str = "") -> str:
    """The report; `pictures` are the names of the figures that lie beside it as `<prefix><name>.png`."""
    return "\n".join(_lines(material, list(pictures), prefix)) + "\n"


def _lines(material: Material, pictures: Sequence[str], prefix: str) -> Iterator[str]:
    findings = material.findings
    yield from (
        f"# {_plain(question(findings))}",
        "",
        _plain(f"{summary(material)}. {findings.experiment}: {findings.state}."),
        "",
    )
    for label, text in amendments(findings):
        yield from (f"*{_plain(label)}:* {_plain(text)}", "")
    for sentence in filter(None, (lineage(material), notice(findings))):
        yield from (f"**{_plain(sentence)}**", "")
    yield from _verdict(findings)
    yield from (f"- {_plain(caveat)}" for caveat in findings.caveats)
    yield ""
    if settings := differences(material.experiment):
        yield "## What differs"
        yield from _what_differs(settings, [arm.name for arm in findings.arms])
    for name in pictures:
        yield from (f"![{ABOUT[name].title}]({prefix}{name}.png)", "", _plain(ABOUT[name].caption), "")
    if any(arm.returns for arm in findings.arms):
        yield "## Final performance"
        yield from _table(_headings(findings), map(_arm, findings.arms))
        yield from _table(_CONTRAST, map(_contrast, findings.comparisons))
        yield from (f"{_plain(' '.join(method(findings)))}", "")
    for label, text in published(findings):
        yield from (f"*{_plain(label)}:* {_plain(text)}", "")
    yield "## Runs"
    yield from _table(_RUN, (_run(run) for arm in findings.arms for run in arm.runs))
    if findings.notes or findings.tags:
        yield from ("## Notes", "")
        yield from (f"- {_plain(label)}: {_plain(text)}" for label, text in notes(findings))
        yield from ([f"- tags: {_plain(', '.join(findings.tags))}"] if findings.tags else [])
        yield ""
    yield from (
        "## Reproduce it",
        "",
        f"With this file, `lander-ctl run {findings.experiment}.yaml` asks for the same experiment"
        + (f", in a home that holds {_plain(findings.origin)}." if findings.origin else "."),
        "",
    )
    yield from (fenced(experiment_file(material.experiment), "yaml"), "")
    yield from (f"- {name}: {_plain(value)}" for name, value in (*code(findings), *manifest(material.manifest)))
    yield f"- log: up to position {findings.position:,}"


def _verdict(findings: Findings) -> Iterator[str]:
    found = answer(findings)
    if found is None:
        return
    yield from (f"**{_plain(found.decision)}**: {_plain(found.words)}", "")
    if found.next_step:
        yield from (f"**{NEXT}**: {_plain(found.next_step)}", "")
    yield from _table(COLUMNS, found.rows)


def _what_differs(settings: Sequence[Setting], arms: Sequence[str]) -> Iterator[str]:
    """A row for each setting, or, of many arms, a row for each arm."""
    if len(arms) <= MOST_BESIDE:
        yield from _table(["setting", *arms], [[found.name, *map(str, found.values)] for found in settings])
        return
    told = [", ".join(f"{name}: {value}" for name, value in named) for named in by_arm(settings)]
    yield from _table(["arm", "settings; of a variant, those that are not the baseline's"], zip(arms, told, strict=True))


def _headings(findings: Findings) -> Sequence[str]:
    returns = ("mean", "median", "interquartile mean", "spread", "best", "area under the curve")
    return ("arm", "runs", *returns, steps_to(findings), "time per run", "CPU time", "steps/s")


def _arm(arm: ArmFinding) -> Sequence[str]:
    return (
        arm.name,
        f"{len(arm.returns)} of {len(arm.runs)}",
        *(numbers.estimated(found) for found in (arm.mean, arm.median, arm.iqm)),
        numbers.number(arm.spread),
        *(numbers.estimated(found) for found in (arm.best, arm.area)),
        f"{numbers.estimated(arm.steps_to_threshold, numbers.whole)} {reached(arm)}".rstrip(),
        numbers.duration(arm.wall_seconds),
        numbers.duration(arm.cpu_seconds),
        numbers.whole(arm.steps_per_second),
    )


_CONTRAST = ("variant", "difference", "in area", "pairs won", "P(improvement)", "effect size", "test", "p", "p, corrected")


def _contrast(contrast: Contrast) -> Sequence[str]:
    return (
        contrast.variant,
        numbers.estimated(contrast.difference),
        numbers.estimated(contrast.area),
        numbers.NOTHING if contrast.better is None else f"{contrast.better} of {contrast.compared}",
        numbers.estimated(contrast.probability_of_improvement, numbers.percent),
        numbers.number(contrast.effect_size),
        contrast.test,
        numbers.p_value(contrast.p_value),
        numbers.p_value(contrast.p_adjusted),
    )


_MARKS = {"inexact": " (inexact)", "other_bits": " (other bits)"}
_RUN = ("run", "state", "steps", "episodes", "final", "best", "attempts", "time", "steps/s")


def _run(run: RunFinding) -> Sequence[str]:
    return (
        f"{run.arm}/{run.seed}",
        in_words(run.state, run.cause) + _MARKS.get(run.resume or "", ""),
        numbers.whole(run.step),
        numbers.whole(run.episodes),
        numbers.number(run.final),
        numbers.number(run.best),
        str(run.attempts),
        numbers.duration(run.wall_seconds),
        numbers.whole(run.steps_per_second),
    )


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table with its first column aligned left and the others right; nothing without rows."""
    lines = [f"| {' | '.join(map(_plain, row))} |" for row in rows]
    if lines:
        yield from ("", f"| {' | '.join(headings)} |", f"|---|{'--:|' * (len(headings) - 1)}", *lines, "")


def _plain(text: str) -> str:
    """A user's text, escaped so that nothing in it is markup."""
    return re.sub(r"([\\`*_\[\]|#~])", r"\\\1", html.escape(one_line(" ".join(text.split())), quote=False))


def fenced(text: str, language: str) -> str:
    """Text as a code block, with a fence longer than any that the text contains."""
    text = printable(text)
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}{fence}"
