"""Keywords that a function does not have: refused with the way that exists."""

from collections.abc import Callable, Mapping
from inspect import Parameter, signature

from lander.experiments.elsewhere import elsewhere
from lander.experiments.overrides import as_override
from lander.protocol.errors import UsageError
from lander.protocol.refusals import did_you_mean, shown


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
