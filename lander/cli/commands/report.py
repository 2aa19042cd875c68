"""`lander-ctl report`: report the findings of an experiment."""

import math
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import click

from lander.cli.options import CommandSettings, common
from lander.cli.progress import Tell, doing
from lander.cli.terminal import show, show_styled
from lander.protocol.errors import UsageError

if TYPE_CHECKING:
    from lander.reports.analysis.findings import Findings, PublishedPolicy
    from lander.store.log.reader import Reader

Form = Literal["text", "json", "md", "html", "csv"]
_FORMS: Final = ("text", "json", "md", "html", "csv")
_PLAIN_WIDTH: Final = 100
_OF_BASELINE: Final = "white"
_COLOURS: Final = ("bright_blue", "bright_red", "green", "magenta", "yellow", "cyan")
"""The terminal colours of the variants, in order; the nearest ones to the colours of the figures."""


@click.command()
@click.argument("experiment")
@click.option(
    "--format",
    "form",
    type=click.Choice(_FORMS),
    default="text",
    show_default=True,
    help="How the findings are written, for people; lander-ctl export --to writes the record for other tools.",
)
@click.option("--output", type=click.Path(path_type=Path), metavar="PATH", help="The file to write; for csv, a directory.")
@click.option(
    "--threshold", type=float, metavar="RETURN", help="Report the steps to this mean return.  [default: the baseline's]"
)
@click.option(
    "--beside",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Play the policy of a folder that lander-ctl export --to hub wrote, and show its return; can be given several times.",
)
@click.option("--videos", is_flag=True, help="With html: film the best, median and worst evaluation episode of each arm.")
@common()
@click.pass_obj
def report(
    settings: CommandSettings,
    experiment: str,
    form: Form,
    output: Path | None,
    threshold: float | None,
    beside: tuple[Path, ...],
    videos: bool,
) -> int:
    """Report the findings of an EXPERIMENT.

    A report has the verdict, the numbers behind it, and its caveats.

    text, json and md (without figures) go to standard output. html writes to reports/ in the experiment's directory: one
    self-contained page, the report as Markdown and JSON, and each figure as PNG and SVG. csv writes tables there, with one row
    for each episode, evaluation episode and metric. An experiment that has not ended is reported in its current state.

    \b
    Examples:
      lander-ctl report demo
      lander-ctl report demo --format html --videos
      lander-ctl report demo --format md --output demo.md
      lander-ctl report demo --beside results/experiments/old/exports/hub/fast-0
    """
    from lander.reports.analysis.comparison import findings
    from lander.store.log.reader import Reader

    _check(experiment, form, output, threshold, videos)
    if beside and form == "csv":
        raise UsageError("--beside: does not go together with --format csv; its tables are of what was recorded")
    with Reader(settings.home) as reader:
        published = _published(reader, experiment, beside)
        with reader.snapshot():
            with doing(f"comparing the arms of {experiment}", brief=True):
                found = replace(findings(reader, experiment, threshold=threshold), published=published)
                text = _WORDS[form](reader, found) if form in _WORDS else None
            if text is not None:
                _output(text, output)
            else:
                _WRITERS[form](reader, found, output, videos)
    return 0


def _published(reader: "Reader", experiment: str, folders: Sequence[Path]) -> "tuple[PublishedPolicy, ...]":
    """The policies in these folders, each evaluated; without any, nothing that can play them is imported."""
    if not folders:
        return ()
    from lander.app.published_policies import published_policy

    found = []
    for folder in folders:
        with doing(f"evaluating {folder}"):
            found.append(published_policy(reader, experiment, folder))
    return tuple(found)


def _check(experiment: str, form: str, output: Path | None, threshold: float | None, videos: bool) -> None:
    """Check the options before any work; raises `UsageError`."""
    if "/" in experiment:
        name = experiment.partition("/")[0]
        raise UsageError(f"{experiment}: a report is of a whole experiment; lander-ctl report {name} has all its runs")
    if threshold is not None and not math.isfinite(threshold):
        raise UsageError(f"--threshold: found {threshold}; must be a number")
    if videos and form != "html":
        raise UsageError(f"--videos: does not go together with --format {form}; films are shown by html")
    if output is not None and form != "csv" and output.is_dir():
        raise UsageError(f"--output: {output} is a directory; name a file in it")
    if output is not None and form == "csv" and output.is_file():
        raise UsageError(f"--output: {output} is a file; csv is several, so name a directory")
    if output is not None and not output.absolute().parent.is_dir():
        raise UsageError(f"--output: {output.parent}: no such directory")


# --- in the terminal --------------------------------------------------------------------------------------------------


def in_terminal(reader: "Reader", found: "Findings", *, headed: bool = True) -> str:
    """The verdict, the arms, their learning curves drawn with characters, and the caveats; `headed` as in `as_text`."""
    from lander.reports.analysis.material import bands, learning_curves
    from lander.reports.render.characters import learning_curves as drawn
    from lander.reports.render.text_report import as_text

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None  # elsewhere, a sentence is a line
    curves = bands(found, learning_curves(reader, found))
    picture = drawn([arm.name for arm in found.arms], curves, width or _PLAIN_WIDTH, _paint)
    return as_text(found, picture, width, headed=headed)


def _paint(text: str, arm: int) -> str:
    """Colour a text; `show_styled` removes the colour if the output is no terminal."""
    return click.style(text, fg=_COLOURS[(arm - 1) % len(_COLOURS)] if arm else _OF_BASELINE)


def _json(reader: "Reader", found: "Findings") -> str:
    from lander.reports.render.text_report import as_json

    return as_json(found)


def _output(text: str, output: Path | None) -> None:
    if output is None:
        show_styled(text)
        return
    from lander.reports.render.publication import write

    write(output, click.unstyle(text) + "\n")


_WORDS: Final[dict[str, "Callable[[Reader, Findings], str]"]] = {"text": in_terminal, "json": _json}


# --- as files ---------------------------------------------------------------------------------------------------------


def _markdown(reader: "Reader", found: "Findings", output: Path | None, videos: bool) -> None:
    from lander.reports.analysis.material import gather
    from lander.reports.render.markdown import markdown
    from lander.reports.render.publication import write_markdown

    with doing(f"gathering the numbers of {found.experiment}", brief=True):
        material = gather(reader, found)
    if output is None:
        show(markdown(material), end="")
    else:
        write_markdown(material, output)


def _page(reader: "Reader", found: "Findings", output: Path | None, videos: bool) -> None:
    with doing(f"drawing the report of {found.experiment}") as tell:
        _write_page(reader, found, output, _films(reader, found, tell) if videos else None)


def _write_page(
    reader: "Reader", found: "Findings", output: Path | None, films: "dict[str, list[tuple[str, Path]]] | None"
) -> None:
    from lander.reports.analysis.material import gather
    from lander.reports.render.publication import write_page, write_report

    material = gather(reader, found)
    for arm in (arm for arm, shown in (films or {}).items() if not shown):
        show(f"lander-ctl: {arm}: no film, since no completed run of it was evaluated at its end", err=True)
    if output is None:
        show(write_report(material, _reports(reader, found), films))
    else:
        write_page(material, output, films)


def _films(reader: "Reader", found: "Findings", tell: Tell) -> "dict[str, list[tuple[str, Path]]]":
    from lander.app.films import films
    from lander.home.durable_files import make_directory
    from lander.home.layout import films_directory

    directory = films_directory(reader.home, found.experiment)
    make_directory(directory)
    return films(reader, found, directory, tell)


def _tables(reader: "Reader", found: "Findings", output: Path | None, videos: bool) -> None:
    from lander.home.durable_files import make_directory
    from lander.reports.analysis.material import gather
    from lander.reports.render.publication import write_tables

    directory = output or _reports(reader, found)
    make_directory(directory)
    with doing(f"writing the tables of {found.experiment}"):
        for path in write_tables(reader, gather(reader, found), directory):
            show(path)


def _reports(reader: "Reader", found: "Findings") -> Path:
    from lander.home.durable_files import make_directory
    from lander.home.layout import reports_directory

    directory = reports_directory(reader.home, found.experiment)
    make_directory(directory)
    return directory


_WRITERS: Final[dict[str, "Callable[[Reader, Findings, Path | None, bool], None]"]] = {
    "md": _markdown,
    "html": _page,
    "csv": _tables,
}
