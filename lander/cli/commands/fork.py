"""`lander-ctl fork`: start a new experiment from checkpoints of another."""

from typing import TYPE_CHECKING, Any

import click

from lander.cli.options import CommandSettings, at_option, common, given_execution, with_training_steps
from lander.cli.progress import doing
from lander.cli.terminal import warn

if TYPE_CHECKING:
    from lander.protocol.experiment import Experiment


@click.command()
@click.argument("target")
@click.argument("overrides", nargs=-1, metavar="KEY=VALUE...")
@at_option(required=True, help="The checkpoint to start from; best is best in evaluation.")
@click.option("--training-steps", type=click.IntRange(min=1), metavar="N", help="Train both arms up to N steps.")
@click.option("--seeds", metavar="SEEDS", help="Fork only these seeds of the arm, such as 0-4 or 1,7.")
@click.option("--experiment-id", metavar="ID", help="Name the new experiment.")
@click.option("--mode", type=click.Choice(["sequential", "parallel"]), help="One run at a time, or several at once.")
@click.option("--max-workers", type=click.IntRange(min=1), metavar="N", help="At most N runs at once.")
@click.option("--no-monitoring", is_flag=True, help="Do not measure the CPU and memory use of runs.")
@click.option("--no-shortcuts", is_flag=True, help="Train with SB3's own code only: the same bits, slower.")
@click.option("--submit", "only_submit", is_flag=True, help="Submit it to the supervisor and print its id, as submit does.")
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
    **how: Any,
) -> int:
    """Start a new experiment from a checkpoint, with a change.

    The baseline continues TARGET unchanged; the variant continues it with KEY=VALUE. So both have the same past. TARGET is a
    run, or an arm whose runs with that checkpoint are all forked, so that several seeds can be compared. A change is a
    hyperparameter by its name, or environment_kwargs. The policy, its optimizer, its replay buffer and the number of
    environments cannot change. Settings of the whole experiment may be given beside the change and hold for both arms:
    evaluation_environment has both evaluated in one environment, without which other environment_kwargs get no verdict.

    \b
    Examples:
      lander-ctl fork demo/fast --at 10240 learning_rate=1e-4
      lander-ctl fork demo/fast/0 --at last --training-steps 100000 ent_coef=0.01 environment_kwargs.enable_wind=true

    Ctrl-C, the exit codes and the output are as for run.
    """
    from lander.app.forking import fork_request
    from lander.cli.commands.run import carry_out
    from lander.cli.commands.submit import hand_over

    execution = given_execution(how["mode"], how["max_workers"], how["no_monitoring"], how["no_shortcuts"])
    changes = with_training_steps(overrides, training_steps)
    chosen = {"experiment_id": experiment_id, "seeds": how["seeds"]}
    with doing(f"checking the fork of {target}", brief=True):
        wanted = fork_request(settings.home, target, at, changes, execution=execution, **chosen)
    for notice in (*wanted.notices, *_hints(wanted.experiment)):
        warn(notice)
    return hand_over(wanted, settings) if only_submit else carry_out(wanted, settings)


def _hints(experiment: "Experiment") -> list[str]:
    """Hints to print before the training starts."""
    origin = experiment.origin
    if origin is None or len(experiment.baseline.seeds) > 1:
        return []
    arm = f"{origin.experiment}/{origin.arm}"
    return [f"one seed decides nothing; where {arm} has several, lander-ctl fork {arm} compares them all"]
