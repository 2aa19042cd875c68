"""The deletion of an experiment: what forbids it, and the tombstone that is recorded before anything is erased."""

from lander.protocol import commands as c
from lander.protocol import events as e
from lander.protocol.errors import ConflictError, NotFoundError
from lander.protocol.experiment import Experiment
from lander.protocol.refusals import did_you_mean
from lander.protocol.targets import was_deleted
from lander.protocol.text import named
from lander.supervisor.core.decision import Decision
from lander.supervisor.core.effects import EraseExperiment
from lander.supervisor.core.state import State

_MOST_NAMED = 5


def delete(decision: Decision, message: c.DeleteExperiment) -> None:
    """Record the tombstone of an experiment that has ended, and then erase the rest of it; the erasure gives the answer."""
    name = message.experiment
    _refuse(decision.state, name)
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


def _refuse(state: State, name: str) -> None:
    """Raise an error that says why the experiment cannot be deleted; nothing if it can."""
    if (at := state.deleted.get(name)) is not None:
        raise NotFoundError(f"{was_deleted(name, at)} already")
    if state.quarantined:
        other, problem = next(iter(state.quarantined.items()))
        raise ConflictError(
            f"{name}: nothing can be deleted while {other} is quarantined, since what it needs is not known: {problem}"
        )
    if name not in state.experiments:
        raise NotFoundError(f"{named(name)}: no such experiment{did_you_mean(name, tuple(state.experiments))}")
    if state.experiments[name].under_way:
        raise ConflictError(f"{name}: is under way; lander-ctl stop {name} first")
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
