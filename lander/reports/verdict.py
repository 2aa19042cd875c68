"""The verdict: what an experiment's findings mean for its question, in sentences.

One paragraph for each variant, in the order of the file; beside them stand the findings' own `caveats`.
"""

from collections.abc import Iterator
from typing import Final

from lander.protocol.states import UNDER_WAY
from lander.reports import numbers
from lander.reports.caveats import FEW_SEEDS
from lander.reports.comparison import FEWEST_SEEDS
from lander.reports.curves import CONFIDENCE
from lander.reports.findings import Contrast, Findings, Measure
from lander.reports.power import MOST_MORE, POWER
from lander.store.reader import RETURN_WINDOW

MEASURED: Final[dict[Measure, str]] = {
    "evaluation": "in evaluation",
    "training": f"in the last {RETURN_WINDOW} episodes of training",
}
"""Where a final return was achieved, as a part of a sentence."""


def verdict(findings: Findings) -> list[str]:
    """For each variant the decision, the numbers it rests on, and what would help where there is none."""
    contrasts = {contrast.variant: contrast for contrast in findings.contrasts}
    return [_paragraph(findings, variant.name, contrasts.get(variant.name)) for variant in findings.arms[1:]]


def _paragraph(findings: Findings, variant: str, contrast: Contrast | None) -> str:
    so_far = " so far" if findings.state in UNDER_WAY else ""
    if contrast is None:
        without = [arm.name for arm in findings.arms if arm.name in (findings.arms[0].name, variant) and not arm.returns]
        return f"Undecided{so_far}: no run of {' and none of '.join(without)} has completed with a return."
    return " ".join(
        [f"{contrast.decision.capitalize()}{so_far}: {_finding(findings, contrast)}.", *_remedy(findings, contrast)]
    )


def _finding(findings: Findings, contrast: Contrast) -> str:
    """What was found, as one sentence without its end."""
    gap, where = contrast.difference, MEASURED[findings.measure]
    amount, *bounds = numbers.alike(abs(gap.value), *(bound for bound in (gap.low, gap.high) if bound is not None))
    how = f"{amount} {'more' if gap.value > 0 else 'less'} than" if gap.value else "as much as"
    interval = f", {CONFIDENCE:.0%} interval {' to '.join(bounds)}".replace("%", " %") if bounds else ""
    pairs = len(contrast.seeds)
    wins = f", and did better with {contrast.better} of {pairs} seed{'s' if pairs > 1 else ''}" if contrast.paired else ""
    return f"{contrast.variant} returned {how} {contrast.baseline} {where}{interval} ({_evidence(findings, contrast)}){wins}"


def _evidence(findings: Findings, contrast: Contrast) -> str:
    """The test, what it was made with, and what came of it."""
    ours, theirs = _sizes(findings, contrast)
    sample = f"{ours} seed{'s' if ours > 1 else ''}" if contrast.paired else f"{ours} and {theirs} runs"
    if contrast.p_value is None or contrast.p_adjusted is None:
        return f"{sample}, too few for a test"
    told = f"{contrast.test} over {sample}, {_p(contrast.p_value)}"
    if contrast.p_adjusted == contrast.p_value:
        return told
    return f"{told}, and {_p(contrast.p_adjusted)} corrected for the number of tests"


def _p(value: float) -> str:
    shown = numbers.p_value(value)
    return f"p {shown}" if shown.startswith("<") else f"p = {shown}"


def _remedy(findings: Findings, contrast: Contrast) -> Iterator[str]:
    """What to do about a question that is undecided."""
    if contrast.decision != "undecided":
        return
    fewest = min(_sizes(findings, contrast))
    if findings.state in UNDER_WAY:
        yield "Not all runs of the experiment have ended."
    elif contrast.p_value is None:
        yield f"One seed shows nothing of what is chance: {_addition(findings, FEW_SEEDS - fewest)}."
    elif contrast.more_seeds is not None:
        more = f"{contrast.more_seeds} more seed{'s' if contrast.more_seeds > 1 else ''}"
        yield f"If the difference is what it seems, {more} would decide with {POWER:.0%} probability".replace("%", " %")
        yield f"({_addition(findings, contrast.more_seeds)})."
    else:
        yield f"Even {MOST_MORE} more seeds would probably not decide: beside the spread between seeds the difference is small."


def _addition(findings: Findings, more: int) -> str:
    """How to come to so many more seeds; a fork can be given none but those that were forked."""
    if findings.origin is not None:
        return f"fork {findings.origin} anew with {more} more of its seeds, trained there first if need be"
    return f"lander-ctl run --experiment-id {findings.experiment} --seeds +{more} adds {more}"


def _sizes(findings: Findings, contrast: Contrast) -> tuple[int, int]:
    counts = {arm.name: len(arm.returns) for arm in findings.arms}
    return counts[contrast.variant], counts[contrast.baseline]


# --- how --------------------------------------------------------------------------------------------------------------


def method(findings: Findings) -> list[str]:
    """How the numbers come about, for whoever wants to know: a sentence each."""
    return list(_method(findings))


def _method(findings: Findings) -> Iterator[str]:
    if findings.measure == "evaluation":
        yield "A run's final return is its mean in the evaluation after its last training step: the same episodes for all runs."
    else:
        yield f"A run's final return is the mean return of its last {RETURN_WINDOW} training episodes, exploration included."
    yield (
        "Where the same seeds completed in both arms, differences are taken seed by seed and tested by the paired t-test, else"
        " by Welch's; where there is no spread at all, by rearranging the runs. Beside it stands one that looks at ranks only."
        " The decision follows from the first alone, corrected for the number of variants (Holm) and for every time that seeds"
        f" were added, and never from fewer than {FEWEST_SEEDS} seeds in each arm."
    )
    yield (
        "Intervals of means and of their differences are Student's; those of medians, interquartile means, probabilities of"
        " improvement and of curves are percentiles of bootstrap samples, which are too narrow for fewer than about ten seeds."
    )
    yield (
        "The probability of improvement is that of any run of the variant against any of the baseline, ties counted half; the"
        " effect size is Hedges' g, in standard deviations between the seeds of an arm."
    )
    if findings.threshold is not None:
        (aim,) = numbers.alike(findings.threshold)
        yield f"The threshold is a mean return of {aim} over the last {RETURN_WINDOW} training episodes, 10 at least."
