"""`lander-ctl` as its users meet it: a process of its own; and in this one, where that shows the same and takes less time."""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from unittest import mock

from lander.cli.main import main

LANDER = (sys.executable, "-m", "lander")
TINY = {
    "experiment_id": "tiny",
    "hypothesis": "More is better",
    "environment": "CartPole-v1",
    "algorithm": "PPO",
    "training_steps": 256,
    "seeds": [0],
    "eval_episodes": 2,
    "hyperparameters": {"n_steps": 64, "batch_size": 32, "n_epochs": 1},
    "baseline": {},
    "variants": {"fast": {"hyperparameters": {"learning_rate": 1e-3}}},
}
ENDLESS = TINY | {"experiment_id": "endless", "training_steps": 10_000_000, "seeds": [0, 1]}


SAID_LATE = re.compile(r"^(checking the|starting|handing|comparing|gathering|waiting for|looking for|going back) .*…\n", re.M)
"""What a command says it is doing only where that takes more than a second, as on a machine that is busy."""


class Command(subprocess.Popen):
    """The command as a process. Standard error is given without what is only said on a busy machine."""

    def communicate(self, *arguments, **options):
        output, errors = super().communicate(*arguments, **options)
        return output, errors and SAID_LATE.sub("", errors)


def start(home, *arguments, **options):
    """The command, started as a process of its own."""
    environment = {name: value for name, value in os.environ.items() if name != "LANDER_HOME"} | {"LANDER_HOME": str(home)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return Command([*LANDER, *map(str, arguments)], text=True, env=environment, **pipes, **options)


def lander(home, *arguments, **options):
    """The command's exit code, standard output and standard error."""
    with start(home, *arguments, **options) as process:
        output, errors = process.communicate(timeout=90)
    return process.returncode, output, errors


def lander_here(home, *arguments, cwd=None):
    """As `lander`, in this process: for commands of which it does not matter what else their process has imported."""
    output, errors = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with (
        mock.patch.dict(os.environ, {"LANDER_HOME": str(home)}),
        contextlib.chdir(cwd or Path.cwd()),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(errors),
    ):
        code = main(list(map(str, arguments)))
    said, complained = (stream.buffer.getvalue().decode() for stream in (output, errors))
    return code, said, SAID_LATE.sub("", complained)


def written(path, experiment):
    """The experiment as a file."""
    path.write_text(json.dumps(experiment))
    return path
