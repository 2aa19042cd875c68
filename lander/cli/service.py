"""`lander-ctl up` and `down`: the supervisor as a background service."""

import click

from lander.cli.options import Settings, common


@click.command()
@common()
@click.pass_obj
def up(settings: Settings) -> int:
    """Have a supervisor serve the home.

    It takes up whatever was left unfinished there. Does nothing where one is running already.

    \b
    Example:
      lander-ctl up --home /data/results
    """
    from lander.cli import client

    started = client.start(settings.home)
    found = client.running(settings.home)
    whose = f" (process {found.pid})" if found is not None else ""
    click.echo(f"{settings.home}: supervisor {'started' if started else 'already running'}{whose}")
    return 0


@click.command()
@common()
@click.pass_obj
def down(settings: Settings) -> int:
    """Stop every run, then the supervisor.

    Does nothing where none is running.

    \b
    Example:
      lander-ctl down
    """
    from lander.cli import client

    stopping = _unfinished(settings)
    was_running = client.shut_down(settings.home)
    with_it = f", and {stopping} unfinished run{'s' if stopping != 1 else ''} with it" if stopping else ""
    click.echo(f"{settings.home}: " + (f"supervisor stopped{with_it}" if was_running else "no supervisor is running"))
    return 0


def _unfinished(settings: Settings) -> int:
    from lander.protocol.errors import NotFoundError
    from lander.store.reader import Reader

    try:
        with Reader(settings.home) as reader:
            return len(reader.unfinished())
    except NotFoundError:
        return 0
