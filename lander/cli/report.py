"""`lander-ctl report`: what an experiment showed."""

from pathlib import Path

import click

from lander.cli.options import Settings, common


@click.command()
@click.argument("experiment")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), metavar="PATH", help="Write it there instead.")
@common()
@click.pass_obj
def report(settings: Settings, experiment: str, form: str, output: Path | None) -> int:
    """Print the verdict on an EXPERIMENT.

    Each arm's final return over its seeds, and each variant's difference to the baseline, paired by seed. Runs that have
    not completed are left out, and the report says which.

    \b
    Examples:
      lander-ctl report demo
      lander-ctl report demo --format json --output verdict.json
    """
    from lander.reports.text import as_json, as_text
    from lander.reports.verdict import verdict
    from lander.store.reader import Reader

    with Reader(settings.home) as reader:
        found = verdict(reader, experiment)
    written = as_text(found) if form == "text" else as_json(found)
    if output is None:
        click.echo(written)
    else:
        output.write_text(written + "\n", "utf-8")
    return 0
