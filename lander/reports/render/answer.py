"""The answer to an experiment's question, on all its variants together: a sentence, what to do next, and a row for each.

For one variant, the sentence is the whole verdict on it. The words and the numbers are those of `verdict.py`.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from lander.protocol.states import UNDER_WAY
from lander.reports.analysis.caveats import FEW_SEEDS
from lander.reports.analysis.findings import ArmFinding, Contrast, Decision, Findings
from lander.reports.analysis.power import MOST_MORE, POWER
from lander.reports.render import numbers
from lander.reports.render.verdict import addition, another_try, lost_runs, measured, resumption, tested, verdict

COLUMNS: Final = ("variant", "verdict", "difference", "95 % interval", "p, corrected", "better with", "p", "test", "note")
"""The headings of the rows, for a table of text; what counts most comes first."""
NEXT: Final = "What to do next"
_DECISIONS: Final[tuple[Decision, ...]] = ("supported", "refuted", "undecided")
_MOST_NAMED: Final = 5


class Row(NamedTuple):
    """What is found of one variant, as text, in the order of `COLUMNS`."""

    variant: str
    decision: Decision
    difference: str = numbers.NOTHING
    interval: str = numbers.NOTHING
    p_adjusted: str = numbers.NOTHING
    better: str = numbers.NOTHING
    p_value: str = numbers.NOTHING
    test: str = numbers.NOTHING
    note: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """The sentence in two parts, the decision and the words after it; the other parts are empty for one variant."""

    decision: str
    words: str
    next_step: str = ""
    rows: tuple[Row, ...] = ()

    @property
    def sentence(self) -> str:
        """The whole sentence."""
        return f"{self.decision}: {self.words}"


def answer(findings: Findings) -> Answer | None:
    """The answer; None without variants."""
    if len(findings.arms) == 1:
        return None
    if len(findings.arms) == 2:
        decision, _, words = verdict(findings)[0].partition(": ")
        return Answer(decision, words)
    contrasts = {contrast.variant: contrast for contrast in findings.contrasts}
    found = [_Found(arm, contrasts.get(arm.name)) for arm in findings.arms[1:]]
    rows = tuple(_row(findings, each) for each in found)
    return Answer(_decision(findings, found), _words(findings, found), next(_next_steps(findings, found), ""), rows)


class _Found(NamedTuple):
    """A variant and its contrast, None if it has none."""

    arm: ArmFinding
    contrast: Contrast | None

    @property
    def decision(self) -> Decision:
        return "undecided" if self.contrast is None else self.contrast.decision


# --- the sentence -----------------------------------------------------------------------------------------------------


def _decision(findings: Findings, found: Sequence[_Found]) -> str:
    """How many variants have which verdict."""
    counts = Counter(each.decision for each in found)
    so_far = " so far" if findings.unfinished else ""
    if len(counts) == 1:
        return f"{'Both' if len(found) == 2 else f'All {len(found)}'} variants are {found[0].decision}{so_far}"
    parts = [f"{counts[each]} {'is' if counts[each] == 1 else 'are'} {each}" for each in _DECISIONS if counts[each]]
    first, *rest = parts
    count, _, how = first.partition(" ")
    return _joined([f"{count} of {len(found)} variants {how}", *rest]) + so_far


def _words(findings: Findings, found: Sequence[_Found]) -> str:
    baseline = findings.arms[0]
    named = {each: [one.arm.name for one in found if one.decision == each] for each in _DECISIONS}
    more, less = named["supported"], named["refuted"]
    than = f"than {baseline.name} {measured(findings)}"
    if more:
        words = f"{_listed(more)} returned more {than}" + (f", and {_listed(less)} returned less" if less else "")
    elif less:
        words = f"{_listed(less)} returned less {than}"
    else:
        words = f"these runs do not show whether any returns more or less {than}"
    return f"{words}; {lost_runs(baseline)}." if baseline.lost else f"{words}."


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - _MOST_NAMED
    return _joined([*names[:_MOST_NAMED], *([f"{rest} more"] if rest > 0 else [])])


def _joined(parts: Sequence[str]) -> str:
    *some, last = parts
    return f"{', '.join(some)} and {last}" if some else last


# --- the rows ---------------------------------------------------------------------------------------------------------


def _row(findings: Findings, found: _Found) -> Row:
    arm, contrast = found
    note = "; ".join(_notes(findings, found))
    if contrast is None or contrast not in findings.comparisons:
        return Row(arm.name, found.decision, note=note)
    gap = contrast.difference
    value, *bounds = numbers.same_decimals(gap.value, *(bound for bound in (gap.low, gap.high) if bound is not None))
    return Row(
        arm.name,
        found.decision,
        value,
        " to ".join(bounds) or numbers.NOTHING,
        numbers.p_value(contrast.p_adjusted),
        _wins(contrast),
        numbers.p_value(contrast.p_value),
        tested(contrast),
        note,
    )


def _wins(contrast: Contrast) -> str:
    pairs = f"{contrast.compared} seed{'s' if contrast.compared > 1 else ''}"
    return f"{contrast.better} of {pairs}" if contrast.paired else numbers.NOTHING


def _notes(findings: Findings, found: _Found) -> Iterator[str]:
    """Why there is no decision, and what else limits the row."""
    arm, baseline = found.arm, findings.arms[0]
    match arm.obstacle:
        case "identical":
            yield f"configured exactly as {baseline.name}"
        case "environments":
            yield f"plays {arm.environment}, and {baseline.name} plays {baseline.environment}"
        case "code":
            yield f"not trained on the same code of the environment as {baseline.name}"
        case "budgets":
            yield f"{_budgets(arm, baseline)}: a difference may come from the budget alone"
        case "endings":
            yield f"other rules end its training early than that of {baseline.name}"
        case "clock":
            yield "the hours of the budget ended runs, so the speed of the machine decided how long they trained"
        case None:
            yield from _notes_of_comparable(findings, found)
    if arm.lost:
        yield lost_runs(arm).removesuffix(f" of {arm.name} came to nothing") + " came to nothing"


def _notes_of_comparable(findings: Findings, found: _Found) -> Iterator[str]:
    arm, contrast, baseline = found.arm, found.contrast, findings.arms[0]
    if arm.training_steps != baseline.training_steps:
        yield _budgets(arm, baseline)
    if contrast is None:
        yield f"no run of {' and none of '.join(each.name for each in (baseline, arm) if not each.returns)} has completed"
    elif contrast.withheld == "failures":
        yield "decided by the completed runs, but not if the others had returned the least of all"
    elif contrast.decision == "undecided" and not findings.unfinished:
        yield from _distance(contrast)


def _distance(contrast: Contrast) -> Iterator[str]:
    """How far an undecided variant is from a decision."""
    if contrast.more_seeds is not None:
        yield f"about {contrast.more_seeds} more seed{'s' if contrast.more_seeds > 1 else ''} would decide"
    elif contrast.p_value is not None and _same(contrast):
        yield "the same to the last digit"
    elif contrast.p_value is not None:
        yield f"{MOST_MORE} more seeds would probably not decide"


def _same(contrast: Contrast) -> bool:
    return contrast.difference.value == 0 and contrast.difference.low is None


def _budgets(arm: ArmFinding, baseline: ArmFinding) -> str:
    return f"trained for {arm.training_steps:,} steps, and {baseline.name} for {baseline.training_steps:,}"


# --- what to do next --------------------------------------------------------------------------------------------------


def _next_steps(findings: Findings, found: Sequence[_Found]) -> Iterator[str]:
    """What could decide the undecided variants, the step to take first at the beginning."""
    undecided = [each for each in found if each.decision == "undecided"]
    comparable = [each for each in undecided if each.arm.obstacle is None]
    compared = [findings.arms[0], *(each.arm for each in comparable)]
    if comparable and findings.state in UNDER_WAY:
        yield f"wait until every run is over, lander-ctl wait {findings.experiment} does; there is no verdict before."
    elif comparable and findings.unfinished:
        yield (
            f"{resumption(findings)}; there is no verdict before every run is over, or stopping at the"
            " right moment would make one."
        )
    elif comparable and any(arm.lost for arm in compared):
        yield f"mend the cause of the runs that came to nothing; {another_try(findings, compared)}."
    elif contrasts := [each.contrast for each in comparable if each.contrast is not None]:
        yield _more(findings, contrasts)
    for each in undecided:
        yield from _other_question(findings, each.arm)


def _more(findings: Findings, contrasts: Sequence[Contrast]) -> str:
    """The fewest seeds that would probably decide one of the variants."""
    if untested := [contrast for contrast in contrasts if contrast.p_value is None]:
        more = FEW_SEEDS - untested[0].compared
        return f"{addition(findings, more)}, since one seed shows nothing of what is chance."
    near = min((each for each in contrasts if each.more_seeds), key=lambda each: each.more_seeds or 0, default=None)
    if near is not None and near.more_seeds is not None:
        return (
            f"{addition(findings, near.more_seeds)}; about so many would decide {near.variant} with"
            f" {numbers.percent(POWER)} probability, if difference and spread are what they seem."
        )
    if all(map(_same, contrasts)):
        return "try another task, or another number of steps: they returned the same to the last digit."
    return f"nothing with seeds, even {MOST_MORE} more would probably not decide: the differences are small beside the spread."


def _other_question(findings: Findings, arm: ArmFinding) -> Iterator[str]:
    """What makes a verdict possible on a variant that cannot be compared."""
    match arm.obstacle:
        case "environments" if findings.evaluation_environment is None:
            yield "in a new experiment, evaluation_environment: NAME has the policies of all arms evaluated in one environment."
        case "environments":
            yield (
                f"lander-ctl run {findings.experiment} --eval-episodes N has every policy evaluated in"
                f" {findings.evaluation_environment}, so that they can be compared."
            )
        case "code":
            yield "a new experiment trains all arms on the same code of their environment."
        case "clock":
            yield "a budget of steps or episodes, in a new experiment, is the same on every machine."
        case "budgets" | "endings":
            yield "if the budget is the question, compare_budgets: true in the file of a new experiment says so."
        case "identical":
            yield f"change a setting of {arm.name}, or leave it out of a new experiment: it is configured as the baseline."
