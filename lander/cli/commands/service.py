"""`lander-ctl up` and `down`: start and stop the supervisor as a background service."""

from typing import TYPE_CHECKING, Final

import click

from lander.cli.home_notices import workers_shut_out
from lander.cli.options import CommandSettings, common
from lander.cli.progress import doing
from lander.cli.terminal import show_sentence

_LEAST_LOST_SECONDS: Final = 30

if TYPE_CHECKING:
    from lander.store.log.reader import Reader


@click.command()
@click.option(
    "--listen", metavar="ADDRESS:PORT", default="", help="Let workers on other machines connect, such as 0.0.0.0:7411."
)
@click.option("--advertise", metavar="HOST:PORT", default="", help="What they are to connect to (default: as --listen).")
@click.option(
    "--lost-after", metavar="TIME", help="What a silent worker trains may go on elsewhere after this time (default: 120s)."
)
@click.option(
    "--store", metavar="URL", default="", help="An object store through which the workers' files go, s3://… for example."
)
@common()
@click.pass_obj
def up(settings: CommandSettings, listen: str, advertise: str, lost_after: str | None, store: str) -> int:
    """Start a supervisor for the home.

    It continues unfinished runs from their last checkpoints. If a supervisor is already running, the command does nothing.

    \b
    Examples:
      lander-ctl up --home /data/results
      lander-ctl up --listen 0.0.0.0:7411 --advertise head.lab:7411
      lander-ctl up --listen 0.0.0.0:7411 --store s3://lab-bucket/lander
    """
    from lander.app import client, launchers, service
    from lander.store.log.reader import Reader

    left = _unfinished(settings)
    with doing(f"starting a supervisor for {settings.home}", brief=True):
        on = launchers.wanted(settings.home, None, None)
        given = service.Listening(listen, advertise, _lost_seconds(lost_after), store or (on.store if listen else ""))
        listening = on.listening if given == service.NO_OTHER_MACHINE and client.running(settings.home) is None else given
        detail, started = service.stay(settings.home, listening)
    if on.settings:
        with doing("preparing for the workers of lander.toml"):
            launchers.have_them_used(settings.home, on)
    found = client.running(settings.home)
    whose = f" (process {found.pid})" if found is not None else ""
    if found is not None and found.listen:
        dialled = f", who dial {found.advertise}" if found.advertise not in ("", found.listen) else ""
        whose += f", listens on {found.listen} for workers{dialled}"
        whose += f", their files go through {found.object_store}" if found.object_store else ""
    show_sentence(f"{settings.home}: supervisor {'started' if started else 'already running'}{whose}{detail and f'; {detail}'}")
    if shut_out := workers_shut_out(settings.home):
        show_sentence(f"{settings.home}: {shut_out}")
    with Reader(settings.home) as reader:
        for name in reader.quarantined():
            left.pop(name, None)
            show_sentence(f"{name}: quarantined, since {reader.quarantine(name)}")
    for name, (open_runs, paused, of) in left.items():
        if started and open_runs:
            show_sentence(f"{name}: carries on with {open_runs} of {of} run{'s' if of != 1 else ''}")
        if started and paused:
            is_paused = f"{paused} of {of} run{'s are' if of != 1 else ' is'} paused"
            show_sentence(f"{name}: {is_paused}; lander-ctl resume {name} goes on with {'them' if paused != 1 else 'it'}")
    return 0


@click.command()
@common()
@click.pass_obj
def down(settings: CommandSettings) -> int:
    """End every process, then the supervisor.

    Running runs write a checkpoint first; lander-ctl up continues from there. If no supervisor runs, the command does
    nothing.

    \b
    Example:
      lander-ctl down
    """
    from lander.app import client, service
    from lander.home.lock import is_full

    found = client.running(settings.home)
    again = f" --listen {found.listen}" if found is not None and found.listen else ""
    again += f" --advertise {found.advertise}" if again and found is not None and found.advertise else ""
    full = is_full(settings.home)
    with doing(f"ending what runs in {settings.home}; runs that train write a checkpoint first", brief=True):
        was_running = service.shut_down(settings.home)
    left = sum(open_runs for open_runs, _, _ in _unfinished(settings).values())
    unfinished = f"{left} unfinished run{'s' if left != 1 else ''}"
    rest = f"; lander-ctl up{again} carries on with {unfinished}" if left else ""
    lost = "; the disk is full, so what was not recorded will be trained again" if full and was_running else ""
    show_sentence(f"{settings.home}: " + (f"supervisor stopped{lost}{rest}" if was_running else "no supervisor is running"))
    return 0


def _lost_seconds(lost_after: str | None) -> str:
    from lander.app.durations import duration
    from lander.protocol.errors import UsageError

    seconds = duration("--lost-after", lost_after)
    if seconds is not None and seconds < _LEAST_LOST_SECONDS:
        raise UsageError(f"--lost-after {lost_after}: a network may be silent for {_LEAST_LOST_SECONDS} s without being gone")
    return "" if seconds is None else f"{seconds:.0f}"


def _unfinished(settings: CommandSettings) -> dict[str, tuple[int, int, int]]:
    """For each experiment under way: the numbers of runs that go on by themselves, of paused runs, and of all runs."""
    from lander.protocol.errors import HomeError, NotFoundError
    from lander.store.log.reader import Reader

    try:
        with Reader(settings.home) as reader:
            counts = {name: _counts(reader, name) for name in dict.fromkeys(run.split("/")[0] for run in reader.unfinished())}
    except (NotFoundError, HomeError):  # no log yet, or one of an older version, which the supervisor upgrades
        return {}
    return counts


def _counts(reader: "Reader", experiment: str) -> tuple[int, int, int]:
    open_runs, unfinished = len(reader.under_way(experiment)), len(reader.unfinished(experiment))
    return open_runs, unfinished - open_runs, len(reader.states(experiment))
