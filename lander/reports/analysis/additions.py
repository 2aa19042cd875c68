"""What was added to an experiment after its submission, and whether its results could be seen by then.

Results can be seen as soon as one of its runs trains: `status` shows its returns, and the log has its rewards. Whoever adds
something from then on looks at the same question once more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from lander.protocol.experiment import Arm, Experiment
from lander.store.log.plans import Plan
from lander.store.log.reader import Reader
from lander.store.records.first_training import first_training


@dataclass(frozen=True, slots=True)
class AddedArm:
    """An arm that the experiment did not have at its submission, since `at` (microseconds since 1970).

    `seen` is whether results could be seen by then.
    """

    name: str
    at: int
    seen: bool


@dataclass(frozen=True, slots=True)
class Additions:
    """How often arms, seeds, training steps or evaluation episodes were added after results could be seen; and the added arms.

    `first` is each arm as it was when it came into the experiment.
    """

    looks: int
    arms: tuple[AddedArm, ...]
    first: tuple[Arm, ...]


def additions(reader: Reader, experiment: str) -> Additions:
    """All additions to an experiment, in order; raises `NotFoundError` for an unknown one."""
    plans, began = reader.plans(experiment), first_training(reader, experiment)
    came: dict[str, tuple[Plan, Arm]] = {}
    for plan in plans:
        for arm in plan.experiment.arms:
            came.setdefault(arm.name, (plan, arm))
    added = [(name, plan) for name, (plan, _) in came.items() if plan is not plans[0]]
    return Additions(
        looks=_looks(plans, began),
        arms=tuple(AddedArm(name, plan.at, _seen(plan, began)) for name, plan in added),
        first=tuple(arm for _, arm in came.values()),
    )


def _looks(plans: Sequence[Plan], began: int | None) -> int:
    last_of_each = {plan.at: plan for plan in plans}  # additions of one command share a time
    pairs = pairwise(last_of_each.values())
    return sum(_content(before.experiment) != _content(after.experiment) and _seen(after, began) for before, after in pairs)


def _seen(plan: Plan, began: int | None) -> bool:
    return began is not None and plan.position > began


def _content(experiment: Experiment) -> tuple[object, ...]:
    """The parts of an experiment whose change can change the result."""
    return experiment.eval_episodes, *((arm.name, arm.seeds, arm.training_steps) for arm in experiment.arms)
