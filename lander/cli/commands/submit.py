"""`lander-ctl submit`: submit an experiment to the supervisor, without waiting for it."""

from typing import TYPE_CHECKING, Any

import click

from lander.cli.home_notices import workers_shut_out
from lander.cli.options import CommandSettings, common, experiment_options, launcher_options, launchers_from, request_from
from lander.cli.progress import doing
from lander.cli.terminal import show

if TYPE_CHECKING:
    from lander.app.launchers import Wanted
    from lander.app.requests import Request


@click.command()
@experiment_options
@launcher_options
@common()
@click.pass_obj
def submit(settings: CommandSettings, /, **options: Any) -> int:
    """Submit an experiment to the supervisor.

    FILE, EXPERIMENT and KEY=VALUE are as for run. Starts a supervisor if none runs; it keeps running when this terminal is
    closed. Stopped, failed and interrupted runs continue from their last checkpoints. Prints only the experiment's id on
    standard output.

    \b
    Examples:
      id=$(lander-ctl submit examples/demo.yaml) && lander-ctl wait "$id" && lander-ctl report "$id"
      lander-ctl submit demo --seeds +5
    """
    engines = options.pop("on"), options.pop("workers")
    with doing("checking the experiment", brief=True):
        wanted = request_from(**options)
    if options["mode"] == "validation":
        from lander.cli.commands.validate import validate_request

        return validate_request(wanted)
    return hand_over(wanted, settings, launchers_from(*engines))


def hand_over(wanted: "Request", settings: CommandSettings, on: "Wanted | None" = None) -> int:
    """Submit an experiment and print its id; returns the exit code."""
    from lander.app import conduct
    from lander.app.launchers import NONE

    with doing(f"handing {wanted.experiment.experiment_id} to the supervisor", brief=True):
        accepted, _ = conduct.submit(wanted, settings.home, on or NONE)
    if accepted.detail:
        show(f"lander-ctl: {accepted.subject}: {accepted.detail}", err=True)
    if shut_out := workers_shut_out(settings.home):
        show(f"lander-ctl: {shut_out}", err=True)
    show(accepted.subject)
    return 0
