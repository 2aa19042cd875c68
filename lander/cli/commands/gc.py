"""`lander-ctl gc`: delete checkpoints that are no longer needed."""

import time

import click

from lander.cli.options import CommandSettings, common
from lander.cli.progress import doing
from lander.cli.terminal import show_sentence
from lander.store.upkeep import retention


@click.command()
@click.option("--delete", is_flag=True, help="Delete them; without this option, only list what would be deleted.")
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    default=retention.KEEP,
    show_default=True,
    metavar="N",
    help="Keep the last N of each run.",
)
@click.option(
    "--keep-every",
    type=click.IntRange(min=0),
    default=retention.KEEP_EVERY,
    show_default=True,
    metavar="M",
    help="Keep every Mth checkpoint of each run; 0 turns this rule off.",
)
@common()
@click.pass_obj
def gc(settings: CommandSettings, delete: bool, keep: int, keep_every: int) -> int:
    """List checkpoints that are not needed; --delete them.

    Kept of each run: the last N, every Mth, the one with the best mean return, the best in evaluation, those of completed
    training, and those that were forked. Files that no event mentions are left by crashes; they are deleted when they are
    older than an hour. While any run has not ended, younger files are never deleted.

    \b
    Examples:
      lander-ctl gc
      lander-ctl gc --delete --keep 1 --keep-every 0
    """
    from lander.store.log.reader import Reader

    with Reader(settings.home) as reader, doing(f"looking for what no run needs in {settings.home}", brief=True):
        found = retention.garbage(reader, retention.Retention(keep, keep_every), time.time())
    for run, (of, kept) in found.runs.items():
        if kept < of:
            show_sentence(f"{run}: {kept} of {of} checkpoints are kept")
    if not found.files:
        show_sentence(f"{settings.home}: nothing to delete")
    elif delete:
        with doing(f"deleting {_what(len(found.files), found.size)}", brief=True):
            deleted = retention.delete(settings.home, found)
        show_sentence(f"{settings.home}: deleted {_what(*deleted)}")
    else:
        what = _what(len(found.files), found.size)
        show_sentence(f"{settings.home}: would delete {what}; lander-ctl gc --delete does it")
    if found.recent:
        show_sentence(f"{settings.home}: {found.recent:,} files of the last hour stay for now: a run may just be writing them")
    return 0


def _what(files: int, size: int) -> str:
    return f"{files:,} files, {size / 1e6:,.1f} MB"
