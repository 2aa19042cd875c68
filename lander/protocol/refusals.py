"""The wording of refusals: `found …; must be …`, short, on one line, in the terms of the file and not of Python."""

import reprlib
from difflib import get_close_matches

from pydantic_core import PydanticCustomError

_short = reprlib.Repr()
_short.maxstring = _short.maxother = _short.maxlong = 40
_short.maxlevel, _short.maxdict, _short.maxlist = 2, 3, 6


def shown(value: object) -> str:
    """`value` as messages quote it."""
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    try:
        return _short.repr(value)
    except ValueError:  # Python refuses to print integers of thousands of digits
        return "a very large number"


def did_you_mean(name: object, known: tuple[str, ...]) -> str:
    """`; did you mean …?` if the name resembles a known one, otherwise an empty string."""
    by_fold = {each.casefold(): each for each in known}
    close = get_close_matches(str(name).casefold(), by_fold, n=1, cutoff=0.6)
    return f"; did you mean {by_fold[close[0]]}?" if close else ""


def refusal(sentence: str) -> PydanticCustomError:
    """A refusal with exactly this text; raise it inside a pydantic validator."""
    return PydanticCustomError("refused", "{sentence}", {"sentence": sentence})
