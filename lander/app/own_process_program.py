"""The program that works on runs in a process of its own: what `own_process.py` starts."""

import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

from lander.actors.environment.import_path import forget_captured
from lander.actors.environment.parent_death import die_with_parent
from lander.protocol.errors import LanderError
from lander.store.log.reader import Reader


def main() -> None:
    """Read the task from standard input, carry it out, and answer on the given file descriptor."""
    answers, parent = map(int, sys.argv[1:])
    die_with_parent(parent)
    task = json.loads(sys.stdin.buffer.read())
    with open(answers, "w", encoding="utf-8") as channel:  # noqa: PTH123 - a file descriptor
        print(json.dumps(_answer(task)), file=channel, flush=True)
        os._exit(0)  # threads that the code of users has left behind cannot hold it up


def _answer(task: dict[str, Any]) -> dict[str, Any]:
    home = Path(task["home"])
    try:
        forget_captured(home)  # of the process that started this one, whose `sys.path` it has
        with Reader(home) as reader, warnings.catch_warnings(action="ignore"):  # the runs' logs have them
            return {"done": _carried_out(reader, task)}
    except LanderError as error:
        return {"error": error.code, "text": str(error)}


def _carried_out(reader: Reader, task: dict[str, Any]) -> Any:
    match task:
        case {"work": "film", "films": list(films), "directory": str(directory)}:
            from lander.app.films import film_plain

            return film_plain(reader, films, Path(directory))
        case {"work": "evaluate", "run": str(run), "checkpoint": str(checkpoint), "episodes": episodes}:
            from lander.app.evaluating import evaluate_plain

            return evaluate_plain(reader, run, checkpoint, episodes)
        case {"work": "minari", "run": str(run), "dataset": str(dataset), "directory": str(directory)}:
            from lander.app.export.minari import write_dataset

            return write_dataset(reader, run, dataset, Path(directory))
    raise ValueError(f"no such work: {task}")


if __name__ == "__main__":
    main()
