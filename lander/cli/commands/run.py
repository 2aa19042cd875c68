"""`lander-ctl run`: train an experiment and print its verdict."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lander.cli.options import CommandSettings, common, experiment_options, launcher_options, launchers_from, request_from
from lander.cli.progress import doing
from lander.cli.status_notices import notices_while_followed
from lander.cli.terminal import show, show_sentence, show_styled

if TYPE_CHECKING:
    from lander.app.launchers import Wanted
    from lander.app.requests import Request
    from lander.store.projections.status import ExperimentStatus


@click.command()
@experiment_options
@launcher_options
@common()
@click.pass_obj
def run(settings: CommandSettings, /, **options: Any) -> int:
    """Train an experiment, show its progress, print the verdict.

    FILE is JSON, YAML or TOML; EXPERIMENT is the id of a recorded one; KEY=VALUE changes a setting. Stopped, failed and
    interrupted runs continue from their last checkpoints, whether the experiment is given by FILE or by id. More training_steps
    extend its runs, more seeds add runs, and one more variant adds an arm: only what is added trains.

    \b
    Examples:
      lander-ctl run examples/demo.yaml
      lander-ctl run examples/demo.yaml training_steps=10_000 variants.fast.hyperparameters.learning_rate=1e-2 --seeds 0-4
      lander-ctl run --zoo ppo LunarLander-v3 training_steps=100_000
      lander-ctl run demo
      lander-ctl run demo training_steps=100_000
      lander-ctl run demo --seeds +5
      lander-ctl run examples/demo.yaml --on ssh:gpu1,gpu2
      lander-ctl run demo variants.wide.hyperparameters.learning_rate=1e-2

    Ctrl-C stops the experiment at its next checkpoint; a second Ctrl-C does not wait for that. If the experiment was under way
    before, Ctrl-C ends only this command. Closing the terminal, or the pipe that reads the output, stops nothing: lander-ctl
    status shows its state, lander-ctl stop stops it. The exit code is 0 only if every run completed.
    """
    engines = options.pop("on"), options.pop("workers")
    with doing("checking the experiment", brief=True):
        wanted = request_from(**options)
    if options["mode"] == "validation":
        from lander.cli.commands.validate import validate_request

        return validate_request(wanted, settings.quiet)
    return carry_out(wanted, settings, launchers_from(*engines))


def carry_out(wanted: "Request", settings: CommandSettings, on: "Wanted | None" = None) -> int:
    """Conduct an experiment, show its progress unless quiet, print the verdict; returns the exit code."""
    from lander.app.conduct import conduct
    from lander.app.launchers import NONE
    from lander.app.live_view import live_view
    from lander.store.projections.status import every_run_completed

    with (
        notices_while_followed(settings, wanted.experiment.experiment_id) as notices,
        live_view(settings.quiet, notices) as show_status,
        ExitStack() as starting,
    ):
        starting.enter_context(doing(f"starting {wanted.experiment.experiment_id}", brief=True))

        def begun(standing: "ExperimentStatus") -> None:
            starting.close()
            show_status(standing)

        standing = conduct(wanted, settings.home, begun, lambda message: show(f"lander-ctl: {message}", err=True), on or NONE)
    _print_failures(standing, settings.verbose)
    _print_exceeded_limits(standing, settings)
    _print_verdict(settings.home, standing["id"], alone=settings.quiet)
    return 0 if every_run_completed([standing]) else 1


def _print_failures(standing: "ExperimentStatus", verbose: bool) -> None:
    """Print on standard error, for each run that failed or was skipped, the error in one line (its traceback with -v), and why
    it was not retried."""
    from lander.protocol.error_text import in_one_line
    from lander.protocol.retrying import how_to_retry, needs_new_code

    for each in standing["runs"]:
        if each["state"] in ("failed", "skipped"):
            said = each["detail"] or ""
            detail = (said.strip() if verbose else in_one_line(said)) or "nothing more is known"
            failure = f"lander-ctl: {each['id']} {each['state']}: {each['cause']}: {detail}"
            given_up = f"; given up: {each['why']}" if each["why"] else ""
            causes = [each["cause"]]
            next_step = f"; once it is mended, {how_to_retry(each['id'], causes, 'it')}" if needs_new_code(causes) else ""
            show(f"{failure}{given_up}{next_step} (lander-ctl logs {each['id']} has its log)", err=True)


def _print_exceeded_limits(standing: "ExperimentStatus", settings: CommandSettings) -> None:
    """Print on standard error which limits are to be raised before the runs go on that have exceeded them."""
    from lander.app.ways_on import after_exceeded_limits
    from lander.store.log.reader import Reader

    with Reader(settings.home) as reader:
        for line in after_exceeded_limits(reader, standing):
            show(f"lander-ctl: {line}", err=True)


def _print_verdict(home: Path, name: str, *, alone: bool) -> None:
    from lander.cli.commands.report import in_terminal
    from lander.home.layout import experiment_directory
    from lander.reports.analysis.comparison import findings
    from lander.store.log.reader import Reader

    with doing(f"comparing the arms of {name}", brief=True), Reader(home) as reader, reader.snapshot():
        verdict = in_terminal(reader, findings(reader, name), headed=alone)  # the view has ended with the heading
    show_styled(f"{verdict}\n" if alone else f"\n{verdict}\n")
    show_sentence(
        f"models and logs are in {experiment_directory(home, name)}; lander-ctl report {name} --format html makes a page"
    )
