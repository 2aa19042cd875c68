"""`lander-ctl export`: the record in the formats of other tools."""

import time
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import click

from lander.cli.options import FOLLOW_SECONDS, CommandSettings, common
from lander.reports.export import formats

if TYPE_CHECKING:
    from lander.store.log.reader import Reader


@click.command()
@click.argument("target")
@click.option("--to", "form", type=click.Choice(list(formats.FORMATS)), required=True, help="What to write.")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where to (default: exports/<format> beside the experiment's models).",
)
@click.option("-f", "--follow", is_flag=True, help="Go on until the TARGET has ended or Ctrl-C; with --to tensorboard.")
@common()
@click.pass_obj
def export(settings: CommandSettings, target: str, form: str, output: Path | None, follow: bool) -> int:
    """Write what a TARGET recorded for another tool.

    As it counts: what an attempt did beyond the checkpoint from which the next went on is left out. DIR appears when it is
    whole; an earlier export there is replaced, and nothing else is.

    csv, json and parquet are tables (runs, episodes, evaluations, metrics, resources), jsonl the events themselves with
    every step. tensorboard, wandb (offline runs, for wandb sync) and mlflow (a tracking database) hold the metrics under
    Stable-Baselines3's names, at their timesteps, and each run's configuration.

    \b
    Examples:
      lander-ctl export demo --to csv
      lander-ctl export demo/fast --to tensorboard --output runs/fast --follow
    """
    from lander.store.log.reader import Reader

    if follow and form != "tensorboard":
        raise click.UsageError(f"--follow goes with --to tensorboard, and not with {form}", click.get_current_context())
    with Reader(settings.home) as reader:
        exported = formats.export(reader, target, form, output)
        runs = f"{exported.runs} run{'s' if exported.runs != 1 else ''}"
        click.echo(f"{exported.directory}: {runs} of {target} for {form}, up to position {exported.position:,}")
        if next_step := formats.FORMATS[form].next_step:
            click.echo(next_step.format(directory=quote(str(exported.directory))))
        if follow:
            _follow(reader, target, exported)
    return 0


def _follow(reader: "Reader", target: str, exported: formats.Exported) -> None:
    """Append as the log grows; whether that is over is asked before, so that the last words are not missed."""
    from lander.reports.export.tensorboard import Following

    with Following(reader, target, exported) as following:
        while reader.unfinished(target):
            following.grow()
            time.sleep(FOLLOW_SECONDS)
        following.grow()
