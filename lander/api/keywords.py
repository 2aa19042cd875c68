"""Keywords: those that a function does not have are refused, and what is said names those that it has."""

import re
from collections.abc import Callable, Mapping
from functools import wraps
from inspect import Parameter, signature
from typing import Final, ParamSpec, TypeVar

from lander.experiments.elsewhere import elsewhere
from lander.experiments.overrides import as_override
from lander.protocol.errors import LanderError, UsageError
from lander.protocol.refusals import did_you_mean, shown

P = ParamSpec("P")
T = TypeVar("T")
OPTIONS: Final = (
    *("experiment_id", "new_code", "seeds", "mode", "max_workers", "training_steps", "home"),
    *("checkpoint_frequency", "eval_frequency", "eval_episodes"),
)
"""Keywords of `run` that are options of the command, too."""
_COMMAND_OR_OPTION: Final = re.compile(r"lander-ctl [^;:,]*|--([a-z]+(?:-[a-z]+)*)")


def in_keywords(text: str) -> str:
    """What a command would say, with keywords in place of its options; whole commands stay, they can be given as they are."""

    def keyword(found: "re.Match[str]") -> str:
        name = (found[1] or "").replace("-", "_")
        return name if name in OPTIONS else found[0]

    return _COMMAND_OR_OPTION.sub(keyword, text)


def errors_in_keywords(function: Callable[P, T]) -> Callable[P, T]:
    """The function, whose errors name keywords in place of the options of its command."""

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except LanderError as error:
            error.args = (in_keywords(str(error)), *error.args[1:])
            raise

    return called


def refuse_unknown(function: Callable[..., object], given: Mapping[str, object]) -> None:
    """Raise `UsageError` for a keyword that the function does not have: with the override that sets it, or the nearest name."""
    known = tuple(each.name for each in signature(function).parameters.values() if each.kind is not Parameter.VAR_KEYWORD)
    for name, value in given.items():
        hint = _as_override(name, value) or elsewhere(name) or did_you_mean(name, known)
        hint = hint or f"; must be one of {', '.join(known)}"
        raise UsageError(f"{function.__name__}: unknown keyword {name}{hint}")


def _as_override(name: str, value: object) -> str:
    """`; write overrides=[…]` if it is a setting or a hyperparameter, otherwise an empty string."""
    override = as_override(name)
    return f'; write overrides=["{override.removesuffix("VALUE")}{shown(value)}"]' if override else ""
