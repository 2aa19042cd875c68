"""An experiment's findings: every arm by itself, and every variant against the baseline, from the log alone.

A variant is *supported* if it returned more than the baseline and *refuted* if it returned less, where that would be chance
in fewer than 5 % of experiments; else the question is *undecided*, as it always is with fewer than three seeds. Seeds pair up
where exactly the same ones completed in both arms: such runs began alike, and evaluation plays the same episodes with all.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import fsum
from typing import Final, NamedTuple

from lander.protocol.events import ExperimentExtended, ExperimentSubmitted
from lander.protocol.experiment import Arm, Experiment
from lander.reports import statistics
from lander.reports.caveats import Told, caveats
from lander.reports.findings import ArmFinding, Contrast, Decision, Estimate, Findings, RunFinding
from lander.reports.power import more_seeds
from lander.reports.runs import Past, known, measure_of, pasts, run_finding
from lander.store.reader import Reader
from lander.store.status import status

FEWEST_SEEDS: Final = 3
"""In each arm for a decision: where runs either succeed or fail, two pairs agree by chance too often for any test."""


def findings(reader: Reader, experiment: str, *, threshold: float | None = None) -> Findings:
    """What the experiment found, as it stands.

    `threshold` is the mean return of the last 100 episodes that runs are timed to; by default what the baseline's runs had at
    their end, on average. Raises `NotFoundError` naming the nearest ids.
    """
    with reader.snapshot():
        return _findings(reader, experiment, threshold)


def _findings(reader: Reader, experiment: str, threshold: float | None) -> Findings:
    submitted, wanted = reader.submission(experiment).experiment, reader.experiment(experiment)
    standing = status(reader, experiment)
    (found,) = standing["experiments"]
    runs = pasts(reader, experiment, found["runs"])
    measure = measure_of(runs)
    aim = _default_threshold(runs, wanted.baseline.name) if threshold is None else threshold
    each = [run_finding(run, measure, aim) for run in runs]
    arms = [_arm(arm, [run for run in each if run.arm == arm.name]) for arm in wanted.arms]
    added = 0 if _seeds(submitted) == _seeds(wanted) else _times_seeds_were_added(reader, experiment)
    contrasts = _contrasts(arms, added)
    told = Told(submitted, wanted, runs, measure, arms, contrasts, added)
    return Findings(
        experiment=experiment,
        hypothesis=found["hypothesis"],
        state=found["state"],
        position=standing["position"],
        measure=measure,
        threshold=aim,
        arms=tuple(arms),
        contrasts=tuple(contrasts),
        caveats=tuple(caveats(told)),
        origin=None if submitted.origin is None else f"{submitted.origin.experiment}/{submitted.origin.arm}",
    )


def _default_threshold(runs: Sequence[Past], baseline: str) -> float | None:
    finals = [run.final("training") for run in runs if run.completed and run.run["arm"] == baseline]
    numbers = [final for final in finals if final is not None]
    return known(fsum(numbers) / len(numbers)) if numbers else None


def _seeds(experiment: Experiment) -> list[tuple[int, ...]]:
    return [arm.seeds for arm in experiment.arms]


def _times_seeds_were_added(reader: Reader, experiment: str) -> int:
    told = [stored.decode() for stored in reader.events(experiment, [ExperimentSubmitted.kind, ExperimentExtended.kind])]
    seeds = [_seeds(event.experiment) for event in told if isinstance(event, ExperimentSubmitted | ExperimentExtended)]
    return sum(before != after for before, after in pairwise(seeds))


def _arm(arm: Arm, runs: Sequence[RunFinding]) -> ArmFinding:
    returns = {run.seed: run.final for run in runs if run.final is not None}
    finals = list(returns.values())
    completed = [run for run in runs if run.state == "completed"]
    times = [run.steps_to_threshold for run in completed if run.steps_to_threshold is not None]
    return ArmFinding(
        name=arm.name,
        role=arm.role,
        seeds=tuple(run.seed for run in runs),
        runs=tuple(runs),
        returns=returns,
        mean=statistics.mean(finals),
        median=statistics.median(finals),
        iqm=statistics.interquartile_mean(finals),
        spread=statistics.spread(finals),
        area=statistics.mean([area for run in completed if (area := known(run.area)) is not None]),
        reached=len(times),
        steps_to_threshold=_within(statistics.mean(times), 0, max(arm.training_steps, *times)) if times else None,
        wall_seconds=_mean(run.wall_seconds for run in completed),
        cpu_seconds=_mean(run.cpu_seconds for run in completed),
        steps_per_second=_mean(run.steps_per_second for run in completed),
    )


def _within(found: Estimate | None, least: float, most: float) -> Estimate | None:
    """The estimate, its interval without what cannot be: that holds the true value as often as before."""
    if found is None or found.low is None or found.high is None:
        return found
    return Estimate(value=found.value, low=max(least, found.low), high=min(most, found.high))


def _mean(values: Iterable[float | None]) -> float | None:
    given = [value for value in values if value is not None]
    return fsum(given) / len(given) if given else None


# --- variant against baseline -----------------------------------------------------------------------------------------


class Sample(NamedTuple):
    """The final returns of a variant and of the baseline, in the same order of seeds where these pair up."""

    ours: Sequence[float]
    theirs: Sequence[float]
    paired: bool


class Judgement(NamedTuple):
    """What the test says of a sample, and what follows once that is corrected for all that was tested."""

    test: statistics.Compared
    p_adjusted: float | None
    decision: Decision


def judge(samples: Sequence[Sample], added: int = 0) -> list[Judgement]:
    """A judgement on each variant's sample; pure.

    p-values are corrected for the number of variants (Holm), and doubled for each time that seeds were `added`: so equal arms
    are supported in at most 5 % of experiments, however often somebody looks, adds some and looks again (2.5 % and half of it,
    and half of that …).
    """
    tests = [statistics.compare(*sample) for sample in samples]
    adjusted = iter(statistics.holm([test.p_value for test in tests if test.p_value is not None]))
    p_values = [None if test.p_value is None else min(1.0, 2**added * next(adjusted)) for test in tests]
    return [
        Judgement(test, p_value, _decide(test.difference.value, p_value, min(len(sample.ours), len(sample.theirs))))
        for sample, test, p_value in zip(samples, tests, p_values, strict=True)
    ]


def _decide(difference: float, p_value: float | None, seeds: int) -> Decision:
    if p_value is None or p_value >= statistics.LEVEL or seeds < FEWEST_SEEDS or not difference:
        return "undecided"
    return "supported" if difference > 0 else "refuted"


def _contrasts(arms: Sequence[ArmFinding], added: int) -> list[Contrast]:
    """Every variant that can be compared."""
    baseline, *variants = arms
    compared = [variant for variant in variants if variant.returns and baseline.returns]
    samples = [_sample(variant, baseline) for variant in compared]
    level = statistics.LEVEL / (max(1, len(compared)) * 2 ** (added + 1))
    return [
        _contrast(variant, baseline, sample, judgement, level)
        for variant, sample, judgement in zip(compared, samples, judge(samples, added), strict=True)
    ]


def _sample(variant: ArmFinding, baseline: ArmFinding) -> Sample:
    paired = variant.returns.keys() == baseline.returns.keys()
    ours = [variant.returns[seed] for seed in baseline.returns] if paired else list(variant.returns.values())
    return Sample(ours, list(baseline.returns.values()), paired)


def _contrast(variant: ArmFinding, baseline: ArmFinding, sample: Sample, judgement: Judgement, level: float) -> Contrast:
    """`level` is what a p-value will have to be below once seeds were added."""
    ours, theirs, paired = sample
    seeds = tuple(seed for seed in baseline.returns if seed in variant.returns)
    rank_test, rank_p_value = statistics.rank_test(ours, theirs, paired)
    undecided = judgement.decision == "undecided"
    return Contrast(
        variant=variant.name,
        baseline=baseline.name,
        paired=paired,
        seeds=seeds,
        difference=judgement.test.difference,
        better=sum(variant.returns[seed] > baseline.returns[seed] for seed in seeds) if seeds else None,
        probability_of_improvement=statistics.probability_of_improvement(ours, theirs),
        effect_size=statistics.effect_size(ours, theirs),
        test=judgement.test.test,
        p_value=judgement.test.p_value,
        p_adjusted=judgement.p_adjusted,
        rank_test=rank_test,
        rank_p_value=rank_p_value,
        decision=judgement.decision,
        more_seeds=more_seeds(ours, theirs, paired, level, FEWEST_SEEDS) if undecided else None,
    )
