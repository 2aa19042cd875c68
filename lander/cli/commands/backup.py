"""`lander-ctl backup`: a consistent copy while training runs."""

from pathlib import Path

import click

from lander.cli.options import CommandSettings, common
from lander.cli.progress import doing
from lander.cli.terminal import show, show_sentence


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@common()
@click.pass_obj
def backup(settings: CommandSettings, path: Path) -> int:
    """Copy the home to PATH, which becomes a home.

    The copy has a snapshot of the log, and every checkpoint and model that the log names. Training may go on meanwhile.
    PATH appears only when the copy is complete. lander-ctl up --home PATH continues from the copy.

    \b
    Example:
      lander-ctl backup /backups/results-monday && lander-ctl check --home /backups/results-monday
    """
    from lander.store.upkeep.backup import back_up

    with doing(f"copying {settings.home} to {path}"):
        made = back_up(settings.home, path)
    show_sentence(f"{path}: the log up to position {made.position:,}, and {made.files:,} files, {made.size / 1e6:,.1f} MB")
    for name in made.lost:
        file = name if "/" in name else f"artifact {name}"
        show(f"lander-ctl: warning: {file} is missing or damaged, and not in the backup", err=True)
    return 1 if made.lost else 0
