"""What commands have in common: the settings of every command, and the options of those that take an experiment file."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

if TYPE_CHECKING:
    from lander.app.requests import Request

F = TypeVar("F", bound=Callable[..., Any])

FOLLOW_SECONDS: Final = 0.25
"""How often a command that follows looks at the log."""


@dataclass
class CommandSettings:
    """What holds for every command, wherever on the command line it was said."""

    home: Path = field(default_factory=lambda: Path("results"))
    verbose: bool = False


def _keep(context: click.Context, parameter: click.Parameter, value: object) -> None:
    """Notes an option that was given; the same option left out in another place does not undo it."""
    settings = context.find_object(CommandSettings)
    if settings is None or not value:
        return
    if value == Path():
        raise click.BadParameter("must not be empty", context, parameter)
    setattr(settings, str(parameter.name), value)


def common(envvar: str | None = None) -> Callable[[F], F]:
    """`--home` and `-v`, which are accepted before and after a command's name."""

    def decorate(function: F) -> F:
        for option in (
            click.option("-v", "--verbose", is_flag=True, expose_value=False, callback=_keep, help="Show tracebacks, too."),
            click.option(
                "--home",
                "--output-dir",
                "home",
                type=click.Path(path_type=Path),
                metavar="DIR",
                envvar=envvar,
                expose_value=False,
                callback=_keep,
                help="Where everything is kept (default: $LANDER_HOME, or ./results).",
            ),
        ):
            function = option(function)
        return function

    return decorate


def experiment_options(function: F) -> F:
    """The file, its overrides and how to carry it out; `request_from` makes a request of them."""
    for option in reversed(
        (
            click.argument("words", nargs=-1, metavar="[FILE] [KEY=VALUE]..."),
            click.option("--config", metavar="FILE", help="Another way to name the FILE."),
            click.option("--experiment-id", metavar="ID", help="Name a new experiment; without a FILE, go on with ID."),
            click.option(
                "--mode",
                type=click.Choice(["sequential", "parallel", "validation"]),
                help="One run after the other; as many at once as there are slots (the default); or only build everything.",
            ),
            click.option("--max-workers", type=click.IntRange(min=1), metavar="N", help="At most N runs at once."),
            click.option(
                "--seeds",
                metavar="SEEDS",
                help="Seeds for every arm, such as 0-4 or 1,7; +5 adds five to those of --experiment-id.",
            ),
            click.option("--no-monitoring", is_flag=True, help="Do not measure the processor and memory that runs use."),
            click.option("--no-shortcuts", is_flag=True, help="Train by SB3's own code alone: the same bits, slower."),
            click.option(
                "--checkpoint-frequency",
                type=click.IntRange(min=1),
                metavar="N",
                help="Steps between checkpoints (10,000 if the file says nothing).",
            ),
            click.option(
                "--eval-frequency",
                type=click.IntRange(min=1),
                metavar="N",
                help="Steps between evaluations of the policy, beside the one at the end.",
            ),
            click.option(
                "--eval-episodes",
                type=click.IntRange(min=0),
                metavar="N",
                help="Episodes of an evaluation (20 if the file says nothing); 0 for none.",
            ),
        )
    ):
        function = option(function)
    return function


def request_from(
    words: tuple[str, ...],
    config: str | None,
    mode: str | None,
    max_workers: int | None,
    no_monitoring: bool,
    no_shortcuts: bool,
    experiment_id: str | None,
    **reading: Any,
) -> "Request":
    """The request that the options make; raises `ConfigurationError` for whatever is wrong with the experiment.

    Without a file it is the experiment of that id as it was recorded, overrides and options applied.
    """
    from lander.app.requests import recorded, request

    file, overrides = _file_and_overrides(words, config, experiment_id)
    execution = execution_said(mode, max_workers, no_monitoring, no_shortcuts)
    if file is None and experiment_id is not None:
        found = recorded(_home(), experiment_id, overrides, execution=execution, **reading)
    else:
        found = request(Path(file or ""), overrides, execution=execution, experiment_id=experiment_id, **reading)
    for notice in found.notices:
        click.echo(f"warning: {notice}", err=True)
    return found


def execution_said(mode: str | None, max_workers: int | None, no_monitoring: bool, no_shortcuts: bool) -> dict[str, Any]:
    """What was said of how to carry an experiment out."""
    switches = {"monitoring": False if no_monitoring else None, "no_shortcuts": no_shortcuts or None}
    given = {"mode": mode, "max_workers": max_workers, **switches}
    return {name: value for name, value in given.items() if value is not None}


def _home() -> Path:
    settings = click.get_current_context().find_object(CommandSettings)
    return (settings or CommandSettings()).home


def _file_and_overrides(
    words: tuple[str, ...], config: str | None, experiment_id: str | None
) -> tuple[str | None, tuple[str, ...]]:
    """The file, where one is named, and the overrides."""
    if config is not None:
        return config, words
    if words and ("=" not in words[0] or Path(words[0]).exists()):
        return words[0], words[1:]
    if experiment_id is None:
        raise click.UsageError(
            "which experiment? Name its FILE before any KEY=VALUE, or go on with a recorded one by --experiment-id",
            click.get_current_context(),
        )
    return None, words
