"""`lander-ctl fork`: the same past, one difference."""

from typing import TYPE_CHECKING, Any

import click

from lander.cli.options import CommandSettings, common, execution_said

if TYPE_CHECKING:
    from lander.protocol.experiment import Experiment


@click.command()
@click.argument("target")
@click.argument("overrides", nargs=-1, metavar="KEY=VALUE...")
@click.option("--at", required=True, metavar="STEP|last|best|final", help="The checkpoint to go on from; best in evaluation.")
@click.option("--training-steps", type=click.IntRange(min=1), metavar="N", help="Train both arms up to N steps.")
@click.option("--seeds", metavar="SEEDS", help="Only these of the arm's seeds, such as 0-4 or 1,7.")
@click.option("--experiment-id", metavar="ID", help="Name the new experiment.")
@click.option("--mode", type=click.Choice(["sequential", "parallel"]), help="One run after the other, or many at once.")
@click.option("--max-workers", type=click.IntRange(min=1), metavar="N", help="At most N runs at once.")
@click.option("--no-monitoring", is_flag=True, help="Do not measure the processor and memory that runs use.")
@click.option("--no-shortcuts", is_flag=True, help="Train by SB3's own code alone: the same bits, slower.")
@click.option("--submit", "only_submit", is_flag=True, help="Hand it to the supervisor and print its id, as submit does.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors and warnings.")
@common()
@click.pass_obj
def fork(
    settings: CommandSettings,
    /,
    target: str,
    overrides: tuple[str, ...],
    at: str,
    training_steps: int | None,
    experiment_id: str | None,
    only_submit: bool,
    quiet: bool,
    **how: Any,
) -> int:
    """Start a new experiment from a checkpoint, with a change.

    Its baseline continues TARGET unchanged, its variant continues it with KEY=VALUE: the same past, one difference. TARGET
    is a run, or an arm, of which every run with that checkpoint is forked, so that several seeds can be compared. A change
    is a hyperparameter by its name, or environment_kwargs; the policy, its optimizer, its replay buffer and the number of
    environments stay what they are.

    \b
    Examples:
      lander-ctl fork demo/fast --at 10240 learning_rate=1e-4
      lander-ctl fork demo/fast/0 --at last --training-steps 100000 ent_coef=0.01 environment_kwargs.enable_wind=true

    Ctrl-C, exit codes and the rest are those of run.
    """
    from lander.app.forking import fork_request
    from lander.cli.commands.run import carry_out
    from lander.cli.commands.submit import hand_over

    execution = execution_said(how["mode"], how["max_workers"], how["no_monitoring"], how["no_shortcuts"])
    if training_steps is not None:
        overrides = (*overrides, f"training_steps={training_steps}")
    chosen = {"experiment_id": experiment_id, "seeds": how["seeds"]}
    wanted = fork_request(settings.home, target, at, overrides, execution=execution, **chosen)
    for notice in (*wanted.notices, *_hints(wanted.experiment)):
        click.echo(f"warning: {notice}", err=True)
    return hand_over(wanted, settings) if only_submit else carry_out(wanted, settings, quiet)


def _hints(experiment: "Experiment") -> list[str]:
    """What is worth knowing before the time is spent."""
    origin = experiment.origin
    if origin is None or len(experiment.baseline.seeds) > 1:
        return []
    arm = f"{origin.experiment}/{origin.arm}"
    return [f"one seed decides nothing; where {arm} has several, lander-ctl fork {arm} compares them all"]
