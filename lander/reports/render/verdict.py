"""The verdict on each variant: the sentences that answer an experiment's question from its findings.

One paragraph for each variant, in the order of the file; the findings' `caveats` are separate. `answer.py` answers on all
variants together.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from lander.protocol.retrying import how_to_retry, needs_new_code
from lander.protocol.returns import RETURN_WINDOW
from lander.protocol.states import UNDER_WAY
from lander.reports.analysis.bootstrap import CONFIDENCE, FEWEST
from lander.reports.analysis.caveats import FEW_SEEDS
from lander.reports.analysis.curves import FEWEST_EPISODES
from lander.reports.analysis.findings import ArmFinding, Contrast, Findings, Measure, Obstacle
from lander.reports.analysis.judgement import FEWEST_SEEDS
from lander.reports.analysis.power import MOST_MORE, POWER
from lander.reports.render import numbers

MEASURED: Final[dict[Measure, str]] = {
    "evaluation": "in evaluation",
    "training": f"in the last {RETURN_WINDOW} episodes of training",
}
"""Where a final return was measured, as a part of a sentence."""


def verdict(findings: Findings) -> list[str]:
    """For each variant: the decision, the numbers behind it, and for no decision, what would help."""
    contrasts = {contrast.variant: contrast for contrast in findings.contrasts}
    return [
        _paragraph(findings, variant.name, contrasts.get(variant.name))
        if variant.obstacle is None
        else " ".join(_incomparable(findings, variant, variant.obstacle, contrasts.get(variant.name)))
        for variant in findings.arms[1:]
    ]


def _incomparable(findings: Findings, variant: ArmFinding, why: Obstacle, contrast: Contrast | None) -> Iterator[str]:
    """Why there is no decision, before any number, and what would make one possible."""
    baseline = findings.arms[0]
    match why:
        case "identical":
            yield f"Undecided: {variant.name} is configured exactly as {baseline.name}, so there is nothing to compare."
        case "environments":
            yield (
                f"Undecided: {variant.name} plays {variant.environment} and {baseline.name} plays {baseline.environment},"
                " so their returns cannot be compared."
            )
            yield _common_evaluation(findings)
        case "code":
            yield (
                f"Undecided: {variant.name} and {baseline.name} were not trained on the same code of their environment, so"
                " their returns cannot be compared. A new experiment trains all arms on one."
            )
        case "budgets":
            yield (
                f"Undecided: {variant.name} is trained for {variant.training_steps:,} steps and {baseline.name} for"
                f" {baseline.training_steps:,}, so a difference may come from the budget alone."
            )
            yield from () if contrast is None else [f"For the record: {_finding(findings, contrast)}."]
            yield "If the budget is the question, compare_budgets: true in the file of a new experiment says so."
        case "endings":
            yield f"Undecided: {variant.name} has other rules that end its training early than {baseline.name} has."
            yield from () if contrast is None else [f"For the record: {_finding(findings, contrast)}."]
            yield "If that is the question, compare_budgets: true in the file of a new experiment says so."
        case "clock":
            yield (
                f"Undecided: {variant.name} or {baseline.name} has runs that the hours of the budget ended, so the speed of the"
                " machine decided how long they trained."
            )
            yield "A budget of steps or episodes, in a new experiment, is the same on every machine."


def _common_evaluation(findings: Findings) -> str:
    """How the policies of arms that are trained in different environments can be compared."""
    if findings.evaluation_environment is None:
        return "In a new experiment, evaluation_environment: NAME has the policies of all arms evaluated in one environment."
    return (
        f"They could be in {findings.evaluation_environment}, but not every completed run was evaluated there at its end:"
        f" lander-ctl run {findings.experiment} --eval-episodes N has it done."
    )


def _paragraph(findings: Findings, variant: str, contrast: Contrast | None) -> str:
    so_far = " so far" if findings.unfinished else ""
    compared = [arm for arm in findings.arms if arm.name in (findings.arms[0].name, variant)]
    if contrast is None:
        without = " and none of ".join(arm.name for arm in compared if not arm.returns)
        statement, decision = f"no run of {without} has completed with a return", "undecided"
    else:
        statement, decision = _finding(findings, contrast), contrast.decision
    statement += "".join(f"; {lost_runs(arm)}" for arm in compared if arm.lost)
    return " ".join([f"{decision.capitalize()}{so_far}: {statement}.", *_remedy(findings, contrast, compared)])


def lost_runs(arm: ArmFinding) -> str:
    """How many runs of an arm are over without a return."""
    runs = len(arm.runs)
    return f"{arm.lost} of {runs} run{'s' if runs > 1 else ''} of {arm.name} came to nothing"


def _finding(findings: Findings, contrast: Contrast) -> str:
    """The difference, its test and the pairs won, as one sentence without its full stop."""
    gap, where = contrast.difference, measured(findings)
    ours, theirs = _with_budgets(findings, contrast)
    amount, *bounds = numbers.same_decimals(abs(gap.value), *(bound for bound in (gap.low, gap.high) if bound is not None))
    how = f"{amount} {'more' if gap.value > 0 else 'less'} than" if gap.value else "as much as"
    interval = f", {numbers.percent(CONFIDENCE)} interval {' to '.join(bounds)}" if bounds else ""
    pairs = f"{contrast.compared} seed{'s' if contrast.compared > 1 else ''}"
    wins = f", and did better with {contrast.better} of {pairs}" if contrast.paired else ""
    return f"{ours} returned {how} {theirs} {where}{interval} ({_evidence(contrast)}){wins}"


def measured(findings: Findings) -> str:
    """Where the final returns were measured, as a part of a sentence."""
    where = MEASURED[findings.measure]
    common = findings.evaluation_environment if findings.measure == "evaluation" else None
    return where if common is None else f"{where} in {common}"


def _with_budgets(findings: Findings, contrast: Contrast) -> list[str]:
    """Variant and baseline, with their training steps if these differ: then they are what is compared."""
    arms = {arm.name: arm for arm in findings.arms}
    both = [arms[contrast.variant], arms[contrast.baseline]]
    if both[0].training_steps == both[1].training_steps or both[0].obstacle is not None:
        return [arm.name for arm in both]
    return [f"{arm.name} (trained for {arm.training_steps:,} steps)" for arm in both]


def _evidence(contrast: Contrast) -> str:
    """The test, its sample and its p-value, corrected too if that differs."""
    if contrast.p_value is None:
        return tested(contrast)
    statement = f"{tested(contrast)}, {_p(contrast.p_value)}"
    if contrast.p_adjusted is None or contrast.p_adjusted == contrast.p_value:
        return statement
    return f"{statement}, and {_p(contrast.p_adjusted)} corrected for the number of tests"


def tested(contrast: Contrast) -> str:
    """The test and its sample."""
    count = contrast.compared
    sample = f"{count} seed{'s' if count > 1 else ''}" if contrast.paired else f"{count} runs of each"
    return f"{sample}, too few for a test" if contrast.p_value is None else f"{contrast.test} over {sample}"


def _p(value: float) -> str:
    shown = numbers.p_value(value)
    return f"p {shown}" if shown.startswith("<") else f"p = {shown}"


def _remedy(findings: Findings, contrast: Contrast | None, compared: Sequence[ArmFinding]) -> Iterator[str]:
    """What the user can do about an undecided question on these arms."""
    if contrast is not None and contrast.decision != "undecided":
        return
    if findings.state in UNDER_WAY:
        yield "Not all runs of the experiment have ended."
    elif findings.unfinished:
        yield "There is no verdict before every run is over, or stopping at the right moment would make one:"
        yield f"{resumption(findings)}."
    elif any(arm.lost for arm in compared):
        if contrast is not None and contrast.withheld == "failures":
            yield "It would be decided by those that completed, but not if the others had returned the least of all."
        yield f"Once their cause is mended, {another_try(findings, compared)}."
    elif contrast is not None:
        yield from _more(findings, contrast)


def resumption(findings: Findings) -> str:
    """The command that goes on with what was stopped, and that a limit is to be raised first where one was exceeded."""
    command = f"lander-ctl resume {findings.experiment} goes on"
    if any(run.cause == "limit_exceeded" for arm in findings.arms for run in arm.runs):
        return f"{command}, once the limit is raised that lander-ctl status {findings.experiment} names"
    return command


def another_try(findings: Findings, arms: Sequence[ArmFinding]) -> str:
    """How the lost runs of these arms are tried again, and what new code means for a verdict on arms of which others remain."""
    causes = {run.cause for arm in arms for run in arm.lost_runs}
    captured = not findings.code or any(version.archive for version in findings.code)
    command = how_to_retry(findings.experiment, causes, captured=captured)
    same_seeds = len({frozenset(run.seed for run in arm.lost_runs) for arm in arms}) == 1
    if same_seeds or not (captured and needs_new_code(causes)):
        return command
    other_code = "if that changes the code of the environment, a verdict may need a new experiment, which trains all arms on it"
    return f"{command}; {other_code}"


def _more(findings: Findings, contrast: Contrast) -> Iterator[str]:
    """Whether more seeds would help."""
    if contrast.p_value is None:
        yield f"One seed shows nothing of what is chance: {addition(findings, FEW_SEEDS - contrast.compared)}."
    elif contrast.more_seeds is not None:
        more = f"{contrast.more_seeds} more seed{'s' if contrast.more_seeds > 1 else ''}"
        yield f"If difference and spread are what they seem, about {more} would decide"
        yield f"with {numbers.percent(POWER)} probability ({addition(findings, contrast.more_seeds)})."
    elif contrast.difference.value == 0 and contrast.difference.low is None:
        yield "They returned the same to the last digit: only another task, or another number of steps, could tell them apart."
    else:
        yield f"Even {MOST_MORE} more seeds would probably not decide: beside the spread between seeds the difference is small."


def addition(findings: Findings, more: int) -> str:
    """How to add so many seeds; a fork can only use seeds of the arm that it was forked from."""
    if findings.origin is not None:
        return f"fork {findings.origin} anew with {more} more of its seeds, trained there first if need be"
    return f"lander-ctl run {findings.experiment} --seeds +{more} adds {more}"


# --- how --------------------------------------------------------------------------------------------------------------


def method(findings: Findings) -> list[str]:
    """The methods behind the numbers of a report, one paragraph each."""
    return list(_method(findings))


def _method(findings: Findings) -> Iterator[str]:
    if findings.measure == "evaluation":
        where = "" if findings.evaluation_environment is None else f", all in {findings.evaluation_environment}"
        yield (
            "A run's final return is its mean in the evaluation after its last training step: the same episodes for all runs"
            f"{where}."
        )
    else:
        yield f"A run's final return is the mean return of its last {RETURN_WINDOW} training episodes, exploration included."
    yield (
        f"Where {FEWEST_SEEDS} seeds or more completed in both arms, differences are taken seed by seed and tested by the"
        " paired t-test; else as many runs of each by Welch's; where there is no spread at all, by rearranging the runs."
        " Beside it stands a test that looks at ranks only."
    )
    yield (
        "There is no decision on a variant that is configured as the baseline is, plays another environment without a common"
        " one for evaluations, or has another number of training steps, unless the experiment compares budgets. For the"
        " others, it follows from the first test alone, corrected for the number of variants (Holm) and for every time that"
        " arms, seeds, steps or evaluations were added. There is none before every run is over, nor from fewer than"
        f" {FEWEST_SEEDS} seeds; and where runs came to nothing, only one that would stand had they returned the least of all."
    )
    yield (
        "Intervals of means and of their differences are Student's; those of medians, interquartile means, probabilities of"
        " improvement and of curves are percentiles of bootstrap samples, too narrow for fewer than about ten seeds, and not"
        f" given for fewer than {FEWEST}. Each is for itself, not corrected for how many there are."
    )
    yield "A best return is the highest of several that are measured with some error: too high, and more so the more there are."
    yield (
        "The probability of improvement is that of any run of the variant against any of the baseline, ties counted half; the"
        " effect size is Hedges' g, in standard deviations between the seeds of an arm."
    )
    if findings.threshold is not None:
        (shown,) = numbers.same_decimals(findings.threshold)
        yield (
            f"The threshold is a mean return of {shown} over the last {RETURN_WINDOW} training episodes, {FEWEST_EPISODES} at"
            " least; in the mean of the steps to it, runs that never came to it count with all their training steps."
        )
