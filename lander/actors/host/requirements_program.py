"""The program that checks and builds an experiment in a process of its own: what `requirements_process.py` starts.

It says what it does before it does it, so that its caller knows where it ended.
"""

import contextlib
import faulthandler
import json
import os
import resource
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from lander.actors.environment.parent_death import die_with_parent
from lander.actors.host.orphans import adopt_orphans, end_children
from lander.protocol.errors import ConfigurationError
from lander.protocol.experiment import Experiment

END_SECONDS: Final = 2.0


def main() -> None:
    """Read the task from standard input, carry it out, and answer on the given file descriptor."""
    answers, parent = map(int, sys.argv[1:])
    die_with_parent(parent)
    adopt_orphans()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", "ascii")  # of all processes here, this one may go first
    faulthandler.enable()
    task = json.loads(sys.stdin.buffer.read())
    with open(answers, "w", encoding="utf-8") as channel:  # noqa: PTH123 - a file descriptor

        def answer(**words: Any) -> None:
            print(json.dumps(words), file=channel, flush=True)

        try:
            built = _carried_out(task, lambda arm, what: answer(arm=arm, doing=what))
            answer(built=[asdict(each) for each in built])
        except ConfigurationError as error:
            answer(refused=str(error))
        channel.flush()
        end_children(END_SECONDS)
        os._exit(0)  # threads and handlers that the code of users has left behind cannot hold it up


def _carried_out(task: dict[str, Any], announce: Any) -> tuple[Any, ...]:
    from lander.actors.host.requirements import build_everything, check

    experiment = Experiment.model_validate_json(task["experiment"])
    home = None if task["home"] is None else Path(task["home"])
    if task["build"]:
        return build_everything(experiment, task["source"], task["directories"], home, announce)
    check(experiment, task["source"], task["directories"], home, announce)
    return ()


if __name__ == "__main__":
    main()
