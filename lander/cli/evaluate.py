"""`lander-ctl evaluate`: how good a policy is that was saved."""

import json
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lander.cli.options import Settings, common
from lander.protocol.errors import LanderError, NotFoundError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lander.cli.policies import Saved
    from lander.protocol.events import EvaluationFinished
    from lander.store.reader import Reader

HEADINGS = ("run", "step", "episodes", "mean return", "lowest", "highest")


@click.command()
@click.argument("target")
@click.option(
    "--episodes", type=click.IntRange(1, 10_000), metavar="N", help="How many (as many as the experiment's evaluations have)."
)
@click.option("--at", metavar="STEP|last|best|final", help="Which checkpoint (default: the last); best in evaluation.")
@click.option("--json", "as_json", is_flag=True, help="Every return and length, for programs.")
@common()
@click.pass_obj
def evaluate(settings: Settings, target: str, episodes: int | None, at: str | None, as_json: bool) -> int:
    """Tell how well saved policies play.

    They play without exploring.

    TARGET is a run, an arm or an experiment, of which every run that has a checkpoint is evaluated, or the path of a model
    that one of them saved. The episodes have the seeds of every evaluation, so that what was evaluated while it trained gives
    the same returns once more. Nothing is recorded, and no file is unpickled.

    \b
    Examples:
      lander-ctl evaluate demo
      lander-ctl evaluate demo/fast/0 --at best --episodes 100
      lander-ctl evaluate results/experiments/demo/models/fast-0-final.zip
    """
    from lander.store.reader import Reader

    with Reader(settings.home) as reader, warnings.catch_warnings(action="ignore"):  # what the run's log has said before
        found = [(saved.run, _evaluated(reader, saved, episodes)) for saved in _meant(reader, target, at)]
    click.echo(_as_json(found) if as_json else "\n".join(_lines(found)))
    return 0


def _meant(reader: "Reader", target: str, at: str | None) -> "list[Saved]":
    from lander.cli.policies import policies, policy_of_model

    path = Path(target)
    if path.is_file():
        if at is not None:
            raise UsageError(f"--at {at}: {target} is of one step only; leave --at out")
        return [policy_of_model(reader, path)]
    if path.suffix == ".zip":
        raise NotFoundError(f"{target}: no such file")
    found, missing = policies(reader, target, at or "last")
    for sentence in missing:
        click.echo(f"lander-ctl: {sentence}", err=True)
    return found


def _evaluated(reader: "Reader", saved: "Saved", episodes: int | None) -> "EvaluationFinished":
    """Raises `LanderError` where the policy cannot be loaded or its environment fails."""
    from lander.actors.evaluation import as_event, evaluate
    from lander.actors.recording import EnvironmentFailedError
    from lander.cli.policies import load
    from lander.cli.subject import arm_of
    from lander.protocol.experiment import Experiment, RunKey

    arm, name = arm_of(reader, saved.run), RunKey.parse(saved.run).experiment
    usual = reader.experiment(name).eval_episodes or Experiment.model_fields["eval_episodes"].default
    _tell(f"evaluating {saved.run} at step {saved.checkpoint.step:,}")
    try:
        policy = load(reader.home, saved.run, arm, saved.checkpoint)
        return as_event(saved.checkpoint.step, evaluate(policy, arm, episodes or usual))
    except EnvironmentFailedError as error:
        raise LanderError(f"{saved.run}: {error}") from error
    finally:
        _tell("")


def _tell(what: str) -> None:
    """What is going on, for whoever is watching: it may take a while."""
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{what}\r", err=True, nl=False)


# --- showing it -------------------------------------------------------------------------------------------------------


def _lines(found: "Sequence[tuple[str, EvaluationFinished]]") -> "Iterator[str]":
    from statistics import stdev

    from lander.cli.text import aligned, number

    rows: list[tuple[str, ...]] = [HEADINGS]
    for run, each in found:
        count = len(each.returns)
        spread = f" ± {number(stdev(each.returns))}" if count > 1 else ""
        mean, low, high = (number(value) for value in (each.mean_return, min(each.returns), max(each.returns)))
        rows.append((run, f"{each.step:,}", f"{count:,}", mean + spread, low, high))
    yield from aligned(rows, 1)


def _as_json(found: "Sequence[tuple[str, EvaluationFinished]]") -> str:
    from lander.reports.export.plain import plain

    told: list[dict[str, Any]] = [
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
    return json.dumps({"evaluations": plain(told)}, indent=2, ensure_ascii=False, allow_nan=False)
