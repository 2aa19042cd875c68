"""The runs of an experiment and its standing, from what was recorded of it when it was submitted or has grown."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial

from lander.protocol import events as e
from lander.protocol.code import Code, needs_digest
from lander.protocol.experiment import Arm, EvaluationEnvironment, Experiment, RunKey
from lander.protocol.named_code import named_code
from lander.supervisor.core.needs import Need
from lander.supervisor.core.standing import ExperimentStanding, RunStanding


def runs_of(experiment: Experiment, execution: e.Execution, known: Mapping[str, RunStanding]) -> list[RunStanding]:
    """An experiment's runs in the order in which they start: known runs keep their standing, others are new.

    Those that are forked from a known run begin on the class of bits of its checkpoint.
    """
    forked = partial(e.CheckpointCommitted.forked, experiment)
    arm = cache(lambda name, task: experiment.configuration(RunKey(experiment.experiment_id, name, 0, task)))
    needs = cache(lambda name, task: needs_of(experiment.code, arm(name, task), experiment.evaluation_environment))
    return [
        replace(known[key.id], arm=arm(key.arm, key.task), place=place)
        if key.id in known
        else RunStanding(
            key.id,
            key.experiment,
            arm(key.arm, key.task),
            key.seed,
            place,
            forked(key.seed),
            _origin_bits(experiment, key.seed, known),
            experiment.code,
            needs(key.arm, key.task),
        )
        for place, key in enumerate(_turns(experiment, execution))
    ]


def _origin_bits(experiment: Experiment, seed: int, known: Mapping[str, RunStanding]) -> str:
    """The key of the class of bits of the checkpoint at which the runs with this seed begin, if that is known."""
    origin = experiment.origin
    forked = known.get(origin.run(seed)) if origin is not None else None
    return "" if origin is None or forked is None else forked.bits_at(origin.branch(seed).step)


def needs_of(code: Code | None, arm: Arm, common: EvaluationEnvironment | None) -> str:
    """What a host must have to train an arm on this code, as one digest."""
    return needs_digest(code, *named_code(arm, common))


def _turns(experiment: Experiment, execution: e.Execution) -> list[RunKey]:
    """The keys of an experiment's runs in the order in which they start."""
    keys = list(experiment.runs)
    if execution.mode == "sequential":
        turns = {arm.name: turn for turn, arm in enumerate(experiment.arms)}
        keys.sort(key=lambda key: turns[key.arm])
    return keys


def standing_of(
    experiment: Experiment, execution: e.Execution, runs: Sequence[RunStanding], kept_on: Mapping[str, str]
) -> ExperimentStanding:
    """An experiment with these runs, in the order in which they start, and its seeds on these classes of bits."""

    def places(of: Callable[[RunStanding], bool]) -> int:
        return sum(1 << run.place for run in runs if of(run))

    pairs: dict[str, int] = {}
    for run in runs:
        pairs[run.pair] = pairs.get(run.pair, 0) | 1 << run.place
    standing = ExperimentStanding(experiment, execution, tuple(run.id for run in runs), pairs, kept_on)
    needs: dict[Need, int] = {}
    for run in runs:
        if run.state == "queued":
            need = standing.need(run)
            needs[need] = needs.get(need, 0) | 1 << run.place
    return replace(
        standing,
        needs=needs,
        queued=places(lambda run: run.state == "queued"),
        live=places(lambda run: run.live),
        paused=places(lambda run: run.state == "paused"),
    )
