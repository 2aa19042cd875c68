"""`lander-ctl schema`: print the JSON Schema of an experiment file, for editors."""

import json

import click

from lander.cli.options import common
from lander.cli.terminal import show


@click.command()
@common()
def schema() -> None:
    """Print the JSON Schema of the experiment file.

    With the schema, an editor completes the names of settings and marks errors. In YAML, a comment in the first line names
    the schema file: # yaml-language-server: $schema=experiment.schema.json

    \b
    Example:
      lander-ctl schema > experiment.schema.json
    """
    from lander.experiments.schema import experiment_schema

    show(json.dumps(experiment_schema(), indent=1, ensure_ascii=False))
