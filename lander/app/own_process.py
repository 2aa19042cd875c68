"""The caller's side of `own_process_program.py`: work on a run whose code cannot be imported here, in a process of its own.

A process imports one version of an environment's code. Where another is imported already, as that of another run of the same
experiment, no caller has to know: it hands the work over when `OtherVersionError` says so.
"""

import json
from math import inf
from typing import Any, Final, Literal

from lander.actors.host.bounded_process import Bounds, Ending, run_bounded
from lander.actors.host.linux_process import signal_name
from lander.protocol.error_text import error_line
from lander.protocol.errors import LanderError, from_code
from lander.protocol.text import one_line

Work = Literal["film", "evaluate", "minari"]
_PROGRAM: Final = "lander.app.own_process_program"


def in_own_process(work: Work, **task: Any) -> Any:
    """Have the program do this work; `task` and what it returns are plain data.

    It takes as long as it takes. Raises the `LanderError` that the work raises, or one that says how the process ended.
    """
    ending = run_bounded(_PROGRAM, json.dumps({"work": work, **task}).encode(), Bounds(inf, inf))
    for answer in ending.answers:
        match answer:
            case {"error": str(code), "text": str(text)}:
                raise from_code(code, text)
            case {"done": done}:
                return done
    raise LanderError(f"the process that was to {work}, on other code than is imported here, {_how_it_ended(ending)}")


def _how_it_ended(ending: Ending) -> str:
    how = (
        f"ended with exit status {ending.exit_code}"
        if ending.exit_code >= 0
        else f"was ended by {signal_name(-ending.exit_code)}"
    )
    why = error_line(ending.output.decode(errors="replace"))
    return f"{how}: {one_line(why)}" if why else how
