"""The caveats of an experiment's findings: one sentence for each fact that limits their meaning."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from lander.protocol.ending_rules import RETURN_METRIC, EndingRules, Rule
from lander.protocol.experiment import Arm, Experiment
from lander.protocol.returns import RETURN_WINDOW
from lander.protocol.states import in_words
from lander.reports.analysis.additions import Additions
from lander.reports.analysis.captured_code import CodeVersion
from lander.reports.analysis.comparability import environment_in_words, environment_of
from lander.reports.analysis.findings import ArmFinding, Contrast, Measure
from lander.reports.analysis.judgement import FEWEST_SEEDS
from lander.reports.analysis.run_histories import RunHistory
from lander.store.projections.remarks import Remark
from lander.store.records.tries import NO_OTHER_TRIES, OtherTries

FEW_SEEDS: Final = 5
MOST_MEAN_OF_ALL: Final = 3
"""For at most this many seeds, the interquartile mean is the mean of all."""
_MOST_NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class CaveatInputs:
    """The inputs of the caveats: the experiment as submitted and as it is now, the additions, its runs, and the findings."""

    submitted: Experiment
    wanted: Experiment
    runs: Sequence[RunHistory]
    measure: Measure
    arms: Sequence[ArmFinding]
    contrasts: Sequence[Contrast]
    additions: Additions
    code: Sequence[CodeVersion] = ()
    packages: Sequence[str] = ()
    tries: OtherTries = NO_OTHER_TRIES
    other_bits: Sequence[int] = ()
    """The seeds of which runs trained with different bits."""

    @property
    def completed(self) -> list[RunHistory]:
        """The runs that trained all their steps."""
        return [run for run in self.runs if run.completed]


def caveats(inputs: CaveatInputs) -> Iterator[str]:
    """All caveats, the most important first."""
    yield from _of_missing_runs(inputs)
    yield from _of_comparability(inputs)
    yield from _of_code(inputs.code)
    yield from (f"its runs trained with different versions of {versions}" for versions in inputs.packages)
    if inputs.other_bits:
        seeds = f"seed{'s' if len(inputs.other_bits) > 1 else ''} {_shortened(list(map(str, inputs.other_bits)))}"
        yield f"the runs of {seeds} trained on machines that compute different bits: they differ in more than their arms"
    yield from _of_seeds(inputs)
    yield from _of_additions(inputs.additions)
    yield from _of_tries(inputs.tries)
    yield from _of_episodes(inputs)
    yield from _of_extension(inputs.additions.first, inputs.wanted)
    yield from _of_fork(inputs.submitted)
    yield from _of_arms(inputs.wanted)


def caveat_of_amendments(amendments: Sequence[Remark]) -> Iterator[str]:
    """A caveat if the hypothesis was amended late: one that was fitted to results is not tested by them."""
    if any(each.after_results for each in amendments):
        yield "the hypothesis was amended after results could be seen: these results test the original, not the later wording"


def _of_missing_runs(inputs: CaveatInputs) -> Iterator[str]:
    missing = [run for run in inputs.runs if not run.completed]
    if missing:
        are = "is" if len(missing) == 1 else "are"
        yield f"{len(missing)} of {len(inputs.runs)} runs did not complete and {are} left out: {_named(missing)}"
    yield from _of_rules(inputs)
    early = [run for run in inputs.completed if _ended_by_a_callback(inputs, run)]
    if early:
        yield f"a callback ended the training of these before their last step: {_named(early)}"
    silent = [run for run in inputs.completed if run.final(inputs.measure) is None]
    if silent:
        yield f"no return is known of {_named(silent)}: it finished no episode, or its returns are not numbers"
    inexact = [run for run in inputs.completed if run.run["resume"] == "inexact"]
    moved = [run for run in inputs.completed if run.run["resume"] == "other_bits"]
    if moved:
        yield f"these went on on a machine that computes other bits, and are not what an undisturbed run is: {_named(moved)}"
    if inexact:
        yield f"after an interruption, these could not go on bit by bit, and began a new episode instead: {_named(inexact)}"


def _of_rules(inputs: CaveatInputs) -> Iterator[str]:
    """Which rules have ended the training of which runs, and when."""
    ended: dict[Rule, list[RunHistory]] = {}
    for run in inputs.completed:
        if run.end_decided is not None:
            ended.setdefault(run.end_decided.rule, []).append(run)
    for rule, runs in ended.items():
        first, last = (bound(run.run["step"] for run in runs) for bound in (min, max))
        names = [f"{run.run['arm']}/{run.run['seed']}" for run in runs]
        when = f"at step {first:,}" if first == last else f"at steps {first:,} to {last:,}"
        judged = "eval/mean_reward" if inputs.measure == "evaluation" else RETURN_METRIC
        if any(EndingRules.of(inputs.wanted.arm(run.run["arm"]).hyperparameters).metrics.get(rule) == judged for run in runs):
            yield f"{rule} follows what is judged: an arm whose returns vary more may seem better or worse by it"
        yield f"{rule} ended the training of {len(runs)} of {len(inputs.runs)} runs {when}: {_shortened(names)}"


def _ended_by_a_callback(inputs: CaveatInputs, run: RunHistory) -> bool:
    """Whether the training ended early, and the run's arm has callbacks, which may end it."""
    early = run.run["step"] < run.run["total_steps"] and run.end_decided is None
    return early and bool(inputs.wanted.arm(run.run["arm"]).hyperparameters.get("callbacks"))


def _of_comparability(inputs: CaveatInputs) -> Iterator[str]:
    baseline, *variants = inputs.arms
    compared = {contrast.variant: contrast for contrast in inputs.contrasts}
    for variant in variants:
        if variant.name not in compared:
            without = " and ".join(arm.name for arm in (baseline, variant) if not arm.returns)
            yield f"{variant.name} cannot be compared with {baseline.name}: there is no final return of {without}"
        elif baseline.returns.keys() != variant.returns.keys():
            lacking = filter(None, (_lacking(baseline, variant), _lacking(variant, baseline)))
            yield f"seeds are missing ({'; '.join(lacking)}), so {_what_is_compared(compared[variant.name])}"
    for variant in (each for each in variants if each.obstacle not in ("environments", "code")):
        if inputs.measure == "evaluation" and (trained := _contrary_in_training(inputs, baseline.name, variant.name)):
            yield trained


def _what_is_compared(contrast: Contrast) -> str:
    if contrast.paired:
        return f"only the {contrast.compared} that both have are compared"
    return f"runs are compared as two groups and not seed by seed, the first {contrast.compared} of each"


def _lacking(arm: ArmFinding, other: ArmFinding) -> str:
    seeds = [str(seed) for seed in other.returns if seed not in arm.returns]
    return f"{arm.name} lacks {_shortened(seeds)}" if seeds else ""


def _contrary_in_training(inputs: CaveatInputs, baseline: str, variant: str) -> str | None:
    """A caveat if the variant is ahead in evaluation and behind in training, or the other way round."""
    ahead = []
    for measure in ("evaluation", "training"):
        finals = {
            name: [final for run in inputs.completed if run.run["arm"] == name and (final := run.final(measure)) is not None]
            for name in (variant, baseline)
        }
        if not all(finals.values()):
            return None
        ours, theirs = (sum(values) / len(values) for values in finals.values())
        ahead.append(ours - theirs)
    if ahead[0] * ahead[1] >= 0:
        return None
    words = ["ahead of" if each > 0 else "behind" for each in ahead]
    return f"{variant} is {words[0]} {baseline} in evaluation and {words[1]} it in its last {RETURN_WINDOW} training episodes"


def _of_code(versions: Sequence[CodeVersion]) -> Iterator[str]:
    if len(versions) > 1:
        named = _shortened([f"{version.name} ({version.runs_in_words})" for version in versions])
        yield f"its runs trained on {len(versions)} versions of the code of the environment: {named}"
    for version in versions:
        if version.name == "uncaptured":
            names = " and ".join(version.modules)
            runs = version.runs_in_words
            yield f"the code of {names} is in no file and was not captured: nobody can train {runs} again as it was"


def _of_seeds(inputs: CaveatInputs) -> Iterator[str]:
    counts = {arm.name: len(arm.returns) for arm in inputs.arms if arm.returns}
    if not counts:
        return
    fewest = min(counts.values())
    if len(inputs.arms) == 1:
        if fewest < FEW_SEEDS:
            yield f"{fewest} seed{'s are' if fewest > 1 else ' is'} few: the next ones may return much more or less"
    elif fewest == 1:
        yield "one seed says nothing about spread: a difference may well be chance"
    elif fewest < FEW_SEEDS:
        never = f"there is no verdict from fewer than {FEWEST_SEEDS}, and " if fewest < FEWEST_SEEDS else ""
        yield f"{fewest} seeds are few: {never}with fewer than {FEW_SEEDS}, chance is rarely told from an effect"
    if any(1 < count <= MOST_MEAN_OF_ALL for count in counts.values()):
        yield f"of {MOST_MEAN_OF_ALL} seeds or fewer, the interquartile mean is the mean"


def _of_additions(additions: Additions) -> Iterator[str]:
    if additions.looks:
        times = "once" if additions.looks == 1 else f"{additions.looks} times"
        yield (
            f"arms, seeds, steps or evaluations were added {times} after results could be seen; who goes on until there is a"
            " result will get one, so p-values are doubled each time"
        )
    together: dict[tuple[int, bool], list[str]] = {}
    for arm in additions.arms:
        together.setdefault((arm.at, arm.seen), []).append(arm.name)
    for (at, seen), names in together.items():
        when = datetime.fromtimestamp(at / 1e6, UTC).strftime("%Y-%m-%d %H:%M UTC")
        known = "after results could be seen" if seen else "before any result could be seen"
        yield f"{_shortened(names)} {'were' if len(names) > 1 else 'was'} added on {when}, {known}"


def _of_tries(tries: OtherTries) -> Iterator[str]:
    if tries.experiments:
        experiments = f"{tries.experiments} other experiment{'s' if tries.experiments > 1 else ''} of this home"
        variants = f"{tries.variants} variant{'s' if tries.variants > 1 else ''}"
        yield (
            f"{experiments} compared {variants} with the same baseline; who tries often enough finds a variant that seems"
            " better, and p-values are not corrected for those tries"
        )
    if tries.unknown:
        experiments = "1 experiment" if tries.unknown == 1 else f"{tries.unknown} experiments"
        yield f"this version cannot read what {experiments} of this home compared, so the tries there are not counted"


def _of_episodes(inputs: CaveatInputs) -> Iterator[str]:
    evaluated = [run.final_evaluation for run in inputs.completed]
    if inputs.measure == "training":
        if any(evaluated):
            yield "not every completed run was evaluated at its end, so what they returned in training is compared"
        short = [run for run in inputs.completed if 0 < run.episodes < RETURN_WINDOW]
        if short:
            runs = f"{len(short)} completed run{'s' if len(short) > 1 else ''}"
            since = " since the fork" if inputs.submitted.origin else ""
            yield f"fewer than {RETURN_WINDOW} episodes were finished by {runs}{since}: the mean is over fewer"
    elif len({(each.first_seed, len(each.returns)) for each in evaluated if each}) > 1:
        yield "the runs were not all evaluated on the same episodes"


def _of_extension(first: Sequence[Arm], wanted: Experiment) -> Iterator[str]:
    for old in first:
        new = wanted.arm(old.name)
        if new.training_steps != old.training_steps and new.scheduled:
            yield (
                f"{new.name} was extended from {old.training_steps:,} to {new.training_steps:,} training steps, and its"
                f" {' and '.join(new.scheduled)} took another course than with all the steps from the start"
            )


def _of_fork(submitted: Experiment) -> Iterator[str]:
    if (origin := submitted.origin) is not None:
        of = f"{origin.experiment}/{origin.arm}"
        yield f"all runs go on from checkpoints of {of}: what is found is what a change does from there on, not from the start"


def _of_arms(experiment: Experiment) -> Iterator[str]:
    arms, common = experiment.arms, experiment.evaluation_environment
    if len({arm.training_steps for arm in arms}) > 1:
        named = [f"{arm.name} for {arm.training_steps:,} steps" for arm in arms]
        yield f"the arms are not trained equally long: {_shortened(named)}"
    if any(environment_of(arm) != environment_of(arms[0]) for arm in arms):
        named = [f"{arm.name} in {environment_in_words(arm)}" for arm in arms]
        nor = ", nor are they evaluated in the same" if common is None else ""
        yield f"the arms do not play the same environment{nor}: {_shortened(named)}"
    if common is not None:
        yield f"every arm is evaluated in {environment_in_words(common)}, whatever it is trained in"


def _named(runs: Sequence[RunHistory]) -> str:
    return _shortened([f"{run.run['arm']}/{run.run['seed']} ({in_words(run.run['state'], run.run['cause'])})" for run in runs])


def _shortened(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_NAMED]) + (f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else "")
