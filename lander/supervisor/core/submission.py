"""Submission of an experiment: a new one, or a known one to continue, with other settings, more steps, seeds or arms."""

from collections.abc import Iterator, Set
from typing import Final

from lander.protocol import commands as c
from lander.protocol import events as e
from lander.protocol.code import MAX_PACKAGE_BYTES, Code, code_notices
from lander.protocol.errors import ConfigurationError, ConflictError, NotFoundError, WireError
from lander.protocol.experiment import Arm, Experiment
from lander.protocol.states import RESUMABLE, TERMINAL
from lander.protocol.targets import was_deleted
from lander.protocol.wire import MAX_SHORT_ARRAY, encode_event
from lander.supervisor.core.decision import Decision
from lander.supervisor.core.resubmission import (
    CHANGEABLE,
    NAMED_DIFFERENCES,
    added_arms,
    growth,
    merged,
    named,
    refuse_lacking_code,
)
from lander.supervisor.core.standing import ExperimentStanding

MAX_ARM_BYTES: Final = 64 << 10
"""An arm is sent to its trainer in one frame."""
MAX_PATH_BYTES: Final = 4096
"""The limit of Linux (`PATH_MAX`)."""


def submit(decision: Decision, message: c.SubmitExperiment) -> None:
    """Add an experiment, or continue the one with this id; raises `ConflictError` if that is a different experiment."""
    name = message.experiment.experiment_id
    decision.refuse_quarantined(name)
    if (at := decision.state.deleted.get(name)) is not None:
        raise ConflictError(f"{was_deleted(name, at)}, and its id is not given again; choose another by --experiment-id")
    _check_sizes(message.experiment, message.execution)
    known = decision.state.experiments.get(name)
    if known is None:
        _add(decision, message)
    else:
        _continue(decision, known, message)


def _add(decision: Decision, message: c.SubmitExperiment) -> None:
    experiment = message.experiment
    name = experiment.experiment_id
    if experiment.origin is not None:
        decision.refuse_quarantined(experiment.origin.experiment)
    if experiment.origin is not None and (at := decision.state.deleted.get(experiment.origin.experiment)) is not None:
        raise NotFoundError(f"{name}: is a fork of an experiment that is gone: {was_deleted(experiment.origin.experiment, at)}")
    if experiment.origin is not None and experiment.origin.experiment not in decision.state.experiments:
        raise NotFoundError(f"{name}: is a fork of {experiment.origin.experiment}, which is not here; is --home right?")
    submitted = e.ExperimentSubmitted.of(experiment, message.execution, message.manifest)
    _check_recordable(name, submitted)
    decision.say(name, submitted)
    for notice in message.notices:
        decision.say(name, e.WarningRaised(message=notice))
    for run in experiment.runs:
        decision.say(run.id, e.RunQueued())
    decision.answer = c.Accepted(subject=name)


def _check_recordable(name: str, submitted: e.ExperimentSubmitted) -> None:
    """Refuse what could not be read again once it is recorded, or not be carried out."""
    if submitted.experiment.tasks:
        raise ConfigurationError(f"{name}: tasks: suites of environments cannot be carried out by this version")
    try:
        encode_event(submitted)
    except WireError as error:
        raise ConfigurationError(f"{name}: is more than one event can hold: {error}; use fewer arms") from error


def _check_sizes(experiment: Experiment, execution: e.Execution) -> None:
    """Refuse what would not fit into the order to start a trainer, which is one frame."""
    if len(execution.directory.encode()) > MAX_PATH_BYTES:
        raise ConfigurationError(f"{experiment.experiment_id}: directory: longer than a path can be ({MAX_PATH_BYTES} bytes)")
    check_code_size(experiment.experiment_id, experiment.code)
    common = experiment.evaluation_environment
    besides = 0 if common is None else len(common.model_dump_json().encode())
    for arm in experiment.arms:
        if len(arm.model_dump_json().encode()) + besides > MAX_ARM_BYTES:
            name = f"{experiment.experiment_id}: {arm.name}"
            raise ConfigurationError(f"{name}: more than {MAX_ARM_BYTES >> 10} KiB; keep data in files of its own")
    for branch in experiment.origin.branches if experiment.origin is not None else ():
        if max(len(branch.pages), len(branch.history)) > MAX_SHORT_ARRAY:
            raise ConfigurationError(f"{experiment.experiment_id}: origin: more than {MAX_SHORT_ARRAY} pages of one checkpoint")


def check_code_size(name: str, code: Code | None) -> None:
    """Refuse code of more packages than an order to another machine can name."""
    if code is not None and code.package_bytes > MAX_PACKAGE_BYTES:
        found = f"made of {len(code.packages)} installed packages"
        raise ConfigurationError(f"{name}: environment: {found}, whose names are over {MAX_PACKAGE_BYTES >> 10} KiB")


# ---------------------------------------------------------------------------------------------------- going on


def _continue(decision: Decision, known: ExperimentStanding, message: c.SubmitExperiment) -> None:
    """Resume the interrupted runs, with the settings now requested; runs that an operator skipped stay skipped.

    Raises `ConflictError` if it is a different experiment, or if an arm that is training gets more steps: a trainer learns
    its number of steps only at its start.
    """
    name = known.experiment.experiment_id
    under_way = _is_under_way(decision, name)
    wanted = merged(known, message.experiment)
    _check_sizes(wanted, message.execution)
    if added_arms(known.experiment, wanted):
        _check_recordable(name, e.ExperimentSubmitted.of(wanted, message.execution, message.manifest))
    extended = _extended(known.experiment, wanted)
    longer = {arm.name for arm, _ in extended}
    if wanted.exclusive and not known.experiment.exclusive and any(run.live for run in decision.state.runs_of(name)):
        raise ConflictError(
            f"{name}: what trains was started without a lease, which exclusive runs need; lander-ctl pause {name} first"
        )
    if any(run.live and run.arm.name in longer for run in decision.state.runs_of(name)):
        raise ConflictError(
            f"{name}: some of its runs are training; to extend it, wait until they have ended, or lander-ctl pause {name} first"
        )
    changes = _changes(known, wanted, message.execution)
    before = set(known.order)
    added = [run.id for run in wanted.runs if run.id not in before]
    _change_code(decision, known.experiment, wanted, message)
    for addition in growth(known, wanted, message.execution):
        decision.say(name, addition)
    for old, new in extended:
        decision.say(name, e.WarningRaised(message=consequence(old, new)))
    _queue(decision, added, name)
    more_episodes = wanted.eval_episodes > known.experiment.eval_episodes  # of the last evaluation of every run
    resumed = _resume(decision, name, {arm.name for arm in wanted.arms} if more_episodes else longer)
    details = [
        ", ".join(changes) or ("continued" if resumed else f"already submitted, and {known.state}"),
        *[consequence(old, new) for old, new in extended if new.scheduled][:NAMED_DIFFERENCES],
        *_refused_reductions(message.experiment, wanted),
        *_kept_evaluations(decision, known.experiment, wanted),
        *_kept_code(known.experiment, message),
    ]
    if resumed:
        details[0] += f": {resumed} runs go on" if resumed > 1 else ": 1 run goes on"
    decision.answer = c.Accepted(subject=name, detail="; ".join(details), under_way=under_way)


def _is_under_way(decision: Decision, name: str) -> bool:
    """Whether any of its runs goes on by itself; one that is being stopped or paused does not."""
    return any(run.expected not in TERMINAL | {"paused"} for run in decision.state.runs_of(name))


def _change_code(decision: Decision, known: Experiment, wanted: Experiment, message: c.SubmitExperiment) -> None:
    """Say on what runs that are added train; raises `ConfigurationError` if it lacks the environment of an added arm."""
    code = _code_of_added(known, message)
    refuse_lacking_code(code, message.experiment.code, added_arms(known, wanted))
    more = len(wanted.runs) > len(known.runs)
    if code is not None and code != known.code and (message.new_code or more):
        decision.say(known.experiment_id, e.CodeChanged(code=code))


def _code_of_added(known: Experiment, message: c.SubmitExperiment) -> Code | None:
    """The code of runs that are added: what was captured, with the packages that are installed now, or the new code."""
    asked = message.experiment.code
    if message.new_code or asked is None or known.code is None:
        return asked if message.new_code else known.code
    return known.code.model_copy(update={"packages": asked.packages})


def _extended(old: Experiment, new: Experiment) -> list[tuple[Arm, Arm]]:
    """The known arms that get more steps, each before and after."""
    pairs = zip(old.arms, new.arms, strict=False)  # added arms follow
    return [(one, other) for one, other in pairs if one.training_steps != other.training_steps]


def _changes(known: ExperimentStanding, wanted: Experiment, execution: e.Execution) -> list[str]:
    """The changes in words, for the answer; another working directory is not mentioned."""
    changed = [name for name in CHANGEABLE if getattr(known.experiment, name) != getattr(wanted, name)]
    ways = ("mode", "max_workers", "monitoring", "no_shortcuts")
    changed += [name for name in ways if getattr(known.execution, name) != getattr(execution, name)]
    words = ["extended"] if _extended(known.experiment, wanted) else []
    if arms := [arm.name for arm in added_arms(known.experiment, wanted)]:
        words.append(f"{named(arms)} added")
    if more := len(wanted.runs) - len(known.experiment.runs):
        words.append(f"{more} more run{'s' if more > 1 else ''}")
    return [*words, f"changed {' and '.join(changed)}"] if changed else words


def _refused_reductions(asked: Experiment, wanted: Experiment) -> list[str]:
    """A notice if the request has fewer steps or seeds than the experiment already has."""
    now = {arm.name: arm for arm in wanted.arms}
    pairs = [(arm, now[arm.name]) for arm in asked.arms]
    steps = sorted({new.training_steps for old, new in pairs if old.training_steps < new.training_steps})
    notices = [f"its training_steps stay {' or '.join(map(str, steps))}, since they can only be raised"] if steps else []
    if any(len(old.seeds) < len(new.seeds) for old, new in pairs):
        notices.append("the seeds it has stay, since they can only be added to")
    return notices


def _kept_evaluations(decision: Decision, old: Experiment, new: Experiment) -> list[str]:
    """A notice if the settings of evaluations change although some runs have already completed."""
    changed = (old.eval_frequency, old.eval_episodes) != (new.eval_frequency, new.eval_episodes)
    if changed and any(run.state == "completed" for run in decision.state.runs_of(new.experiment_id)):
        return ["runs that have completed keep the evaluations they have"]
    return []


def _kept_code(known: Experiment, message: c.SubmitExperiment) -> Iterator[str]:
    """Notices that the code of the environments is not what was captured, and what follows from it."""
    kept = "its runs train on what was captured, and with --new-code those that are added on the new code"
    new = "runs that are added train on the new code, and all others on what was captured for them"
    uncaptured = "" if message.new_code else "its runs train on what is there now, and --new-code captures it"
    changed = new if message.new_code else kept
    return code_notices(known.code, message.experiment.code, changed=changed, uncaptured=uncaptured)


def _queue(decision: Decision, added: list[str], name: str) -> None:
    """Queue the runs of added seeds and arms."""
    if added:
        decision.reopen(name)
    for run in added:
        decision.say(run, e.RunQueued(reason="added"))


def _resume(decision: Decision, name: str, more: Set[str]) -> int:
    """Resume every run that is interrupted, or that is completed and in an arm in `more`; returns their number.

    Skipped runs stay skipped.
    """
    runs = decision.state.runs_of(name)
    completed = [run for run in runs if run.state == "completed" and run.arm.name in more]
    interrupted = [run for run in runs if run.expected in RESUMABLE - {"skipped"}]
    for run in completed:
        decision.resume(run, "extended")
    for run in interrupted:
        decision.resume(run, "resumed")
    return len(completed) + len(interrupted)


def consequence(old: Arm, new: Arm) -> str:
    """What an extension means for an arm's runs, which were first to train for fewer steps."""
    extended = f"{new.name}: extended from {old.training_steps} to {new.training_steps} training steps"
    if not new.scheduled:
        return f"{extended}; its runs are what they would have been with all the steps from the start"
    functions = "is a function" if len(new.scheduled) == 1 else "are functions"
    return (
        f"{extended}; {' and '.join(new.scheduled)} {functions} of the whole training,"
        " so its runs are not what they would have been with all the steps from the start"
    )
