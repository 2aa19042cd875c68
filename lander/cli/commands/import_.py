"""`lander-ctl import`: write an entry of RL Baselines3 Zoo as an experiment file."""

from pathlib import Path

import click

from lander.cli.options import common
from lander.cli.terminal import show, show_sentence, warn


@click.command("import")
@click.argument("file", metavar="ZOO.yml", type=click.Path(path_type=Path))
@click.option("--environment", required=True, metavar="ID", help="The environment whose entry is taken.")
@click.option("--algorithm", metavar="NAME", help="The algorithm, if the file is not called by it as ppo.yml is.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="Write FILE; default: print it.")
@common()
def import_(file: Path, environment: str, algorithm: str | None, output: Path | None) -> int:
    """Write an entry of a hyperparameter file of RL Baselines3 Zoo as an experiment file.

    ZOO.yml is read as it stands, or is a file of the installed rl_zoo3 if there is none here. An entry that cannot be expressed
    is refused with its line. Without an entry of its own, an Atari
    game gets the entry atari, and any other environment the entry default, as in the zoo. No file is replaced.

    \b
    Examples:
      lander-ctl import ppo.yml --environment LunarLander-v3
      lander-ctl import tuned.yml --algorithm sac --environment Pendulum-v1 --output pendulum.yaml
    """
    from lander.app.zoo import experiment_file_of, refuse_to_replace

    text, notices = experiment_file_of(file, environment, algorithm)
    for notice in notices:
        warn(notice)
    if output is None:
        show(text, end="")
        return 0
    refuse_to_replace(output)
    output.write_text(text, encoding="utf-8")
    show_sentence(f"{output} is written; lander-ctl run {output} trains it")
    return 0
