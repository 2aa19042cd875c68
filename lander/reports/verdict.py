"""The verdict: what an experiment says about its question, from the store alone.

The final return of a run is the mean return of its last 100 episodes, as `status` shows it and as Stable-Baselines3's
`ep_rew_mean` has it. Only completed runs count. A variant is compared with the baseline seed by seed, because runs with the
same seed begin alike; what is left out, and what the numbers cannot show, is said in `caveats`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Final, Literal

from lander.protocol.experiment import Experiment
from lander.store.reader import RETURN_WINDOW, Reader
from lander.store.status import ExperimentStatus, RunStatus, status

_MOST_NAMED: Final = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class ArmResult:
    """One arm: the final return of each completed run by its seed, their mean, and their sample standard deviation.

    `mean` is None where no run completed, `spread` where fewer than two did.
    """

    name: str
    role: Literal["baseline", "variant"]
    seeds: tuple[int, ...]
    returns: Mapping[int, float]
    mean: float | None
    spread: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """A variant minus the baseline, over the seeds with which both completed; `better` counts those that favour the variant."""

    variant: str
    baseline: str
    seeds: tuple[int, ...]
    mean: float
    spread: float | None
    better: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What an experiment showed; arms in the order of the file, baseline first."""

    experiment: str
    hypothesis: str
    state: str
    arms: tuple[ArmResult, ...]
    differences: tuple[Difference, ...]
    caveats: tuple[str, ...]


def verdict(reader: Reader, experiment: str) -> Verdict:
    """The verdict on an experiment as it stands; raises `NotFoundError` naming the nearest ids."""
    submitted, wanted = reader.submission(experiment).experiment, reader.experiment(experiment)
    standing = status(reader, experiment)["experiments"][0]
    arms = tuple(_arm(arm.name, arm.role, standing["runs"]) for arm in wanted.arms)
    differences = tuple(found for arm in arms[1:] if (found := _difference(arms[0], arm)) is not None)
    return Verdict(
        experiment=experiment,
        hypothesis=standing["hypothesis"],
        state=standing["state"],
        arms=arms,
        differences=differences,
        caveats=(*_caveats(standing, arms, differences), *_caveats_of_steps(submitted, wanted)),
    )


def _arm(name: str, role: Literal["baseline", "variant"], runs: Sequence[RunStatus]) -> ArmResult:
    ours = [run for run in runs if run["arm"] == name]
    returns = {run["seed"]: run["mean_return"] for run in ours if run["state"] == "completed"}
    known = {seed: value for seed, value in returns.items() if value is not None}
    return ArmResult(
        name=name,
        role=role,
        seeds=tuple(run["seed"] for run in ours),
        returns=known,
        mean=fmean(known.values()) if known else None,
        spread=_spread(list(known.values())),
    )


def _difference(baseline: ArmResult, variant: ArmResult) -> Difference | None:
    """The paired difference; None where no seed completed in both arms."""
    seeds = tuple(seed for seed in baseline.returns if seed in variant.returns)
    if not seeds:
        return None
    gains = [variant.returns[seed] - baseline.returns[seed] for seed in seeds]
    return Difference(
        variant=variant.name,
        baseline=baseline.name,
        seeds=seeds,
        mean=fmean(gains),
        spread=_spread(gains),
        better=sum(gain > 0 for gain in gains),
    )


def _spread(values: Sequence[float]) -> float | None:
    return stdev(values) if len(values) > 1 else None


def _caveats(standing: ExperimentStatus, arms: Sequence[ArmResult], differences: Sequence[Difference]) -> Iterator[str]:
    runs = standing["runs"]
    missing = [run for run in runs if run["state"] != "completed"]
    if missing:
        yield f"{len(missing)} of {len(runs)} runs did not complete and are left out: {_named(missing)}"
    silent = [run for run in runs if run["state"] == "completed" and run["mean_return"] is None]
    if silent:
        yield f"no return is known of {_named(silent)}: it finished no episode, or its returns are not numbers"
    short = [run for run in runs if run["state"] == "completed" and 0 < run["episodes"] < RETURN_WINDOW]
    if short:
        yield f"fewer than {RETURN_WINDOW} episodes were finished by {len(short)} completed runs; their means are over fewer"
    inexact = [run for run in runs if run["state"] == "completed" and run["resume"] == "inexact"]
    if inexact:
        yield f"after an interruption, these could not go on bit by bit, and began a new episode instead: {_named(inexact)}"
    for variant in arms[1:]:
        if variant.name not in {found.variant for found in differences}:
            yield f"{variant.name} and {arms[0].name} have completed no seed in common: they cannot be compared"
    for found in differences:
        if len(found.seeds) == 1:
            yield f"one seed says nothing about spread: the difference of {found.variant} may well be chance"


def _caveats_of_steps(submitted: Experiment, wanted: Experiment) -> Iterator[str]:
    """What follows from how many steps the arms are trained for: since their extension, and beside each other."""
    for old, new in zip(submitted.arms, wanted.arms, strict=True):
        if new.training_steps != old.training_steps and new.scheduled:
            yield (
                f"{new.name} was extended from {old.training_steps:,} to {new.training_steps:,} training steps, and its"
                f" {' and '.join(new.scheduled)} took another course than with all the steps from the start"
            )
    if len({arm.training_steps for arm in wanted.arms}) > 1:
        named = [f"{arm.name} for {arm.training_steps:,} steps" for arm in wanted.arms[:_MOST_NAMED]]
        rest = f" and {len(wanted.arms) - _MOST_NAMED} more" if len(wanted.arms) > _MOST_NAMED else ""
        yield f"the arms are not trained equally long: {', '.join(named)}{rest}"


def _named(runs: Sequence[RunStatus]) -> str:
    names = [f"{run['arm']}/{run['seed']} ({_fate(run)})" for run in runs[:_MOST_NAMED]]
    return ", ".join(names) + (f" and {len(runs) - _MOST_NAMED} more" if len(runs) > _MOST_NAMED else "")


def _fate(run: RunStatus) -> str:
    plain = run["cause"] in (None, "completed", "stopped")
    return run["state"] if plain else f"{run['state']}: {run['cause']}"
