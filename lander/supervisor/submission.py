"""Submitting an experiment: a new one, one that goes on, or one of which more is wanted."""

from collections.abc import Iterator
from typing import Any, Final

from lander.protocol import commands as c
from lander.protocol import events as e
from lander.protocol.errors import ConfigurationError, ConflictError
from lander.protocol.experiment import Arm, Experiment
from lander.supervisor.draft import Draft
from lander.supervisor.standing import ExperimentStanding, Run

MAX_ARM_BYTES: Final = 64 << 10
"""An arm travels to its trainer in one packet."""
NAMED_DIFFERENCES: Final = 5


def submit(draft: Draft, message: c.SubmitExperiment) -> None:
    """Take an experiment, or go on with the one of this id; raises `ConflictError` where that is another."""
    known = draft.state.experiments.get(message.experiment.experiment_id)
    if known is None:
        _take(draft, message)
    elif known.experiment == message.experiment:
        _go_on(draft, known)
    else:
        _extend(draft, known, message.experiment)


def _take(draft: Draft, message: c.SubmitExperiment) -> None:
    experiment = message.experiment
    name = experiment.experiment_id
    for arm in experiment.arms:
        if len(arm.model_dump_json()) > MAX_ARM_BYTES:
            raise ConfigurationError(f"{name}: {arm.name}: more than {MAX_ARM_BYTES >> 10} KiB; keep data in files of its own")
    manifest = {**message.manifest, "digest": experiment.digest}
    draft.say(name, e.ExperimentSubmitted(experiment=experiment, execution=message.execution, manifest=manifest))
    for notice in message.notices:
        draft.say(name, e.WarningRaised(message=notice))
    for run in experiment.runs:
        draft.say(run.id, e.RunQueued())
    draft.answer = c.Accepted(subject=name)


# ---------------------------------------------------------------------------------------------------- going on


def _go_on(draft: Draft, known: ExperimentStanding) -> None:
    """The same again: what was interrupted is continued; what a person skipped stays skipped."""
    name = known.experiment.experiment_id
    resumed = _resume(draft, name)
    if resumed:
        draft.answer = c.Accepted(subject=name, detail=f"continued: {_runs_go(resumed)} on")
    else:
        draft.answer = c.Accepted(subject=name, detail=f"already submitted, and {known.state}")


def _resume(draft: Draft, name: str) -> int:
    """Every run goes on that did not complete, was not skipped, and is not going on anyway; how many they are."""
    runs = [run for run in draft.state.runs_of(name) if run.state in ("paused", "stopped", "failed") or _is_being_stopped(run)]
    for run in runs:
        draft.resume(run, "resumed")
    return len(runs)


def _is_being_stopped(run: Run) -> bool:
    return run.state == "stopping" and run.attempt is not None and run.attempt.stop_reason in ("operator", "pause", "limit")


def _runs_go(number: int) -> str:
    return "1 run goes" if number == 1 else f"{number} runs go"


# ---------------------------------------------------------------------------------------------------- more of it


def _extend(draft: Draft, known: ExperimentStanding, wanted: Experiment) -> None:
    """More training steps of the same; raises `ConflictError` for any other difference, and while its runs are training.

    A trainer is told once how far to train, so what is training cannot be told of more.
    """
    name = wanted.experiment_id
    refused = [where for where, old, new in _differences(known.experiment, wanted) if not _is_more(where, old, new)]
    if refused:
        more = f" and {len(refused) - NAMED_DIFFERENCES} more" if len(refused) > NAMED_DIFFERENCES else ""
        raise ConflictError(
            f"{name}: an experiment with this id exists and differs in {', '.join(refused[:NAMED_DIFFERENCES])}{more};"
            " only training_steps may be raised; choose another --experiment-id"
        )
    extended = {old.name for old, new in zip(known.experiment.arms, wanted.arms, strict=True) if old != new}
    if any(run.live and run.arm.name in extended for run in draft.state.runs_of(name)):
        raise ConflictError(
            f"{name}: some of its runs are training; to extend it, wait until they have ended, or lander-ctl pause {name} first"
        )
    completed = [run for run in draft.state.runs_of(name) if run.state == "completed" and run.arm.name in extended]
    draft.say(name, e.ExperimentExtended(experiment=wanted))
    for old, new in zip(known.experiment.arms, wanted.arms, strict=True):
        if old != new:
            draft.say(name, e.WarningRaised(message=consequence(old, new)))
    for run in completed:
        draft.resume(draft.state.runs[run.id], "extended")
    resumed = len(completed) + _resume(draft, name)
    draft.answer = c.Accepted(subject=name, detail=f"extended: {_runs_go(resumed)} on" if resumed else "extended")


def consequence(old: Arm, new: Arm) -> str:
    """What it means for an arm's runs that they were to train for fewer steps first."""
    whole = [f"{key}={value}" for key, value in new.hyperparameters.items() if str(value).startswith("lin_")]
    if new.algorithm == "DQN":
        whole.append("exploration_fraction")
    extended = f"{new.name}: extended from {old.training_steps} to {new.training_steps} training steps"
    if not whole:
        return f"{extended}; its runs are what they would have been with all the steps from the start"
    functions = "is a function" if len(whole) == 1 else "are functions"
    return (
        f"{extended}; {' and '.join(whole)} {functions} of the whole training,"
        " so its runs are not what they would have been with all the steps from the start"
    )


def _is_more(where: str, old: object, new: object) -> bool:
    return where.endswith(".training_steps") and isinstance(old, int) and isinstance(new, int) and new > old


def _differences(old: Experiment, new: Experiment) -> Iterator[tuple[str, object, object]]:
    """Where two experiments differ, as one would write it in an override, with what stands there in each."""
    first, second = (each.model_dump(mode="json", exclude={"arms", "experiment_id"}) for each in (old, new))
    yield from _between("", first, second)
    if [arm.name for arm in old.arms] != [arm.name for arm in new.arms]:
        yield "the names of its arms", None, None
        return
    for one, other in zip(old.arms, new.arms, strict=True):
        yield from _between(f"{one.name}.", one.model_dump(mode="json"), other.model_dump(mode="json"))


def _between(prefix: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[tuple[str, object, object]]:
    for key in dict.fromkeys((*old, *new)):
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            yield from _between(f"{prefix}{key}.", before, after)
        elif before != after:
            yield f"{prefix}{key}", before, after
