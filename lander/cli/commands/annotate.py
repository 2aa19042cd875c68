"""What people say about an experiment: `archive`, `unarchive`, `note`, `tag` and `hypothesis`."""

import click

from lander.cli.options import CommandSettings, common
from lander.cli.terminal import show_sentence


@click.command()
@click.argument("experiment")
@common()
@click.pass_obj
def archive(settings: CommandSettings, experiment: str) -> int:
    """Leave an EXPERIMENT out of status and list.

    Everything of it is kept, and every command goes on working with it. lander-ctl list --archived shows it, lander-ctl
    unarchive brings it back, and so does training it further. An experiment that is under way is not archived.

    \b
    Example:
      lander-ctl archive demo
    """
    from lander.app import annotating

    show_sentence(f"{experiment}: {annotating.archive(settings.home, experiment)}")
    return 0


@click.command()
@click.argument("experiment")
@common()
@click.pass_obj
def unarchive(settings: CommandSettings, experiment: str) -> int:
    """Show an archived EXPERIMENT in status and list again.

    \b
    Example:
      lander-ctl unarchive demo
    """
    from lander.app import annotating

    show_sentence(f"{experiment}: {annotating.unarchive(settings.home, experiment)}")
    return 0


@click.command()
@click.argument("experiment")
@click.argument("text")
@common()
@click.pass_obj
def note(settings: CommandSettings, experiment: str, text: str) -> int:
    """Write a note about an EXPERIMENT.

    It is recorded with your name and the time, and shown in the report. At most 2,000 characters.

    \b
    Example:
      lander-ctl note demo "seeds 3 and 4 were slower, the GPU was hot"
    """
    from lander.app import annotating

    show_sentence(f"{experiment}: {annotating.note(settings.home, experiment, text)}")
    return 0


@click.command()
@click.argument("experiment")
@click.argument("tags", nargs=-1, metavar="[TAG]...")
@click.option("--remove", multiple=True, metavar="TAG", help="Remove this tag; may be given several times.")
@common()
@click.pass_obj
def tag(settings: CommandSettings, experiment: str, tags: tuple[str, ...], remove: tuple[str, ...]) -> int:
    """Tag an EXPERIMENT, or remove tags.

    A tag has letters, digits, '.', '_' and '-', and at most 32 of them. lander-ctl list --tag TAG finds the experiments
    that have it.

    \b
    Examples:
      lander-ctl tag demo baseline paper-fig-2
      lander-ctl tag demo --remove baseline
    """
    from lander.app import annotating

    show_sentence(f"{experiment}: {annotating.tag(settings.home, experiment, tags, remove)}")
    return 0


@click.command()
@click.argument("experiment")
@click.argument("text")
@common()
@click.pass_obj
def hypothesis(settings: CommandSettings, experiment: str, text: str) -> int:
    """Amend the hypothesis of an EXPERIMENT, on record.

    status shows the new wording. The report shows the original and every amendment with its time, and whether it came after
    results could be seen: a hypothesis that was fitted to results is not tested by them. At most 2,000 characters.

    \b
    Example:
      lander-ctl hypothesis demo "A larger learning rate speeds up training"
    """
    from lander.app import annotating

    show_sentence(f"{experiment}: {annotating.amend_hypothesis(settings.home, experiment, text)}")
    return 0
