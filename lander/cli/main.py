"""`lander-ctl`: finds the command, runs it, and reports an error in one plain line with its exit code.

Each command is a module of its own, imported on use: `lander-ctl status` must not wait for the imports of `run`.
"""

import os
import sys
from contextlib import suppress
from importlib import import_module
from keyword import iskeyword
from typing import Final

import click

from lander.cli.command_names import COMMANDS
from lander.cli.help_text import HelpContext
from lander.cli.options import CommandSettings, common, takes_settings
from lander.cli.terminal import keep_home, open_closed, show, write_whole
from lander.protocol.disk import NO_ROOM
from lander.protocol.errors import LanderError
from lander.protocol.text import printable

INTERRUPTED: Final = 130
OUTPUT_CLOSED: Final = 141
"""As of a program that SIGPIPE ends."""
USAGE: Final = 2


class LazyGroup(click.Group):
    """A group that imports a command only when it is used."""

    context_class = HelpContext

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = getattr(import_module(COMMANDS[cmd_name]), f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name)
        if not isinstance(command, click.Command):
            return None
        command.context_class = HelpContext
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            from lander.protocol.refusals import did_you_mean

            raise click.UsageError(f"no such command: {name}{did_you_mean(name, tuple(COMMANDS))}", ctx)
        return super().resolve_command(ctx, args)


def _show_version(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        from importlib.metadata import version

        show(f"lander-ctl {version('lander-ctl')}")
        context.exit()


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@common(envvar="LANDER_HOME")
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_show_version, help="Show the version.")
def cli() -> None:
    """Is my variant better than the baseline?

    Supervised, fully recorded reinforcement-learning experiments.

    \b
    Example:
      lander-ctl run examples/demo.yaml training_steps=10_000

    TARGET is EXPERIMENT, EXPERIMENT/ARM or EXPERIMENT/ARM/SEED.

    Exit codes: 0 done; 1 a run failed; 2 wrong usage or configuration; 3 no supervisor, or not found; 130 interrupted; 141 the
    reader of the output closed it (what trains goes on).
    """


def main(arguments: list[str] | None = None) -> int:
    """Run a command line (this process's own by default); returns the exit code."""
    if "_LANDER_CTL_COMPLETE" in os.environ:
        cli.main(prog_name="lander-ctl")  # click answers the shell's request for completion, and exits
    if arguments is None:
        open_closed()
        write_whole()
    try:
        code = _exit_code(sys.argv[1:] if arguments is None else arguments)
    except OSError:  # errors are reported inside, so this is that even the report cannot be written
        code = OUTPUT_CLOSED
    _drop_unwritten()
    if arguments is None and "obstore" in sys.modules:
        os._exit(code)  # its threads may still let go of Python's objects, and Python would abort at its own end
    return code


def _exit_code(arguments: list[str]) -> int:
    """Run a command line and report its error; raises `OSError` if the output, or standard error, cannot be written."""
    settings = CommandSettings()
    keep_home(None)
    try:
        code = _invoke(arguments, settings)
        if sys.stdout:  # None if the parent process closed it
            sys.stdout.flush()
        return code
    except BrokenPipeError:  # the reader of our output, such as `head`, has closed the pipe
        raise
    except KeyboardInterrupt as interrupt:
        with suppress(OSError):  # Ctrl-C ends the reader of the output, too: `lander-ctl run FILE 2>&1 | tee LOG`
            _print_error(str(interrupt) or "interrupted")
        return INTERRUPTED
    except Exception as error:
        return _report_error(error, settings.verbose)


def _drop_unwritten() -> None:
    """Have what could not be written go nowhere: Python would try again at its end, fail, and change the exit code."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _invoke(arguments: list[str], settings: CommandSettings) -> int:
    try:
        with cli.make_context("lander-ctl", arguments, obj=settings) as context:
            code = cli.invoke(context)
            return code if isinstance(code, int) else 0
    except click.exceptions.Exit as leave:
        return leave.exit_code


def _report_error(error: Exception, verbose: bool) -> int:
    """Print an error on standard error; returns its exit code."""
    if verbose and not isinstance(error, click.ClickException):
        import traceback

        show("".join(traceback.format_exception(error)), err=True, end="")
    match error:
        case click.UsageError() if not _is_empty(error):
            _print_error(" ".join(_usage_problem(error).split()) + _usage_hint(error))
            return USAGE
        case click.ClickException():
            show(error.format_message(), err=True)
            return error.exit_code
        case LanderError():
            _print_error(str(error))
            return error.exit_code
        case OSError(filename=str(name), strerror=str(reason)):
            _print_error(f"{name}: {reason}")
            return USAGE
        case OSError():
            room = "; make room (df -h shows where), and ask again" if error.errno in NO_ROOM else ""
            _print_error(f"{error.strerror or error}{room}")
            return USAGE
        case _:
            _print_error(f"{type(error).__name__}: {error} (a defect of lander-ctl{'' if verbose else '; -v shows where'})")
            return 1


def _is_empty(error: click.UsageError) -> bool:
    """Whether the command line was empty, so that click shows the help."""
    return isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ()))


def _usage_problem(error: click.UsageError) -> str:
    """What is wrong, and for a setting that was taken for an option, how it is given."""
    if isinstance(error, click.NoSuchOption) and error.ctx is not None and takes_settings(error.ctx.command):
        from lander.experiments.overrides import as_override

        if override := as_override(error.option_name.lstrip("-").replace("-", "_")):
            return f"{error.message.rstrip('.')}; a setting is given as {override}"
    return error.format_message()


def _usage_hint(error: click.UsageError) -> str:
    return f" (see {error.ctx.command_path} --help)" if error.ctx is not None else ""


def _print_error(text: str) -> None:
    for line in printable(text).splitlines():
        show(f"lander-ctl: {line}", err=True)
