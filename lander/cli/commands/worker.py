"""`lander-ctl worker`: train on this machine for a supervisor on another one."""

from pathlib import Path

import click

from lander.cli.options import CommandSettings, common
from lander.cli.progress import doing
from lander.cli.terminal import keep_home, show


@click.command()
@click.argument("head", metavar="HOST:PORT")
@click.option("--token-file", metavar="FILE|-", help="The token, from lander-ctl token there; needed the first time only.")
@click.option(
    "--shared", type=click.Path(path_type=Path), metavar="DIR", help="The supervisor's home, as this machine sees it."
)
@click.option("--slots", metavar="cpu=N,gpu=M", help="Offer N cores and M GPUs (default: all that this process may use).")
@click.option("--walltime", metavar="TIME", help="Whoever started it ends it after this time, such as 4h: leave before.")
@click.option("--grace", metavar="TIME", help="Once it leaves, checkpoints may take this long (default: 30s).")
@click.option("--labels", metavar="A,B", help="What experiments may ask for, as in hosts: {labels: [a100]}.")
@click.option(
    "--name", metavar="NAME", help="What this host is called, if the token does not say (default: the machine's name)."
)
@click.option("--leave-with", type=int, metavar="FD", help="Leave when the other end of this pipe, a descriptor, is closed.")
@common(home="The worker's own home, whatever $LANDER_HOME is (default: as above).")
@click.pass_context
def worker(
    context: click.Context,
    head: str,
    token_file: str | None,
    shared: Path | None,
    slots: str | None,
    walltime: str | None,
    grace: str | None,
    labels: str | None,
    name: str | None,
    leave_with: int | None,
) -> int:
    """Train on this machine for the supervisor at HOST:PORT.

    Dials out only. Ends on Ctrl-C or SIGTERM, after what trains here has written a checkpoint; the next start needs no token.
    The worker's own home (--home) is a directory of this machine, by default ~/.local/state/lander-ctl/workers/HOST-PORT;
    $LANDER_HOME does not change that. Checkpoints and models travel to the supervisor's home, but not with --shared, for
    machines that both see it.

    \b
    Examples:
      lander-ctl worker head.lab:7411 --token-file gpu3.token
      lander-ctl worker head.lab:7411 --token-file gpu3.token --shared /nfs/results
    """
    from lander.app import worker as workers
    from lander.app.durations import duration
    from lander.app.secret_files import read_token

    settings = context.find_object(CommandSettings) or CommandSettings()
    keep_home(None)  # it is this worker's, and the commands in messages are for the supervisor's machine
    workers.check_head(head)
    wanted = workers.wanted_slots(slots)
    pipe = workers.check_pipe(leave_with)
    cpus = workers.slots(wanted.get("cpu"))
    gpus = workers.gpus(wanted.get("gpu"), len(cpus), workers.usable_gpus())
    home = settings.home if settings.home_given else workers.default_home(head)
    times = duration("--grace", grace), duration("--walltime", walltime)
    here = workers.Worker(head, home, name or workers.default_name(), cpus, workers.labels(labels), *times, pipe, gpus)
    token = read_token(token_file) if token_file else None
    with doing(f"looking for the supervisor at {head}", brief=True):
        enrolled = workers.prepare(here, token, shared)
    if name and enrolled.name != name:
        show(f"lander-ctl: this worker is called {enrolled.name}, as its token or its first start says", err=True)
    workers.become_agent(here, enrolled)
