"""`lander-ctl diff`: the first difference of two runs."""

from pathlib import Path

import click

from lander.cli.options import CommandSettings, common
from lander.cli.progress import doing
from lander.cli.terminal import show_sentence


@click.command()
@click.argument("run")
@click.argument("other")
@click.option("--other-home", type=click.Path(path_type=Path), metavar="DIR", help="The home of OTHER, if it is not --home.")
@common()
@click.pass_obj
def diff(settings: CommandSettings, run: str, other: str, other_home: Path | None) -> int:
    """Show the first step at which two runs differ, and in what.

    Compares actions, rewards and endings of every step, and the weights and the whole state at the checkpoints that both
    runs have. RUN and OTHER are EXPERIMENT/ARM/SEED. The exit code is 0 if the runs are equal, and 1 if not.

    \b
    Examples:
      lander-ctl diff demo/baseline/0 demo/fast/0
      lander-ctl diff demo/fast/0 demo/fast/0 --other-home /backups/results-monday
    """
    from lander.app.replay_subject import only_run
    from lander.reports.analysis.divergence import as_text, compare
    from lander.store.log.reader import Reader
    from lander.store.records.run_record import Record

    with Reader(settings.home) as reader, Reader(other_home or settings.home) as others:
        for of, name in ((reader, run), (others, other)):
            only_run(of, name)
        with doing(f"comparing {run} with {other}", brief=True):
            found = compare(Record(reader, run), Record(others, other))
    show_sentence(as_text(found))
    return 0 if found.equal else 1
