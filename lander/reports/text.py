"""The verdict in words and as JSON."""

import json
from collections.abc import Iterator
from dataclasses import asdict

from lander.reports.verdict import ArmResult, Difference, Verdict


def as_json(verdict: Verdict) -> str:
    """The verdict as one JSON object, its fields as they are named in Python."""
    return json.dumps(asdict(verdict), indent=2, ensure_ascii=False, allow_nan=False)


def as_text(verdict: Verdict) -> str:
    """The verdict as a person reads it: the arms, the differences, and what to keep in mind."""
    return "\n".join(_lines(verdict))


def _lines(verdict: Verdict) -> Iterator[str]:
    yield f"{verdict.experiment}: {verdict.state}" + (f" – {verdict.hypothesis}" if verdict.hypothesis else "")
    width = max(len(arm.name) for arm in verdict.arms)
    for arm in verdict.arms:
        yield f"  {arm.name.ljust(width)}  {_result(arm)}"
    for difference in verdict.differences:
        yield f"  {_comparison(difference)}"
    for caveat in verdict.caveats:
        yield f"  note: {caveat}"


def _result(arm: ArmResult) -> str:
    over = f"over {len(arm.returns)} of {len(arm.seeds)} seed{'s' if len(arm.seeds) != 1 else ''}"
    if arm.mean is None:
        return f"final return unknown, {over}"
    return f"final return {_with_spread(f'{arm.mean:,.2f}', arm.spread)} {over}"


def _comparison(difference: Difference) -> str:
    """One sentence, which describes and does not conclude: how much more or less, over what, how often."""
    more = "more" if difference.mean >= 0 else "less"
    gap = f"{abs(difference.mean):,.2f}"
    if len(difference.seeds) == 1:
        return (
            f"{difference.variant} returned {gap} {more} than {difference.baseline} in the one pair of runs with the same seed"
        )
    pairs = f"{len(difference.seeds)} pairs of runs with the same seed"
    spread = f" (± {difference.spread:,.2f})" if difference.spread is not None else ""
    return (
        f"on average {difference.variant} returned {gap}{spread} {more} than {difference.baseline}"
        f" over {pairs}, and did better in {difference.better} of them"
    )


def _with_spread(mean: str, spread: float | None) -> str:
    return mean if spread is None else f"{mean} ± {spread:,.2f}"
