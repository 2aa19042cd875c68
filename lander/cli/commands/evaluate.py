"""`lander-ctl evaluate`: evaluate saved policies."""

import json
import warnings
from math import isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from lander.cli.options import CommandSettings, at_option, common
from lander.cli.progress import doing
from lander.cli.terminal import show
from lander.protocol.errors import LanderError, NotFoundError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lander.app.chosen_policies import Saved
    from lander.protocol.events import EvaluationFinished
    from lander.store.log.reader import Reader

HEADINGS: Final = ("run", "step", "episodes", "mean return", "lowest", "highest")
WIDTHS: Final = (11, 8, 20, 10, 10)
"""Widths of the columns after the first."""


@click.command()
@click.argument("target")
@click.option(
    "--episodes", type=click.IntRange(1, 10_000), metavar="N", help="Episodes of each policy (default: as in the experiment)."
)
@at_option(help="The checkpoint (default: last); best is best in evaluation.")
@click.option("--json", "as_json", is_flag=True, help="Every return and length, for programs.")
@common()
@click.pass_obj
def evaluate(settings: CommandSettings, target: str, episodes: int | None, at: str | None, as_json: bool) -> int:
    """Evaluate saved policies.

    The policies play without exploration.

    TARGET is a run, an arm or an experiment, whose runs with a checkpoint are all evaluated, the path of a model that a run
    saved, or a folder that lander-ctl export --to hub wrote, here or elsewhere. The episodes have the same seeds as every
    evaluation, so an evaluation during training gives the same returns again. Nothing is recorded, and no file is unpickled.
    A run that cannot be evaluated is named and left out, and the exit code is then not 0.

    \b
    Examples:
      lander-ctl evaluate demo
      lander-ctl evaluate demo/fast/0 --at best --episodes 100
      lander-ctl evaluate results/experiments/demo/models/fast-0-final.zip
      lander-ctl evaluate results/experiments/demo/exports/hub/fast-0
    """
    from lander.store.log.reader import Reader

    if _is_folder(settings.home, target):
        return _evaluate_folder(Path(target), episodes, at, as_json)
    with Reader(settings.home) as reader, warnings.catch_warnings(action="ignore"):  # the run's log already has these warnings
        found, missing = _selected(reader, target, at)
        codes = [_left_out(NotFoundError(sentence)) for sentence in missing]
        done = _evaluate_all(reader, found, episodes, codes)
        for line in [_as_json(done)] if as_json else _lines([saved.run for saved in found], done):
            show(line)
    return max(codes, default=0)


def _is_folder(home: Path, target: str) -> bool:
    """Whether it is the path of a directory, and no target of the home; there may be no home."""
    from lander.store.log.reader import Reader

    if not Path(target).is_dir():
        return False
    try:
        with Reader(home) as reader:
            return not reader.states(target)
    except NotFoundError:
        return True


def _evaluate_folder(folder: Path, episodes: int | None, at: str | None, as_json: bool) -> int:
    from lander.app.export.hub_folder import evaluated_folder

    if at is not None:
        raise UsageError(f"--at {at}: {folder} is of one step only; leave --at out")
    with doing(f"evaluating {folder}"):
        done = evaluated_folder(folder, episodes)
    for line in [_as_json([done])] if as_json else _lines([done[0]], iter([done])):
        show(line)
    return 0


def _selected(reader: "Reader", target: str, at: str | None) -> "tuple[list[Saved], list[str]]":
    """The policies, and a sentence for each run that has none; a name is that of a file only if no target has it."""
    from lander.app.chosen_policies import policies, policy_of_model

    path = Path(target)
    if path.suffix != ".zip" and (reader.states(target) or not path.is_file()):
        return policies(reader, target, at or "last")
    if not path.is_file():
        raise NotFoundError(f"{target}: no such file")
    if at is not None:
        raise UsageError(f"--at {at}: {target} is of one step only; leave --at out")
    return [policy_of_model(reader, path)], []


def _evaluate_all(
    reader: "Reader", found: "Sequence[Saved]", episodes: int | None, codes: list[int]
) -> "Iterator[tuple[str, EvaluationFinished]]":
    """Evaluate one after the other; prints an error and adds its exit code to `codes`."""
    for saved in found:
        try:
            evaluation = _evaluated(reader, saved, episodes)
        except LanderError as error:
            codes.append(_left_out(error))
        else:
            yield saved.run, evaluation


def _left_out(error: LanderError) -> int:
    show(f"lander-ctl: {error}", err=True)
    return error.exit_code


def _evaluated(reader: "Reader", saved: "Saved", episodes: int | None) -> "EvaluationFinished":
    """Evaluate one policy; raises `LanderError` if it cannot be loaded or its environment fails."""
    with doing(f"evaluating {saved.run} at step {saved.checkpoint.step:,}"):
        from lander.app.evaluating import evaluated

        return evaluated(reader, saved, episodes)


# --- showing it -------------------------------------------------------------------------------------------------------


def _lines(runs: "Sequence[str]", done: "Iterator[tuple[str, EvaluationFinished]]") -> "Iterator[str]":
    """A table whose rows are shown as soon as they are computed."""
    widest = max(map(len, runs))
    for number, (run, each) in enumerate(done):
        if number == 0:
            yield _line(widest, *HEADINGS)
        yield _line(widest, *_row(run, each))


def _line(widest: int, run: str, *numbers: str) -> str:
    return "  ".join([run.ljust(widest), *map(str.rjust, numbers, WIDTHS)])


def _row(run: str, evaluation: "EvaluationFinished") -> tuple[str, ...]:
    """One row; NaN and infinity are shown as such, and the extremes are those of the numbers."""
    import numpy as np

    returns = np.asarray(evaluation.returns)
    numbers = returns[~np.isnan(returns)]
    spread = float(np.std(returns, ddof=1)) if len(returns) > 1 else nan
    mean = f"{evaluation.mean_return:,.1f}" + (f" ± {spread:,.1f}" if isfinite(spread) else "")
    extremes = (f"{value:,.1f}" for value in ((numbers.min(), numbers.max()) if numbers.size else (nan, nan)))
    return run, f"{evaluation.step:,}", f"{len(returns):,}", mean, *extremes


def _as_json(found: "Iterable[tuple[str, EvaluationFinished]]") -> str:
    from lander.reports.export.plain import plain

    evaluations: list[dict[str, Any]] = [
        {
            "run": run,
            "step": each.step,
            "first_seed": each.first_seed,
            "mean_return": each.mean_return,
            "returns": each.returns,
            "lengths": each.lengths,
        }
        for run, each in found
    ]
    return json.dumps({"evaluations": plain(evaluations)}, indent=2, ensure_ascii=False, allow_nan=False)
