"""`lander-ctl video`: film the policy of a run."""

import warnings
from pathlib import Path

import click

from lander.app.replay_subject import MOST_AT_ONCE
from lander.cli.options import CommandSettings, at_option, common
from lander.cli.progress import doing
from lander.cli.terminal import show, show_sentence


@click.command()
@click.argument("run")
@at_option(default="last", show_default=True, help="The checkpoint; best is best in evaluation.")
@click.option(
    "--episodes",
    type=click.IntRange(1, MOST_AT_ONCE),
    default=1,
    show_default=True,
    metavar="N",
    help="Number of episodes, shown side by side.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - MOST_AT_ONCE),
    metavar="SEED",
    help="Seed of the first episode; the others have the next seeds (default: as in an evaluation).",
)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), metavar="PATH", help="The film: an .mp4 file.")
@common()
@click.pass_obj
def video(settings: CommandSettings, run: str, at: str, episodes: int, seed: int | None, output: Path | None) -> int:
    """Film the policy of a RUN.

    The policy plays without exploration, in the environment of evaluations. Each episode has its own seed; the default seeds
    are those of evaluations, which are the same for every run.

    \b
    Examples:
      lander-ctl video demo/fast/0
      lander-ctl video demo/fast/0 --at best --episodes 4 --output four.mp4
    """
    from lander.app.chosen_policies import chosen, load
    from lander.app.replay_subject import arm_of, evaluation_of, only_run
    from lander.home.layout import film_path
    from lander.protocol.experiment import EVALUATION_SEED, RunKey
    from lander.store.log.reader import Reader
    from lander.store.records.run_record import Record

    first = EVALUATION_SEED if seed is None else seed
    seeds = range(first, first + episodes)
    with Reader(settings.home) as reader:
        only_run(reader, run)
        arm, evaluated = arm_of(reader, run), evaluation_of(reader, run)
        checkpoint = chosen(reader, run, at)
        evaluations = [each for each in Record(reader, run).evaluations() if each.step == checkpoint.step]
    which = f"step-{checkpoint.step}-seed-{first}{f'-to-{seeds[-1]}' if episodes > 1 else ''}"
    path = output or film_path(settings.home, RunKey.parse(run), which)

    with (
        doing(f"filming {episodes} episode{'s' if episodes > 1 else ''} of {run} at step {checkpoint.step:,}"),
        warnings.catch_warnings(action="ignore"),  # the run's log already has these warnings
    ):
        from lander.app.films import difference, film_policy

        filmed = film_policy(load(settings.home, run, arm, checkpoint), evaluated, seeds, path)
    for each, played in filmed.played.items():
        show_sentence(f"step {checkpoint.step:,}, seed {each}: {played.length:,} steps, return {played.episode_return:.2f}")
        for words in filter(None, (difference(evaluation, each, played) for evaluation in evaluations)):
            show(f"warning: {run}: {words}: the film shows others", err=True)
    show_sentence(f"{path}: {filmed.frames:,} frames, {filmed.rate:g} a second")
    return 0
