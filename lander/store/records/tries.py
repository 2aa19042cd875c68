"""The tries of a home: how many variants its experiments have compared with the same baseline.

Who tries often enough finds a variant that seems better. So a report says how many tries there were, and the tombstone of a
deleted experiment keeps what is counted here: tries that are forgotten would flatter the next verdict.

A baseline is the same if its digest is. A rule selects the content of the digest and is recorded with it. As in
`protocol/digests.py`, a rule never changes: a new rule gets a new number.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from lander.protocol.experiment import Experiment
from lander.protocol.resolved_settings import resolved
from lander.store.log.plans import PLANS_OF_ALL, experiments_of
from lander.store.log.reader import Reader
from lander.store.log.tombstones import Tombstone, tombstones

_TRAINED: Final = "SELECT DISTINCT experiment, arm FROM progress WHERE step > 0"


@dataclass(frozen=True, kw_only=True, slots=True)
class Try:
    """One experiment as a try: it compared a number of variants with a baseline.

    `environment` is the baseline's, by name; its arguments are part of `baseline`, the digest by the rule `rule`. `variants`
    counts those that have trained: their results could be seen. `decision` is the verdict word of the experiment, None if none
    is recorded. A `deleted` experiment is known by its tombstone only.
    """

    experiment: str
    environment: str
    baseline: str
    rule: int
    variants: int
    decision: str | None = None
    deleted: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class OtherTries:
    """How many other experiments compared variants with the same baseline, and how many variants those were.

    `unknown` counts the experiments of which this version cannot read what they compared.
    """

    experiments: int = 0
    variants: int = 0
    unknown: int = 0


NO_OTHER_TRIES: Final = OtherTries()


def other_tries(tries: Iterable[Try], experiment: Experiment) -> OtherTries:
    """The tries with the baseline of this experiment, without its own. Raises `KeyError` for a rule that is not known.

    A deleted experiment is another one even under the same id.
    """
    found = [each for each in tries if each.variants and (each.deleted or each.experiment != experiment.experiment_id)]
    digests = {rule: baseline_digest(experiment, rule) for rule in {each.rule for each in found}}
    same = [each for each in found if each.baseline == digests[each.rule]]
    return OtherTries(experiments=len(same), variants=sum(each.variants for each in same))


def recorded_other_tries(reader: Reader, experiment: Experiment) -> OtherTries:
    """The tries with the baseline of this experiment in the log, without its own; raises as `other_tries` does."""
    tries = recorded_tries(reader)
    unknown = set(reader.experiments()) - {each.experiment for each in tries}
    return replace(other_tries(tries, experiment), unknown=len(unknown))


def recorded_tries(reader: Reader) -> list[Try]:
    """A try for each experiment in the log that this version can read, also those that were deleted.

    Decisions are not worked out here: only a tombstone has one.
    """
    trained: dict[str, set[str]] = {}
    for experiment, arm in reader.connection.execute(_TRAINED):
        trained.setdefault(experiment, set()).add(arm)
    experiments = experiments_of(reader.connection.execute(PLANS_OF_ALL))
    there = [try_of(experiment, trained.get(name, ())) for name, experiment in experiments.items()]
    return there + [_deleted_try(each) for each in tombstones(reader.connection)]


def _deleted_try(found: Tombstone) -> Try:
    said = found.decode()
    return Try(
        experiment=found.experiment,
        environment=said.environments[0].environment,
        baseline=said.baseline,
        rule=said.baseline_rule,
        variants=said.variants,
        decision=said.decision or None,
        deleted=True,
    )


def try_of(experiment: Experiment, trained: Collection[str], decision: str | None = None, *, deleted: bool = False) -> Try:
    """An experiment as a try; `trained` are the names of its arms of which a run has trained."""
    return Try(
        experiment=experiment.experiment_id,
        environment=experiment.baseline.environment,
        baseline=baseline_digest(experiment),
        rule=RULE,
        variants=sum(arm.name in trained for arm in experiment.variants),
        decision=decision,
        deleted=deleted,
    )


def baseline_digest(experiment: Experiment, rule: int | None = None) -> str:
    """SHA-256 of what a rule selects of the baseline, in hex; raises `KeyError` for an unknown rule."""
    content = _RULES[RULE if rule is None else rule](experiment)
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _rule_1(experiment: Experiment) -> dict[str, Any]:
    """The settings in effect, written or not, and the arm that a fork continues.

    Without name and seeds: they do not change the question. Without the device and the captured code: else a try would be
    forgotten for another graphics card, or for a changed comment in the environment's file.
    """
    settings = {name: _canonical(found.value) for name, found in resolved(experiment.baseline).items() if name != "device"}
    origin = experiment.origin
    return {
        "settings": settings,
        "tasks": [task.model_dump(mode="json") for task in experiment.tasks],
        "origin": None if origin is None else [origin.experiment, origin.arm],
    }


def _canonical(value: Any) -> Any:
    """Plain data in which equal numbers are written alike: 10.0 as 10."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case Mapping():
            return {name: _canonical(each) for name, each in value.items()}
        case list() | tuple():
            return [_canonical(each) for each in value]
    return value


_RULES: Final[Mapping[int, Callable[[Experiment], dict[str, Any]]]] = {1: _rule_1}
RULE: Final = 1
"""The rule for new digests."""
