"""The deletion of an experiment: what forbids it, and the tombstone that is recorded before anything is erased.

What trains is not deleted, and what the home's supervisor would train is not. Any other run may be deleted, finished or not.
"""

from lander.protocol import commands as c
from lander.protocol import events as e
from lander.protocol.errors import ConflictError, NotFoundError
from lander.protocol.experiment import Experiment
from lander.protocol.refusals import did_you_mean
from lander.protocol.targets import was_deleted
from lander.protocol.text import named
from lander.supervisor.core.decision import Decision
from lander.supervisor.core.effects import EraseExperiment
from lander.supervisor.core.messages import DeleteUnserved
from lander.supervisor.core.standing import LOCAL_HOST
from lander.supervisor.core.state import State

_MOST_NAMED = 5


def delete(decision: Decision, message: c.DeleteExperiment) -> None:
    """Record the tombstone of an experiment, and then erase the rest of it; the erasure gives the answer."""
    name = message.experiment
    _refuse_unknown(decision.state, name)
    standing = decision.state.experiments[name]
    if standing.queued or standing.live:
        raise ConflictError(f"{name}: is under way; lander-ctl stop {name} first")
    _bury(decision, message)


def delete_unserved(decision: Decision, message: DeleteUnserved) -> None:
    """As `delete`, where no supervisor would train anything; only trainers that one before has left may still do."""
    name = message.command.experiment
    _refuse_unknown(decision.state, name)
    attempts = [run.attempt for run in decision.state.runs_of(name) if run.attempt is not None]
    if away := next((attempt.host for attempt in attempts if attempt.host != LOCAL_HOST), None):
        raise ConflictError(f"{name}: may still train on {away}; lander-ctl up, and lander-ctl stop {name} first")
    if attempts and message.trainers:
        raise ConflictError(f"{name}: still trains, though no supervisor is running; lander-ctl down ends that")
    _bury(decision, message.command)


def _bury(decision: Decision, message: c.DeleteExperiment) -> None:
    name = message.experiment
    _refuse_needed(decision.state, name)
    experiment = decision.state.experiments[name].experiment
    tombstone = e.ExperimentDeleted(
        operator=message.operator,
        hypothesis=experiment.hypothesis,
        environments=_environments(experiment),
        baseline=message.baseline,
        baseline_rule=message.baseline_rule,
        variants=message.variants,
        decision=message.decision,
    )
    decision.say(name, tombstone)
    decision.effects.append(EraseExperiment(experiment=name))


def _refuse_unknown(state: State, name: str) -> None:
    """Raise an error if there is no such experiment, or if what others need is not known."""
    if (at := state.deleted.get(name)) is not None:
        raise NotFoundError(f"{was_deleted(name, at)} already")
    if state.quarantined:
        other, problem = next(iter(state.quarantined.items()))
        raise ConflictError(
            f"{name}: nothing can be deleted while {other} is quarantined, since what it needs is not known: {problem}"
        )
    if name not in state.experiments:
        raise NotFoundError(f"{named(name)}: no such experiment{did_you_mean(name, tuple(state.experiments))}")


def _refuse_needed(state: State, name: str) -> None:
    """Raise an error if a fork continues runs of the experiment."""
    if forks := _forks(state, name):
        more = f" and {len(forks) - _MOST_NAMED} more" if len(forks) > _MOST_NAMED else ""
        raise ConflictError(
            f"{name}: its fork{'s' if len(forks) > 1 else ''} {', '.join(forks[:_MOST_NAMED])}{more} cannot do without it;"
            f" delete {'them' if len(forks) > 1 else 'that'} first"
        )


def _forks(state: State, name: str) -> list[str]:
    """The experiments whose runs continue those of this one."""
    origins = ((other, standing.experiment.origin) for other, standing in state.experiments.items())
    return [other for other, origin in origins if origin is not None and origin.experiment == name]


def _environments(experiment: Experiment) -> tuple[e.TriedEnvironment, ...]:
    """Every environment once, the baseline's first."""
    found: list[e.TriedEnvironment] = []
    for arm in (experiment.baseline, *experiment.variants):
        each = e.TriedEnvironment(environment=arm.environment, environment_kwargs=arm.environment_kwargs)
        if each not in found:
            found.append(each)
    return tuple(found)
