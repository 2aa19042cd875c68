"""`lander-ctl run`: from question to verdict in one command."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lander.cli.options import CommandSettings, common, experiment_options, request_from

if TYPE_CHECKING:
    from lander.app.requests import Request
    from lander.store.projections.status import ExperimentStatus


@click.command()
@experiment_options
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors and warnings.")
@common()
@click.pass_obj
def run(settings: CommandSettings, /, quiet: bool, **options: Any) -> int:
    """Train an experiment, show how it goes, print the verdict.

    FILE is JSON, YAML or TOML; KEY=VALUE changes one of its settings. What was stopped, failed or interrupted goes on
    from its last checkpoints, whether by its FILE or by its id; more training_steps extend what is done already, and more
    seeds add runs to it.

    \b
    Examples:
      lander-ctl run examples/demo.yaml
      lander-ctl run examples/demo.yaml training_steps=10_000 variants.fast.hyperparameters.learning_rate=1e-2 --seeds 0-4
      lander-ctl run --experiment-id demo training_steps=100_000
      lander-ctl run --experiment-id demo --seeds +5

    Ctrl-C stops the experiment at its next checkpoint, and a second one stops waiting for that. A terminal that is
    closed stops nothing: lander-ctl status tells how it stands, lander-ctl stop stops it. The exit code is 0 only when
    every run completed.
    """
    if options["mode"] == "validation":
        from lander.cli.commands.validate import validate_request

        return validate_request(request_from(**options), quiet)
    return carry_out(request_from(**options), settings, quiet)


def carry_out(wanted: "Request", settings: CommandSettings, quiet: bool) -> int:
    """Conduct an experiment, show how it goes, print the verdict; returns the exit code."""
    from lander.app.conduct import conduct
    from lander.app.live_view import live_view
    from lander.store.projections.status import every_run_completed

    with live_view(quiet) as show:
        standing = conduct(wanted, settings.home, show, lambda said: click.echo(f"lander-ctl: {said}", err=True))
    _tell_of_failures(standing, settings.verbose)
    if not quiet:
        _print_verdict(settings.home, standing["id"])
    return 0 if every_run_completed([standing]) else 1


def _tell_of_failures(standing: "ExperimentStatus", verbose: bool) -> None:
    """What became of each run that failed, on standard error: the last line of its traceback, or with -v all of it; and why
    it was not tried again."""
    for each in standing["runs"]:
        if each["state"] in ("failed", "skipped"):
            lines = (each["detail"] or "").strip().splitlines() or ["nothing more is known"]
            detail = "\n".join(lines) if verbose else lines[-1]
            told = f"lander-ctl: {each['id']} {each['state']}: {each['cause']}: {detail}"
            given_up = f"; given up: {each['why']}" if each["why"] else ""
            click.echo(f"{told}{given_up} (lander-ctl logs {each['id']} has its log)", err=True)


def _print_verdict(home: Path, name: str) -> None:
    from lander.cli.commands.report import in_terminal
    from lander.home.layout import experiment_directory
    from lander.reports.analysis.comparison import findings
    from lander.store.log.reader import Reader

    with Reader(home) as reader, reader.snapshot():
        click.echo(f"\n{in_terminal(reader, findings(reader, name))}\n")
    click.echo(
        f"models and logs are in {experiment_directory(home, name)}; lander-ctl report {name} --format html makes a page"
    )
