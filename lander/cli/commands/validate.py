"""`lander-ctl validate`: build an experiment's environments and models without training."""

from typing import TYPE_CHECKING, Any

import click

from lander.cli.options import common, experiment_options, request_from
from lander.cli.progress import doing
from lander.cli.terminal import show, show_sentence

if TYPE_CHECKING:
    from lander.app.requests import Request


@click.command()
@experiment_options
@common()
def validate(**options: Any) -> int:
    """Build everything, train nothing.

    FILE, EXPERIMENT and KEY=VALUE are as for run. Builds every environment and every model of the experiment as a trainer
    does. Each error is one line, and the exit code is then 2. Nothing is written, and no supervisor is needed.

    It is done in a process of its own, so code that crashes, exits or fills the memory is an error, too. Each environment and
    each model has 60 seconds, or the stall_timeout of the file.

    \b
    Example:
      lander-ctl validate examples/demo.yaml variants.fast.hyperparameters.batch_size=100
    """
    with doing("checking the experiment", brief=True):
        wanted = request_from(**options)
    return validate_request(wanted)


def validate_request(wanted: "Request", quiet: bool = False) -> int:
    """Build everything and print what was built; raises `ConfigurationError` for what cannot be built."""
    from lander.app.requests import built_everything

    experiment = wanted.experiment
    with doing(f"building the environments and models of {len(experiment.arms)} arms"):
        built = built_everything(wanted)
    for each in built:
        for warning in each.warnings:
            show(f"warning: {each.arm}: {warning}", err=True)
    if quiet:
        return 0
    for arm, each in zip(experiment.arms, built, strict=True):
        what = f"{arm.algorithm} on {arm.environment}, {each.observations} → {each.actions}, {each.parameters:,} parameters"
        show_sentence(f"{arm.name}: {what}; {len(arm.seeds)} × {arm.training_steps:,} steps")
    show_sentence(f"{experiment.experiment_id}: valid, {len(experiment.runs)} runs; nothing was trained")
    return 0
