"""Whether an arm can be compared with the baseline at all: by what is recorded of both, whatever their runs returned.

There is no verdict on an arm that is configured as the baseline is, on one whose returns come from another environment or from
other code of it, nor on one with another budget of training steps or other rules that end it early, unless the experiment says
that the budget is the question. Nor is there one where a training was ended by the clock: the machine's speed decided then.
"""

from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from lander.protocol.code import Code
from lander.protocol.ending_rules import EndingRules
from lander.protocol.experiment import Arm, EvaluationEnvironment, Experiment, RunKey
from lander.protocol.resolved_settings import resolved
from lander.reports.analysis.findings import Measure, Obstacle

_MOST_NAMED: Final = 5


def environment_of(arm: Arm) -> tuple[object, ...]:
    """All that is recorded of the environment that an arm plays; arms for which it is equal play the same."""
    return arm.environment, arm.environment_kwargs


def obstacle(
    experiment: Experiment,
    arm: Arm,
    measure: Measure,
    code: Mapping[str, Code | None] = MappingProxyType({}),
    by_the_clock: Collection[str] = (),
) -> Obstacle | None:
    """Why there is no verdict on a variant, if its final returns are of this measure; None if there can be one.

    `code` is what each run that has such a return trained on; `by_the_clock` are the arms with a run that a budget of hours
    ended.
    """
    baseline = experiment.baseline
    if arm.name == baseline.name:
        return None
    if _configuration(arm) == _configuration(baseline):
        return "identical"
    common = experiment.evaluation_environment is not None and measure == "evaluation"
    if not common and environment_of(arm) != environment_of(baseline):
        return "environments"
    if measure == "training" and _wrappers(arm) != _wrappers(baseline):  # the returns of training are those behind them
        return "environments"
    if not (common and _is_installed(experiment.evaluation_environment)) and _on_other_code(arm, baseline, code):
        return "code"
    if not experiment.compare_budgets:
        if arm.training_steps != baseline.training_steps:
            return "budgets"
        if EndingRules.of(arm.hyperparameters) != EndingRules.of(baseline.hyperparameters):
            return "endings"
    return "clock" if {arm.name, baseline.name} & set(by_the_clock) else None


def _wrappers(arm: Arm) -> object:
    """The wrappers in whose rewards an arm trains; those of the environment itself count in an evaluation."""
    return arm.hyperparameters.get("wrappers") or []


def _is_installed(environment: EvaluationEnvironment | None) -> bool:
    """Whether no captured code has a part in it: it is no `module:EnvId`."""
    return environment is not None and ":" not in environment.environment


def _on_other_code(arm: Arm, baseline: Arm, code: Mapping[str, Code | None]) -> bool:
    """Whether the runs of two arms trained on different code: those with the same seed, or else all of them together."""
    ours, theirs = (_source_by_seed(each, code) for each in (arm, baseline))
    if not ours or not theirs:
        return False
    return set(ours.values()) != set(theirs.values()) or any(ours[seed] != theirs[seed] for seed in ours.keys() & theirs.keys())


def _source_by_seed(arm: Arm, code: Mapping[str, Code | None]) -> dict[int, object]:
    """The captured source that each run of an arm trained on, by its seed."""
    runs = {key: found for run, found in code.items() if (key := RunKey.parse(run)).arm == arm.name}
    return {key.seed: None if found is None else (found.archive, found.uncaptured) for key, found in runs.items()}


def environment_in_words(played: Arm | EvaluationEnvironment) -> str:
    """An environment as sentences name it: `LunarLander-v3 (enable_wind=True)`."""
    settings = ", ".join(f"{key}={value}" for key, value in sorted(played.environment_kwargs.items()))
    return f"{played.environment} ({settings})" if settings else played.environment


def notices(experiment: Experiment) -> Iterator[str]:
    """What a user should know before training: each reason why there will be no verdict, and what would make one possible."""
    measure: Measure = "evaluation" if experiment.eval_episodes else "training"
    found: dict[Obstacle, list[str]] = {}
    for arm in experiment.variants:
        if why := obstacle(experiment, arm, measure):
            found.setdefault(why, []).append(arm.name)
    for why, names in found.items():
        yield f"no verdict on {_listed(names)}: {_WORDS[why].format(baseline=experiment.baseline.name)}"


_WORDS: Final[Mapping[Obstacle, str]] = {
    "identical": "configured exactly as {baseline}, so there is nothing to compare",
    "environments": "another environment than that of {baseline}, so returns cannot be compared; evaluation_environment: NAME"
    " has the policies of all arms evaluated in one (with eval_episodes above 0)",
    "code": "not trained on the same code of the environment as {baseline}",
    "budgets": "other training_steps than {baseline}; if they are the question, write compare_budgets: true",
    "endings": "other rules that end a training early than {baseline}; if they are the question, write compare_budgets: true",
    "clock": "the hours of the budget have ended runs of it or of {baseline}",
}


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_MOST_NAMED]) + (f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else "")


def _configuration(arm: Arm) -> dict[str, object]:
    """Everything but name and seeds, with the recorded defaults of what is not written: a default may be written, too."""
    return {name: found.value for name, found in resolved(arm).items()}
