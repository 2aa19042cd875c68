"""Shared options: the settings of every command, and the options of commands that take an experiment file."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from click.core import ParameterSource

from lander.cli.terminal import keep_home, show, warn

if TYPE_CHECKING:
    from lander.app.launchers import Wanted
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
    home_given: bool = False


def _keep(context: click.Context, parameter: click.Parameter, value: object) -> None:
    """Store an option that was given; the same option, absent in the other place, does not reset it."""
    settings = context.find_object(CommandSettings)
    if settings is None or not value:
        return
    if value == Path():
        raise click.BadParameter("must not be empty", context, parameter)
    setattr(settings, str(parameter.name), value)
    if isinstance(value, Path) and context.get_parameter_source("home") is ParameterSource.COMMANDLINE:
        settings.home_given = True
        keep_home(value)


_HOME: Final = "The home: the directory of all data (default: $LANDER_HOME, or ./results)."


def common(envvar: str | None = None, *, home: str = _HOME) -> Callable[[F], F]:
    """`--home`, `-v` and `-q`, which are accepted before and after a command's name; `home` is the help of the first."""

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
                help=home,
            ),
        ):
            function = option(function)
        return function

    return decorate


def at_option(**attributes: Any) -> Callable[[F], F]:
    """`--at`, the checkpoint of a run: the same words in every command that takes one."""
    return click.option("--at", metavar="STEP|last|best|final", **attributes)


_EXPERIMENT_OPTIONS: Final = (
    click.argument("words", nargs=-1, metavar="FILE|EXPERIMENT [KEY=VALUE]..."),
    click.option("--config", metavar="FILE", help="The FILE, as an option."),
    click.option(
        "--zoo",
        nargs=2,
        metavar="ALGORITHM ENVIRONMENT",
        help="An entry of RL Baselines3 Zoo's hyperparameters in place of a FILE, trained with seed 0 if no --seeds are given."
        " ALGORITHM may be a file of yours: tuned/ppo.yml.",
    ),
    click.option("--experiment-id", metavar="ID", help="Give the experiment of the FILE this id."),
    click.option(
        "--training-steps", type=click.IntRange(min=1), metavar="N", help="Train every run up to N steps: training_steps=N."
    ),
    click.option(
        "--mode",
        type=click.Choice(["sequential", "parallel", "validation"]),
        help="sequential: one run at a time; parallel (default): a run in every slot; validation: build, do not train.",
    ),
    click.option("--max-workers", type=click.IntRange(min=1), metavar="N", help="At most N runs at once."),
    click.option(
        "--seeds",
        metavar="SEEDS",
        help="Seeds of every arm, such as 0-4 or 1,7; +5 adds five seeds to a recorded EXPERIMENT.",
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


def launcher_options(function: F) -> F:
    """`--on` and `--workers`; `launchers_from` turns them into the launchers that are wanted."""
    workers = click.IntRange(0, 100_000)
    on_help = "Let an engine start workers: local, ssh:HOST,…, slurm, ray:ADDRESS, or a NAME in lander.toml of the home."
    function = click.option("--workers", type=workers, metavar="N", help="With --on: N workers at most.")(function)
    return click.option("--on", metavar="ENGINE|NAME", help=on_help)(function)


def launchers_from(on: str | None, workers: int | None) -> "Wanted":
    """The launchers that these options want; says where the supervisor will listen."""
    from lander.app.launchers import wanted

    found = wanted(_home(), on, workers)
    if notice := found.notice(_home()):
        show(f"lander-ctl: {notice}", err=True)
    return found


def takes_settings(command: click.Command) -> bool:
    """Whether a command takes `KEY=VALUE`."""
    return any("KEY=VALUE" in str(parameter.metavar) for parameter in command.params)


def experiment_options(function: F) -> F:
    """The file, its overrides and its execution; `request_from` turns these options into a request."""
    for option in reversed(_EXPERIMENT_OPTIONS):
        function = option(function)
    return function


def request_from(
    words: tuple[str, ...],
    config: str | None,
    zoo: tuple[str, str] | None,
    mode: str | None,
    max_workers: int | None,
    no_monitoring: bool,
    no_shortcuts: bool,
    experiment_id: str | None,
    training_steps: int | None,
    **reading: Any,
) -> "Request":
    """The request that the options describe; raises `ConfigurationError` if the experiment is invalid.

    A recorded experiment is taken as it is, with overrides and options applied.
    """
    from lander.app.requests import recorded, request, request_by_name

    if zoo is not None and config is not None:
        raise click.UsageError("--zoo does not go together with --config; use one of the two", click.get_current_context())
    name, overrides = (None, words) if zoo else _name_and_overrides(words, config, experiment_id)
    overrides = with_training_steps(overrides, training_steps)
    reading["execution"] = given_execution(mode, max_workers, no_monitoring, no_shortcuts)
    if zoo is not None:
        from lander.app.zoo import experiment_of

        found = request(experiment_of(*zoo), overrides, experiment_id=experiment_id, source=f"--zoo {' '.join(zoo)}", **reading)
    elif config is not None:
        found = request(Path(config), overrides, experiment_id=experiment_id, **reading)
    elif name is not None:
        found = request_by_name(name, _home(), overrides, experiment_id=experiment_id, warn=warn, **reading)
    else:
        found = recorded(_home(), experiment_id or "", overrides, **reading)
    for notice in found.notices:
        warn(notice)
    return found


def with_training_steps(overrides: tuple[str, ...], training_steps: int | None) -> tuple[str, ...]:
    """The overrides with those of `--training-steps`, which is another spelling of `training_steps=N`."""
    return overrides if training_steps is None else (*overrides, f"training_steps={training_steps}")


def given_execution(mode: str | None, max_workers: int | None, no_monitoring: bool, no_shortcuts: bool) -> dict[str, Any]:
    """The settings of execution that were given on the command line."""
    switches = {"monitoring": False if no_monitoring else None, "no_shortcuts": no_shortcuts or None}
    given = {"mode": mode, "max_workers": max_workers, **switches}
    return {name: value for name, value in given.items() if value is not None}


def _home() -> Path:
    settings = click.get_current_context().find_object(CommandSettings)
    return (settings or CommandSettings()).home


def _name_and_overrides(
    words: tuple[str, ...], config: str | None, experiment_id: str | None
) -> tuple[str | None, tuple[str, ...]]:
    """The name of the experiment, if there is one before the overrides, and the overrides."""
    if config is not None:
        return None, words
    if words and ("=" not in words[0] or Path(words[0]).exists()):
        return words[0], words[1:]
    if experiment_id is None:
        raise click.UsageError(
            "which experiment? Name its FILE, or the id of a recorded EXPERIMENT, before any KEY=VALUE",
            click.get_current_context(),
        )
    return None, words
