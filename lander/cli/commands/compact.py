"""`lander-ctl compact`: give the space of erased events back to the file system."""

import click

from lander.cli.options import CommandSettings, common
from lander.cli.progress import doing
from lander.cli.terminal import show_sentence


@click.command()
@common()
@click.pass_obj
def compact(settings: CommandSettings) -> int:
    """Give the space of deleted experiments back.

    Rewrites the log without the space that erased events have left. A supervisor may run meanwhile; what its trainers say waits
    until it is done. That needs as much free space as the log has content.

    \b
    Example:
      lander-ctl delete demo --yes && lander-ctl compact
    """
    from lander.app import deletion

    with doing("rewriting the log", brief=True):
        before, after = deletion.compact(settings.home)
    show_sentence(f"{settings.home}: {before / 1e6:,.1f} MB before, {after / 1e6:,.1f} MB after")
    return 0
