"""`lander-ctl stop`: end a target before its time."""

import click

from lander.cli.options import Settings, common


@click.command()
@click.argument("target")
@click.option("--no-wait", is_flag=True, help="Return as soon as the supervisor knows, not when the runs have ended.")
@common()
@click.pass_obj
def stop(settings: Settings, target: str, no_wait: bool) -> int:
    """Stop a TARGET before its time.

    What waits does not start; what trains ends at its next safe moment, within 10 seconds. What was recorded up to
    then stays. Stopping what has ended already does nothing.

    \b
    Examples:
      lander-ctl stop demo
      lander-ctl stop demo/fast/1
    """
    from lander.cli import client
    from lander.cli.wait import wait_until_ended
    from lander.store.reader import Reader

    with Reader(settings.home) as reader:
        runs = reader.runs(target)
        unfinished = reader.unfinished(target)
        accepted = client.stop(settings.home, target)
        if not no_wait:
            wait_until_ended(reader, settings.home, target)
        still = set(reader.unfinished(target))
    click.echo(f"{target}: {accepted.detail or _done(unfinished, still, len(runs))}")
    return 0


def _done(unfinished: list[str], still: set[str], of: int) -> str:
    stopped = f"stopped {sum(run not in still for run in unfinished)} of {of} run{'s' if of != 1 else ''}"
    return f"{stopped}; {len(still)} are stopping" if still else stopped
