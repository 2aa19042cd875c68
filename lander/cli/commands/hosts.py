"""`lander-ctl hosts`: the machines that train, and what a person may ask of them."""

import click

from lander.cli.home_notices import home_notices
from lander.cli.options import CommandSettings, common
from lander.cli.terminal import show


@click.command()
@click.argument("verb", type=click.Choice(["drain", "resume", "revoke"]), required=False)
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@common()
@click.pass_obj
def hosts(settings: CommandSettings, verb: str | None, name: str | None, as_json: bool) -> int:
    """Show the hosts; drain, resume or revoke one.

    drain: it is given no more runs, and what trains there writes a checkpoint and goes on elsewhere. resume: it is given runs
    again. revoke: its key is accepted no more, until a new token lets it in; what trains there goes on elsewhere from its last
    checkpoint. The host on the supervisor's own machine is called local; it is set aside while an engine starts the workers.
    Without a supervisor, the hosts are shown as they were last recorded, and standard error says so.

    \b
    Examples:
      lander-ctl hosts
      lander-ctl hosts drain gpu3
    """
    from lander.app import host_table
    from lander.protocol.errors import UsageError

    if verb is not None:
        if name is None:
            raise UsageError(f"lander-ctl hosts {verb}: which host? lander-ctl hosts shows them")
        accepted = host_table.command(settings.home, verb, name)
        show(f"{accepted.subject}: {accepted.detail}")
        return 0
    show(host_table.as_json(settings.home) if as_json else host_table.as_text(settings.home))
    for notice in home_notices(settings, under_way=True):
        show(notice, err=True)
    return 0
