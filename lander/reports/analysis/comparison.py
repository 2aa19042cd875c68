"""An experiment's findings from the log: every arm by itself, and every variant compared with the baseline."""

from collections.abc import Iterable, Sequence
from math import fsum

from lander.protocol.ending_rules import BY_THE_CLOCK
from lander.protocol.experiment import Arm
from lander.protocol.states import SETTLED
from lander.reports.analysis import statistics
from lander.reports.analysis.additions import additions
from lander.reports.analysis.captured_code import code_versions, package_versions
from lander.reports.analysis.caveats import CaveatInputs, caveat_of_amendments, caveats
from lander.reports.analysis.comparability import environment_in_words, obstacle
from lander.reports.analysis.findings import (
    LEVEL,
    ArmFinding,
    Contrast,
    Estimate,
    Findings,
    Obstacle,
    RunFinding,
    Withheld,
)
from lander.reports.analysis.judgement import FEWEST_SEEDS, Judgement, Sample, judge, unjudged
from lander.reports.analysis.power import more_seeds
from lander.reports.analysis.run_histories import RunHistory, measure_of, run_finding, run_histories, usable_return
from lander.store.log.reader import Reader
from lander.store.projections.remarks import remarks
from lander.store.projections.status import status
from lander.store.records.run_code import code_by_run
from lander.store.records.run_places import seeds_apart
from lander.store.records.tries import recorded_other_tries


def findings(reader: Reader, experiment: str, *, threshold: float | None = None) -> Findings:
    """The current findings of an experiment.

    `threshold` is a mean return of the last 100 episodes; the steps until each run reaches it are reported. Its default is the
    mean that the baseline's runs had at their end. Raises `NotFoundError` naming the nearest ids.
    """
    with reader.snapshot():
        return _findings(reader, experiment, threshold)


def _findings(reader: Reader, experiment: str, threshold: float | None) -> Findings:
    submitted, wanted = reader.submission(experiment).experiment, reader.experiment(experiment)
    standing = status(reader, experiment)
    (found,) = standing["experiments"]
    runs = run_histories(reader, experiment, found["runs"])
    measure = measure_of(runs)
    used_threshold = _default_threshold(runs, wanted.baseline.name) if threshold is None else threshold
    each = [run_finding(run, measure, used_threshold) for run in runs]
    code = code_by_run(reader, experiment)
    with_returns = {run.run["id"]: code[run.run["id"]] for run in runs if run.completed}
    by_the_clock = {run.run["arm"] for run in runs if run.end_decided is not None and run.end_decided.rule == BY_THE_CLOCK}
    obstacles = {arm.name: obstacle(wanted, arm, measure, with_returns, by_the_clock) for arm in wanted.arms}
    arms = [_arm(arm, [run for run in each if run.arm == arm.name], obstacles[arm.name]) for arm in wanted.arms]
    common, versions = wanted.evaluation_environment, code_versions(code)
    said, tries = remarks(reader, experiment), recorded_other_tries(reader, wanted)
    added = additions(reader, experiment)
    contrasts = _contrasts(arms, added.looks)
    facts = (versions, package_versions(code), tries, seeds_apart(reader, experiment))
    inputs = CaveatInputs(submitted, wanted, runs, measure, arms, contrasts, added, *facts)
    return Findings(
        experiment=experiment,
        hypothesis=submitted.hypothesis,
        state=found["state"],
        position=standing["position"],
        measure=measure,
        threshold=used_threshold,
        arms=tuple(arms),
        contrasts=tuple(contrasts),
        caveats=(*caveat_of_amendments(said.amendments), *caveats(inputs)),
        evaluation_environment=None if common is None else environment_in_words(common),
        origin=None if submitted.origin is None else f"{submitted.origin.experiment}/{submitted.origin.arm}",
        code=versions,
        amendments=said.amendments,
        notes=said.notes,
        tags=said.tags,
        other_tries=tries,
    )


def _default_threshold(runs: Sequence[RunHistory], baseline: str) -> float | None:
    """Where the curves of the baseline end: on those curves it is looked when a run reaches it."""
    ends = [usable_return(run.progress.last) for run in runs if run.completed and run.run["arm"] == baseline]
    numbers = [end for end in ends if end is not None]
    return usable_return(fsum(numbers) / len(numbers)) if numbers else None


def _arm(arm: Arm, runs: Sequence[RunFinding], obstacle: Obstacle | None) -> ArmFinding:
    returns = {run.seed: run.final for run in runs if run.final is not None}
    finals = list(returns.values())
    completed = [run for run in runs if run.state == "completed"]
    reached = [run for run in completed if run.steps_to_threshold is not None]
    times = [run.total_steps if run.steps_to_threshold is None else run.steps_to_threshold for run in completed]
    return ArmFinding(
        name=arm.name,
        role=arm.role,
        environment=environment_in_words(arm),
        training_steps=arm.training_steps,
        obstacle=obstacle,
        seeds=tuple(run.seed for run in runs),
        runs=tuple(runs),
        returns=returns,
        mean=statistics.mean(finals),
        median=statistics.median(finals),
        iqm=statistics.interquartile_mean(finals),
        spread=statistics.spread(finals),
        best=statistics.mean([best for run in completed if (best := usable_return(run.best)) is not None]),
        area=statistics.mean([area for run in completed if (area := usable_return(run.area)) is not None]),
        reached=len(reached),
        steps_to_threshold=_within(statistics.mean(times), 0, max(arm.training_steps, *times)) if reached else None,
        wall_seconds=_mean(run.wall_seconds for run in completed),
        cpu_seconds=_mean(run.cpu_seconds for run in completed),
        steps_per_second=_mean(run.steps_per_second for run in completed),
    )


def _within(found: Estimate | None, least: float, most: float) -> Estimate | None:
    """The estimate with its interval cut to the possible values; its coverage of the true value stays the same."""
    if found is None or found.low is None or found.high is None:
        return found
    return Estimate(value=found.value, low=max(least, found.low), high=min(most, found.high))


def _mean(values: Iterable[float | None]) -> float | None:
    given = [value for value in values if value is not None]
    return fsum(given) / len(given) if given else None


# --- variant against baseline -----------------------------------------------------------------------------------------


def _contrasts(arms: Sequence[ArmFinding], looks: int) -> list[Contrast]:
    """Every variant that has returns. One that cannot be compared is described, and no test of it counts for the others."""
    baseline, *variants = arms
    described = [variant for variant in variants if variant.returns and baseline.returns]
    compared = [variant for variant in described if variant.obstacle is None]
    samples = {variant.name: Sample.of(variant.returns, baseline.returns) for variant in described}
    judgements = judge([samples[variant.name] for variant in compared], looks)
    worst_case = judge([_worst_case_sample(variant, baseline) for variant in compared], looks)
    ended = all(run.state in SETTLED for arm in arms for run in arm.runs)
    judged = {
        variant.name: (judgement, _withheld(judgement, worst, ended))
        for variant, judgement, worst in zip(compared, judgements, worst_case, strict=True)
    }
    level = LEVEL / (max(1, len(compared)) * 2 ** (looks + 1))
    return [
        _contrast(variant, baseline, sample, *(judged.get(variant.name) or (unjudged(sample), variant.obstacle)), level)
        for variant in described
        for sample in [samples[variant.name]]
    ]


def _worst_case_sample(variant: ArmFinding, baseline: ArmFinding) -> Sample:
    """The sample in the worst case: every lost run gets the lowest return of all."""
    least = min(*variant.returns.values(), *baseline.returns.values())
    ours, theirs = ({run.seed: least if run.final is None else run.final for run in arm.runs} for arm in (variant, baseline))
    return Sample.of(ours, theirs)


def _withheld(judgement: Judgement, worst_case: Judgement, ended: bool) -> Withheld | None:
    if judgement.decision == "undecided":
        return None
    if not ended:
        return "unfinished"
    return None if judgement.decision == worst_case.decision else "failures"


def _contrast(
    variant: ArmFinding,
    baseline: ArmFinding,
    sample: Sample,
    judgement: Judgement,
    withheld: Withheld | None,
    level: float,
) -> Contrast:
    """`level` is the level for the p-value after the next addition of seeds, corrected for it."""
    ours, theirs, paired = sample
    rank_test, rank_p_value = statistics.rank_test(ours, theirs, paired)
    undecided = judgement.decision == "undecided"
    return Contrast(
        variant=variant.name,
        baseline=baseline.name,
        paired=paired,
        compared=len(ours),
        difference=judgement.test.difference,
        area=_area(variant, baseline),
        better=sum(a > b for a, b in zip(ours, theirs, strict=True)) if paired else None,
        probability_of_improvement=statistics.probability_of_improvement(ours, theirs),
        effect_size=statistics.effect_size(ours, theirs),
        test=judgement.test.test,
        p_value=judgement.test.p_value,
        p_adjusted=judgement.p_adjusted,
        rank_test=rank_test,
        rank_p_value=rank_p_value,
        decision="undecided" if withheld else judgement.decision,
        withheld=withheld,
        more_seeds=more_seeds(ours, theirs, paired, level, FEWEST_SEEDS) if undecided and not variant.obstacle else None,
    )


def _area(variant: ArmFinding, baseline: ArmFinding) -> Estimate | None:
    """The difference of the areas under the learning curves, over the compared runs that have an area."""
    ours, theirs = map(_areas, (variant, baseline))
    return statistics.compare(*Sample.of(ours, theirs)).difference if ours and theirs else None


def _areas(arm: ArmFinding) -> dict[int, float]:
    return {run.seed: area for run in arm.runs if (area := usable_return(run.area)) is not None}
