"""`lander-ctl export`: write the record in the formats of other tools."""

import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Final

import click

from lander.app.export import formats
from lander.cli.options import FOLLOW_SECONDS, CommandSettings, common
from lander.cli.progress import doing
from lander.cli.terminal import show, show_sentence

if TYPE_CHECKING:
    from lander.reports.export.formats import Exported
    from lander.store.log.reader import Reader

_TO: Final = "The tool, or the form of tables, for which the record is written; lander-ctl report --format has the findings."


@click.command()
@click.argument("target")
@click.option("--to", "form", type=click.Choice(list(formats.FORMATS)), required=True, help=_TO)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="The directory to write (default: exports/<format> in the experiment's directory).",
)
@click.option("--at", type=click.Choice(["final", "best"]), help="Only --to hub: the model; best is best in evaluation.")
@click.option("-f", "--follow", is_flag=True, help="Only --to tensorboard: add new data until the TARGET has ended or Ctrl-C.")
@common()
@click.pass_obj
def export(settings: CommandSettings, target: str, form: str, output: Path | None, at: str | None, follow: bool) -> int:
    """Export the record of a TARGET to another tool.

    Superseded data is left out: what an attempt did after the checkpoint from which the next attempt continued. DIR appears
    only when it is complete. It replaces an earlier export there, and nothing else.

    csv, json and parquet are tables (runs, episodes, evaluations, metrics, resources); jsonl has the events themselves, with
    every step. tensorboard, wandb (offline runs, for wandb sync) and mlflow (a tracking database) have each run's
    configuration, and its metrics at their timesteps under Stable-Baselines3's names.

    minari is an offline dataset of each run's episodes. It replays them for their observations, which no log has; an episode
    that differs from the record is named and left out, and the exit code is then not 0. hub is a folder for each completed
    run as the Hugging Face Hub expects it: model, model card, evaluation, film. Nothing is sent.

    \b
    Examples:
      lander-ctl export demo --to csv
      lander-ctl export demo/fast --to tensorboard --output runs/fast --follow
      lander-ctl export demo/fast/0 --to minari
    """
    from lander.store.log.reader import Reader

    if follow and form != "tensorboard":
        raise click.UsageError(f"--follow goes with --to tensorboard, and not with {form}", click.get_current_context())
    if at and form != "hub":
        raise click.UsageError(f"--at goes with --to hub, and not with {form}", click.get_current_context())
    with Reader(settings.home) as reader:
        with ExitStack() as stack:
            begin = partial(stack.enter_context, doing(f"exporting {target} for {form}"))
            exported = formats.export(reader, target, form, output, begin, **({"at": at} if at else {}))
        for words in exported.left_out:
            show(f"lander-ctl: {words}", err=True)
        runs = f"{exported.runs} run{'s' if exported.runs != 1 else ''}"
        show_sentence(f"{exported.directory}: {runs} of {target} for {form}, up to position {exported.position:,}")
        if next_step := formats.FORMATS[form].next_step:
            show(next_step.format(directory=quote(str(exported.directory))))
        if follow:
            _follow(reader, target, exported)
    return 1 if exported.left_out else 0


def _follow(reader: "Reader", target: str, exported: "Exported") -> None:
    """Append as the log grows; after the target has ended, once more, so that the last events are not missed."""
    from lander.reports.export.tensorboard import Following

    with Following(reader, target, exported) as following:
        while reader.unfinished(target):
            following.grow()
            time.sleep(FOLLOW_SECONDS)
        following.grow()
