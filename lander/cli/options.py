"""Shared options: the settings of every command, and the options of commands that take an experiment file."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from lander.cli.terminal import show

if TYPE_CHECKING:
    from lander.app.requests import Request

F = TypeVar("F", bound=Callable[..., Any])

FOLLOW_SECONDS: Final = 0.25
"""Seconds between two reads of the log by a command that follows it."""


@dataclass
class CommandSettings:
    """The settings of every command, whether given before or after its name."""

    home: Path = field(default_factory=lambda: Path("results"))
    verbose: bool = False
    quiet: bool = False


def _keep(context: click.Context, parameter: click.Parameter, value: object) -> None:
    """Store an option that was given; the same option, absent in the other place, does not reset it."""
    settings = context.find_object(CommandSettings)
    if settings is None or not value:
        return
    if value == Path():
        raise click.BadParameter("must not be empty", context, parameter)
    setattr(settings, str(parameter.name), value)


def common(envvar: str | None = None) -> Callable[[F], F]:
    """`--home`, `-v` and `-q`, which are accepted before and after a command's name."""

    def decorate(function: F) -> F:
        for option in (
            click.option("-v", "--verbose", is_flag=True, expose_value=False, callback=_keep, help="Also show tracebacks."),
            click.option(
                "-q",
                "--quiet",
                is_flag=True,
                expose_value=False,
                callback=_keep,
                help="Do not say what is being done: print results, errors and warnings.",
            ),
            click.option(
                "--home",
                "--output-dir",
                "home",
                type=click.Path(path_type=Path),
                metavar="DIR",
                envvar=envvar,
                expose_value=False,
                callback=_keep,
                help="The home: the directory of all data (default: $LANDER_HOME, or ./results).",
            ),
        ):
            function = option(function)
        return function

    return decorate


_EXPERIMENT_OPTIONS: Final = (
    click.argument("words", nargs=-1, metavar="[FILE] [KEY=VALUE]..."),
    click.option("--config", metavar="FILE", help="The experiment FILE, as an option."),
    click.option("--experiment-id", metavar="ID", help="Name a new experiment; without a FILE, continue ID."),
    click.option(
        "--mode",
        type=click.Choice(["sequential", "parallel", "validation"]),
        help="sequential: one run at a time; parallel (default): a run in every slot; validation: build, do not train.",
    ),
    click.option("--max-workers", type=click.IntRange(min=1), metavar="N", help="At most N runs at once."),
    click.option(
        "--seeds",
        metavar="SEEDS",
        help="Seeds of every arm, such as 0-4 or 1,7; +5 adds five seeds to the experiment of --experiment-id.",
    ),
    click.option("--new-code", is_flag=True, help="Train added runs on the environment's code as it is now, not as captured."),
    click.option("--no-monitoring", is_flag=True, help="Do not measure the CPU and memory use of runs."),
    click.option("--no-shortcuts", is_flag=True, help="Train with SB3's own code only: the same bits, slower."),
    click.option(
        "--checkpoint-frequency",
        type=click.IntRange(min=1),
        metavar="N",
        help="Steps between checkpoints (10,000 if the file gives none).",
    ),
    click.option(
        "--eval-frequency",
        type=click.IntRange(min=1),
        metavar="N",
        help="Steps between evaluations of the policy, besides the final one.",
    ),
    click.option(
        "--eval-episodes",
        type=click.IntRange(min=0),
        metavar="N",
        help="Episodes of an evaluation (20 if the file gives none); 0 for no evaluation.",
    ),
)


def experiment_options(function: F) -> F:
    """The file, its overrides and its execution; `request_from` turns these options into a request."""
    for option in reversed(_EXPERIMENT_OPTIONS):
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
    """The request that the options describe; raises `ConfigurationError` if the experiment is invalid.

    Without a file, it is the recorded experiment of that id, with overrides and options applied.
    """
    from lander.app.requests import recorded, request

    file, overrides = _file_and_overrides(words, config, experiment_id)
    execution = given_execution(mode, max_workers, no_monitoring, no_shortcuts)
    if file is None and experiment_id is not None:
        found = recorded(_home(), experiment_id, overrides, execution=execution, **reading)
    else:
        found = request(Path(file or ""), overrides, execution=execution, experiment_id=experiment_id, **reading)
    for notice in found.notices:
        show(f"warning: {notice}", err=True)
    return found


def given_execution(mode: str | None, max_workers: int | None, no_monitoring: bool, no_shortcuts: bool) -> dict[str, Any]:
    """The settings of execution that were given on the command line."""
    switches = {"monitoring": False if no_monitoring else None, "no_shortcuts": no_shortcuts or None}
    given = {"mode": mode, "max_workers": max_workers, **switches}
    return {name: value for name, value in given.items() if value is not None}


def _home() -> Path:
    settings = click.get_current_context().find_object(CommandSettings)
    return (settings or CommandSettings()).home


def _file_and_overrides(
    words: tuple[str, ...], config: str | None, experiment_id: str | None
) -> tuple[str | None, tuple[str, ...]]:
    """The file, if one is named, and the overrides."""
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
