"""What can be done with a target (an experiment, an arm or a run), named as on the command line: control it, export it.

What controls one returns what came of it in words, as the command line says it; so it is never silent that there was nothing
to do.
"""

import os
import warnings
from pathlib import Path

from lander.api.keywords import in_keywords
from lander.app import asking, retrying
from lander.protocol.commands import PauseTarget, SkipTarget, StopTarget
from lander.protocol.errors import UsageError
from lander.store.log.reader import Reader


def home_of(home: str | Path | None) -> Path:
    """The home that is meant: what is given, else LANDER_HOME, else ./results."""
    return Path(home or os.environ.get("LANDER_HOME") or "results")


def stop(target: str, *, home: str | Path | None = None) -> str:
    """Stop `EXPERIMENT[/ARM[/SEED]]`: what trains writes a checkpoint and ends. Returns before it has.

    `"stops"`, or `"nothing to stop: …"` with the state of its runs. So do `pause`, `resume`, `retry` and `skip`. Raises
    `NotFoundError` for an unknown target, and where no supervisor is running.
    """
    return asking.ask(home_of(home), StopTarget.kind, target)


def pause(target: str, *, home: str | Path | None = None) -> str:
    """Pause a target: what trains writes a checkpoint and frees its slot. Returns before it has, as `stop` does."""
    return asking.ask(home_of(home), PauseTarget.kind, target)


def resume(target: str, *, home: str | Path | None = None) -> str:
    """Go on with what is paused, stopped, failed or skipped; starts a supervisor if none runs, and returns at once."""
    return asking.resume(home_of(home), target)


def retry(target: str, *, new_code: bool = False, home: str | Path | None = None) -> str:
    """Try again what failed or was skipped; starts a supervisor if none runs, and returns at once which runs that are.

    With `new_code`, its runs begin anew, on the code of the environments as it is now.
    """
    return in_keywords(retrying.retry(home_of(home), target, new_code=new_code))


def skip(target: str, *, home: str | Path | None = None) -> str:
    """Have an experiment go on without a target. Returns as `stop` does."""
    return asking.ask(home_of(home), SkipTarget.kind, target)


def export(target: str, to: str, *, output: str | Path | None = None, home: str | Path | None = None) -> Path:
    """Write what a target recorded for another tool, as `lander-ctl export` does; returns the directory.

    `to` is `csv`, `json`, `jsonl`, `parquet`, `tensorboard`, `wandb`, `mlflow`, `minari` or `hub`. Warns of what was left out.
    Raises `NotFoundError` for an unknown target, `UsageError` for an unknown format, one whose library is not installed, or a
    directory that holds what no export wrote.
    """
    from lander.app.export import formats

    if to not in formats.FORMATS:
        raise UsageError(f"to: found {to!r}; must be one of {', '.join(formats.FORMATS)}")
    with Reader(home_of(home)) as reader:
        exported = formats.export(reader, target, to, None if output is None else Path(output))
    for words in exported.left_out:
        warnings.warn(words, stacklevel=2)
    return exported.directory
