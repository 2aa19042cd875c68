"""Submitting an experiment: a new one, or one that goes on, perhaps differently, and perhaps with more to do."""

from collections.abc import Iterator, Set
from typing import Any, Final

from lander.protocol import commands as c
from lander.protocol import events as e
from lander.protocol.digests import content
from lander.protocol.errors import ConfigurationError, ConflictError, NotFoundError
from lander.protocol.experiment import Arm, Experiment, Settings
from lander.protocol.growth import Growth
from lander.protocol.states import RESUMABLE
from lander.supervisor.core.decision import Decision
from lander.supervisor.core.standing import ExperimentStanding

MAX_ARM_BYTES: Final = 64 << 10
"""An arm travels to its trainer in one packet."""
NAMED_DIFFERENCES: Final = 5
CHANGEABLE: Final = tuple(Settings.model_fields)
"""What trains is watched by it at once; its checkpoints and evaluations are as it was told when it was started."""


def submit(decision: Decision, message: c.SubmitExperiment) -> None:
    """Take an experiment, or go on with the one of this id; raises `ConflictError` where that is another."""
    known = decision.state.experiments.get(message.experiment.experiment_id)
    if known is None:
        _take(decision, message)
    else:
        _go_on(decision, known, message)


def _take(decision: Decision, message: c.SubmitExperiment) -> None:
    experiment = message.experiment
    name = experiment.experiment_id
    _check_size(experiment)
    if experiment.origin is not None and experiment.origin.experiment not in decision.state.experiments:
        raise NotFoundError(f"{name}: is a fork of {experiment.origin.experiment}, which is not here; is --home right?")
    decision.say(name, e.ExperimentSubmitted.of(experiment, message.execution, message.manifest))
    for notice in message.notices:
        decision.say(name, e.WarningRaised(message=notice))
    for run in experiment.runs:
        decision.say(run.id, e.RunQueued())
    decision.answer = c.Accepted(subject=name)


def _check_size(experiment: Experiment) -> None:
    for arm in experiment.arms:
        if len(arm.model_dump_json()) > MAX_ARM_BYTES:
            name = f"{experiment.experiment_id}: {arm.name}"
            raise ConfigurationError(f"{name}: more than {MAX_ARM_BYTES >> 10} KiB; keep data in files of its own")


# ---------------------------------------------------------------------------------------------------- going on


def _go_on(decision: Decision, known: ExperimentStanding, message: c.SubmitExperiment) -> None:
    """What was interrupted is continued, and from now on as it is asked for; what a person skipped stays skipped.

    Raises `ConflictError` where it is another experiment, and where an arm that is training shall have more steps: a trainer
    is told once how far to train.
    """
    name = known.experiment.experiment_id
    wanted = _within_reach(known, message.experiment)
    _check_size(wanted)
    pairs = zip(known.experiment.arms, wanted.arms, strict=True)
    extended = [(old, new) for old, new in pairs if old.training_steps != new.training_steps]
    longer = {arm.name for arm, _ in extended}
    if any(run.live and run.arm.name in longer for run in decision.state.runs_of(name)):
        raise ConflictError(
            f"{name}: some of its runs are training; to extend it, wait until they have ended, or lander-ctl pause {name} first"
        )
    what = _changes(known, wanted, message.execution)
    before = set(known.order)
    for addition in _growth(known, wanted, message.execution):
        decision.say(name, addition)
    for old, new in extended:
        decision.say(name, e.WarningRaised(message=consequence(old, new)))
    _queue(decision, [run.id for run in wanted.runs if run.id not in before], name)
    more_episodes = wanted.eval_episodes > known.experiment.eval_episodes  # of the last evaluation of every run
    resumed = _resume(decision, name, {arm.name for arm in wanted.arms} if more_episodes else longer)
    said = [
        ", ".join(what) or ("continued" if resumed else f"already submitted, and {known.state}"),
        *[consequence(old, new) for old, new in extended if new.scheduled][:NAMED_DIFFERENCES],
        *_kept(message.experiment, wanted),
        *_kept_evaluations(decision, known.experiment, wanted),
    ]
    if resumed:
        said[0] += f": {resumed} runs go on" if resumed > 1 else ": 1 run goes on"
    decision.answer = c.Accepted(subject=name, detail="; ".join(said))


def _within_reach(standing: ExperimentStanding, asked: Experiment) -> Experiment:
    """What becomes of an experiment when this is asked of it; raises `ConflictError` where that is another experiment.

    It can be carried out otherwise, and its arms trained for longer and with more seeds; what was done already stays done.
    """
    known = standing.experiment
    wanted = _with_defaults_of(known, asked)
    pairs = zip(known.arms, wanted.arms, strict=False)
    arms = [old.model_copy(update=_extensible(old, new)) for old, new in pairs]
    changed = {name: getattr(wanted, name) for name in CHANGEABLE}
    alike = known.model_copy(update={**changed, "arms": (*arms, *known.arms[len(arms) :])})
    refused = list(_differences(alike, wanted, standing.digest_rule))
    if refused:
        more = f" and {len(refused) - NAMED_DIFFERENCES} more" if len(refused) > NAMED_DIFFERENCES else ""
        raise ConflictError(
            f"{known.experiment_id}: an experiment with this id exists and differs in"
            f" {', '.join(refused[:NAMED_DIFFERENCES])}{more}; of one that exists, only training_steps, {', '.join(CHANGEABLE)}"
            " may be changed, and seeds added; choose another --experiment-id"
        )
    largest = (_larger(old, new) for old, new in zip(known.arms, wanted.arms, strict=True))
    return wanted.model_copy(update={"arms": tuple(largest)})


def _with_defaults_of(known: Experiment, asked: Experiment) -> Experiment:
    """What neither says, now or then, is as it was recorded: the defaults of today are for new experiments."""
    if [arm.name for arm in known.arms] != [arm.name for arm in asked.arms]:
        return asked
    arms = tuple(
        new.model_copy(update={**_unsaid(old, new), "defaults": old.defaults, "scheduled": old.scheduled})
        for old, new in zip(known.arms, asked.arms, strict=True)
    )
    return asked.model_copy(update={**_unsaid(known, asked), "arms": arms})


def _unsaid(old: Experiment | Arm, new: Experiment | Arm) -> dict[str, object]:
    return {name: getattr(old, name) for name in old.defaulted if name in new.defaulted}


def _growth(known: ExperimentStanding, wanted: Experiment, execution: e.Execution) -> Iterator[Growth]:
    """What makes of the experiment that is known the one that is wanted."""
    longer: dict[int, list[str]] = {}
    added: dict[tuple[int, ...], list[str]] = {}
    for old, new in zip(known.experiment.arms, wanted.arms, strict=True):
        if new.training_steps != old.training_steps:
            longer.setdefault(new.training_steps, []).append(new.name)
        if seeds := new.seeds[len(old.seeds) :]:
            added.setdefault(seeds, []).append(new.name)
    yield from (e.StepsAdded(arms=tuple(arms), training_steps=steps) for steps, arms in longer.items())
    yield from (e.SeedsAdded(arms=tuple(arms), seeds=seeds) for seeds, arms in added.items())
    settings = wanted.settings if wanted.settings != known.experiment.settings else None
    carried_out = execution if execution != known.execution else None
    if settings or carried_out:
        yield e.SettingsChanged(settings=settings, execution=carried_out)


def _extensible(old: Arm, new: Arm) -> dict[str, object]:
    """What of a new arm may differ from the old: other seeds only where none takes another's place."""
    alike = set(old.seeds) <= set(new.seeds) or set(new.seeds) <= set(old.seeds)
    return {"training_steps": new.training_steps, **({"seeds": new.seeds} if alike else {})}


def _larger(old: Arm, new: Arm) -> Arm:
    """The arm with all the steps and seeds of both, the old seeds first."""
    steps = max(old.training_steps, new.training_steps)
    return old.model_copy(update={"training_steps": steps, "seeds": tuple(dict.fromkeys((*old.seeds, *new.seeds)))})


def _changes(known: ExperimentStanding, wanted: Experiment, execution: e.Execution) -> list[str]:
    """What is different from now on, in words; the directory that it is submitted from is not worth any."""
    named = [name for name in CHANGEABLE if getattr(known.experiment, name) != getattr(wanted, name)]
    ways = ("mode", "max_workers", "monitoring", "no_shortcuts")
    named += [name for name in ways if getattr(known.execution, name) != getattr(execution, name)]
    old, new = known.experiment, wanted
    extended = [f"{more} more run{'s' if more > 1 else ''}"] if (more := len(new.runs) - len(old.runs)) else []
    if any(one.training_steps != other.training_steps for one, other in zip(old.arms, new.arms, strict=True)):
        extended.insert(0, "extended")
    return [*extended, f"changed {' and '.join(named)}"] if named else extended


def _kept(asked: Experiment, wanted: Experiment) -> list[str]:
    """Said where fewer steps or seeds were asked for than there are by now."""
    pairs = list(zip(asked.arms, wanted.arms, strict=True))
    steps = sorted({new.training_steps for old, new in pairs if old.training_steps < new.training_steps})
    told = [f"its training_steps stay {' or '.join(map(str, steps))}, since they can only be raised"] if steps else []
    if any(len(old.seeds) < len(new.seeds) for old, new in pairs):
        told.append("the seeds it has stay, since they can only be added to")
    return told


def _kept_evaluations(decision: Decision, old: Experiment, new: Experiment) -> list[str]:
    """Said where evaluations are to be others, and a run has completed with those it has."""
    changed = (old.eval_frequency, old.eval_episodes) != (new.eval_frequency, new.eval_episodes)
    if changed and any(run.state == "completed" for run in decision.state.runs_of(new.experiment_id)):
        return ["runs that have completed keep the evaluations they have"]
    return []


def _queue(decision: Decision, added: list[str], name: str) -> None:
    """The runs of seeds that were added wait for their turns."""
    if added:
        decision.reopen(name)
    for run in added:
        decision.say(run, e.RunQueued(reason="added"))


def _resume(decision: Decision, name: str, more: Set[str]) -> int:
    """Every run goes on that did not complete, or whose arm has more to do by now, and was not skipped; how many they are."""
    runs = decision.state.runs_of(name)
    completed = [run for run in runs if run.state == "completed" and run.arm.name in more]
    interrupted = [run for run in runs if run.expected in RESUMABLE - {"skipped"}]
    for run in completed:
        decision.resume(run, "extended")
    for run in interrupted:
        decision.resume(run, "resumed")
    return len(completed) + len(interrupted)


def consequence(old: Arm, new: Arm) -> str:
    """What it means for an arm's runs that they were to train for fewer steps first."""
    extended = f"{new.name}: extended from {old.training_steps} to {new.training_steps} training steps"
    if not new.scheduled:
        return f"{extended}; its runs are what they would have been with all the steps from the start"
    functions = "is a function" if len(new.scheduled) == 1 else "are functions"
    return (
        f"{extended}; {' and '.join(new.scheduled)} {functions} of the whole training,"
        " so its runs are not what they would have been with all the steps from the start"
    )


def _differences(old: Experiment, new: Experiment, rule: int) -> Iterator[str]:
    """Where two experiments differ by a rule of digests, as one would write it in an override."""
    first, second = content(old, rule), content(new, rule)
    arms, others = first.pop("arms"), second.pop("arms")
    yield from _between("", first, second)
    if [arm["name"] for arm in arms] != [arm["name"] for arm in others]:
        yield "the names of its arms"
        return
    for one, other in zip(arms, others, strict=True):
        yield from _between(f"{one['name']}.", one, other)


def _between(prefix: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    for key in dict.fromkeys((*old, *new)):
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            yield from _between(f"{prefix}{key}.", before, after)
        elif before != after:
            yield f"{prefix}{key}"
