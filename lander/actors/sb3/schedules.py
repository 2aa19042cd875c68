"""`lin_x`: a setting that falls from x to 0 over the training, by the rule that its experiment recorded.

Two rules that are equal in mathematics round differently, so a recorded experiment keeps the rule of its time. Today it is the
one of RL Baselines3 Zoo, `progress * x`. Experiments that recorded no rule were trained with Stable-Baselines3's
`LinearSchedule`.
"""

from collections.abc import Callable, Mapping
from functools import partial
from operator import mul
from typing import Any

from stable_baselines3.common.utils import LinearSchedule

from lander.actors.sb3.defaults import ZOO_RULE, linear_rule
from lander.protocol.experiment import Arm
from lander.protocol.recorded_names import LINEAR, SCHEDULED

Schedule = Callable[[float], float]
"""From the training progress that remains, 1 at the start and 0 at the end, to the value."""


def with_schedules(arm: Arm, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of an algorithm, with a function for each `lin_x`; raises `ValueError` for a rule of a later version."""
    written = {name: settings[name] for name in SCHEDULED if isinstance(settings.get(name), str)}
    rule = linear_rule(arm)
    return {**settings, **{name: _linear(rule, float(text.removeprefix(LINEAR))) for name, text in written.items()}}


def _linear(rule: str, start: float) -> Schedule:
    """The schedule by this rule. It is pickled into models, so it is made of what every Python and SB3 can load."""
    match rule:
        case "":
            return LinearSchedule(start, 0.0, 1.0)
        case _ if rule == ZOO_RULE:
            return partial(mul, start)
    raise ValueError(f"linear schedules by the rule {rule!r} are of a later version of lander-ctl")
