"""`lander-ctl status`: show the state of experiments. The command must start fast, so it imports only what it needs."""

import sys
import time
from typing import TYPE_CHECKING, Any, Final

import click

from lander.cli.home_notices import home_notices
from lander.cli.options import FOLLOW_SECONDS, CommandSettings, common
from lander.cli.terminal import columns, show
from lander.protocol.states import LIVE, LOCAL

if TYPE_CHECKING:
    from lander.app.screen import Block, Screen
    from lander.store.log.reader import Reader
    from lander.store.projections.status import Status

_OVERVIEW: Final = (
    "lander-ctl: this is an overview; lander-ctl status EXPERIMENT has all runs of one, lander-ctl list has all experiments"
)

_MENDED_FIRST: Final = ("environment_error", "limit_exceeded")
"""Causes of an end that come again until a person has changed something."""
_LAUNCHERS = "SELECT 1 FROM streams WHERE name GLOB 'launcher:*' LIMIT 1"
_OTHER_HOSTS = "SELECT 1 FROM streams WHERE name GLOB 'host:*' AND name <> 'host:local' LIMIT 1"


@click.command()
@click.argument("target", required=False)
@click.option("--watch", is_flag=True, help="Keep the output up to date: a TARGET until it has ended, else until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object; with --watch, one per line at each change.")
@click.option("--position", type=click.IntRange(min=0), metavar="POSITION", help="The state at POSITION of the log.")
@click.option("--at", type=click.IntRange(min=0), hidden=True, help="What --position was called.")
@common()
@click.pass_obj
def status(
    settings: CommandSettings, target: str | None, watch: bool, as_json: bool, position: int | None, at: int | None
) -> int:
    """Show the state of experiments.

    With a TARGET, of all its runs. Without one, an overview: the runs of what trains, a line for each other experiment under
    way, and for the latest that have ended; the rest is counted. --json has everything. On a terminal the table leaves out what
    does not fit.

    \b
    Examples:
      lander-ctl status
      lander-ctl status demo/fast --watch
      lander-ctl status --json | jq '.experiments[].runs[] | {id, state, percent}'
      lander-ctl status demo --position 1000
    """
    from lander.store.log.reader import Reader

    position = at if position is None else position
    if watch and position is not None:
        raise click.UsageError("--position does not go with --watch: the past does not change", click.get_current_context())
    with Reader(settings.home) as reader:
        if position is not None:
            _print_past(reader, target, as_json, position)
        elif watch:
            _watch(reader, settings, target, as_json)
        else:
            found = _print(reader, target, as_json)
            shown = _shown(found, target)
            hint = [] if as_json or settings.quiet or shown.is_whole else [_OVERVIEW]
            ways_on = [] if as_json else _ways_on(reader, settings, shown)
            for line in (*hint, *_notices(reader, settings, target), *_unfit_hosts(reader, found), *ways_on):
                show(line, err=True)
    return 0


def _print_past(reader: "Reader", target: str | None, as_json: bool, at: int) -> None:
    """Print the state at a position; the position itself goes to standard error, since it may be earlier than requested."""
    from lander.cli.progress import doing
    from lander.store.projections.rebuild import rebuild

    _refuse_before_submission(reader, at, target)
    erased_since = _erased_since(reader, at, target)
    with (
        doing(f"going back to position {at:,}", brief=True) as tell,
        rebuild(reader, at, lambda done, of: tell(f"going back: {100 * done // max(1, of)}%")) as past,
    ):
        _print(past, target, as_json)
        show(f"lander-ctl: this is how things stood at {_shown_position(past.position(), at)}{erased_since}", err=True)


def _shown_position(position: int, at: int) -> str:
    """A position in words, if it is that of the last whole commit of those before another."""
    return f"position {position:,}" + (f", the last commit before position {at:,}" if position != at else "")


def _refuse_before_submission(reader: "Reader", at: int, target: str | None) -> None:
    """Raise `NotFoundError` if the target's experiment exists, and was submitted only after the state that would be shown."""
    from lander.protocol.errors import NotFoundError
    from lander.store.log.erasure import first_position
    from lander.store.projections.rebuild import end_of_commit, last_whole_commit

    name = (target or "").partition("/")[0]
    if not reader.connection.execute("SELECT 1 FROM experiments WHERE id = ?", (name,)).fetchone():
        return
    since, shown = end_of_commit(reader, first_position(reader.connection, name)), last_whole_commit(reader, at)
    if shown < since:
        raise NotFoundError(f"{name}: was not there yet at {_shown_position(shown, at)}; it is from position {since:,} on")


def _erased_since(reader: "Reader", at: int, target: str | None) -> str:
    """That experiments were deleted since and are not shown; raises `NotFoundError` if the target is one of them."""
    from lander.protocol.errors import NotFoundError
    from lander.protocol.targets import was_deleted
    from lander.store.log.erasure import first_position
    from lander.store.log.tombstones import tombstones

    graves = [each for each in tombstones(reader.connection) if each.position > at]
    since = {each.experiment: each.at for each in graves if first_position(reader.connection, each.experiment) <= at}
    wanted = None if target is None else target.partition("/")[0]
    if wanted in since:
        raise NotFoundError(f"{was_deleted(wanted, since[wanted])}; how it stood before can no longer be shown")
    return f"; deleted since, and no longer shown: {', '.join(since)}" if since and wanted is None else ""


def _print(reader: "Reader", target: str | None, as_json: bool) -> "Status":
    from lander.store.projections.status import status as read

    found = read(reader, target)
    if as_json:
        show(_json(found, _said(reader, target), indent=2))
    else:
        show(_plain(_shown(found, target), columns(sys.stdout)) or _nothing(reader))
    return found


def _shown(found: "Status", target: str | None) -> "Screen":
    """All of a target, or of everything what fits an overview."""
    from lander.app.screen import OVERVIEW_LINES, screen, whole

    return screen(found["experiments"], OVERVIEW_LINES) if target is None else whole(found["experiments"])


def _nothing(reader: "Reader") -> str:
    """What is said where there is no experiment to show."""
    from lander.app.listing_text import no_experiments
    from lander.store.log.tombstones import tombstones
    from lander.store.projections.remarks import archived

    return no_experiments(archived(reader), len(tombstones(reader.connection)))


def _said(reader: "Reader", target: str | None) -> dict[str, Any]:
    """What was said about the experiment of a target: tags, notes, amended hypotheses; empty without a target."""
    if target is None:
        return {}
    from dataclasses import asdict

    from lander.store.projections.remarks import remarks

    return asdict(remarks(reader, target.partition("/")[0]))


def _json(found: "Status", said: dict[str, Any], indent: int | None = None) -> str:
    """The status as the documented object, without the sentences `detail` and `why` (`events --json` has them).

    With what was `said` about the experiment, if the status is of a single one.
    `quarantine` is there only for an experiment that is in quarantine.
    """
    import json

    def documented(run: Any) -> dict[str, Any]:
        shown = {name: value for name, value in run.items() if name not in ("detail", "why")}
        return shown | {"waits_for": run["why"] if run["state"] == "queued" else None}

    experiments: list[dict[str, Any]] = [
        {**each, **said, "runs": [documented(run) for run in each["runs"]]} for each in found["experiments"]
    ]
    for each in experiments:
        if each["quarantine"] is None:
            del each["quarantine"]
    return json.dumps({**found, "experiments": experiments}, indent=indent, allow_nan=False)


def _plain(shown: "Screen", width: int | None = None) -> str:
    from itertools import groupby

    from lander.app.run_table import wrapped

    parts = [
        ("\n\n" if has_table else "\n").join(_block(block, width) for block in blocks)
        for has_table, blocks in groupby(shown.blocks, lambda block: bool(block.runs))
    ]
    return "\n\n".join([*parts, wrapped(shown.hidden, width)] if shown.hidden else parts)


def _block(block: "Block", width: int | None) -> str:
    from lander.app.run_table import GAP, run_table, shortened, wrapped
    from lander.app.status_text import brief, heading, overall, waiting

    experiment, runs = block
    if experiment["quarantine"]:
        return wrapped(heading(experiment), width)
    if not runs:
        return brief(experiment) if width is None else shortened(brief(experiment), width)
    margin = "  "
    rows = run_table(runs, None if width is None else width - len(margin))
    table = [f"{margin}{GAP.join(row)}".rstrip() for row in rows]
    given_up = [f"{run['arm']}/{run['seed']} given up: {run['why']}" for run in runs if run["why"] and run["state"] != "queued"]
    below = [wrapped(text, width, margin) for text in (block.hidden, overall(experiment), *given_up, *waiting(runs)) if text]
    return "\n".join([wrapped(heading(experiment), width), *table, *below])


def _notices(reader: "Reader", settings: CommandSettings, target: str | None) -> "list[str]":
    is_under_way = bool(reader.under_way(target))
    notices = home_notices(settings, under_way=is_under_way)
    if is_under_way and reader.connection.execute(_LAUNCHERS).fetchone():
        from lander.store.records.launchers import launchers

        notices += [f"lander-ctl: {each.remark}" for each in launchers(reader) if each.remark]
    return notices


def _unfit_hosts(reader: "Reader", found: "Status") -> "list[str]":
    """Which hosts cannot train what is queued, or bring nothing home, and why.

    Looked for only where there are other hosts, for that takes time.
    """
    runs = [run for each in found["experiments"] for run in each["runs"]]
    is_elsewhere = any(run["state"] in LIVE and run["host"] not in (None, LOCAL) for run in runs)
    if not is_elsewhere and not any(run["state"] == "queued" for run in runs):
        return []
    if not reader.connection.execute(_OTHER_HOSTS).fetchone():
        return []
    from lander.app.unfit_hosts import why_files_wait, why_queued

    experiments = found["experiments"]
    return [f"lander-ctl: {line}" for line in (*why_queued(reader, experiments), *why_files_wait(reader, experiments))]


def _ways_on(reader: "Reader", settings: CommandSettings, shown: "Screen") -> "list[str]":
    """What has to be mended before runs that are shown go on. Looked for only where one of them needs it."""
    found = [block.experiment for block in shown.blocks if any(run["cause"] in _MENDED_FIRST for run in block.runs)]
    if not found:
        return []
    from lander.app.ways_on import ways_on

    return [f"lander-ctl: {line}" for line in ways_on(reader, found, settings.home_option)]


def _watch(reader: "Reader", settings: CommandSettings, target: str | None, as_json: bool) -> None:
    if as_json or not sys.stdout.isatty():
        _watch_plainly(reader, target, as_json)
        return
    from rich.console import Console

    from lander.app.live_view import tables
    from lander.home.identity import HomeIdentity
    from lander.store.log.reader import DATABASE
    from lander.store.projections.status import status as read

    identity = HomeIdentity(reader.home, DATABASE)
    with tables(Console(highlight=False)) as draw:
        while True:
            identity.require()
            ended = not reader.unfinished(target)
            last = target is not None and ended
            status_now = read(reader, target)
            notices, found = _notices(reader, settings, target), status_now["experiments"]
            draw(found, last, [*notices, *_unfit_hosts(reader, status_now)] if found else [_nothing(reader)])
            if last:
                return
            time.sleep(FOLLOW_SECONDS)


def _watch_plainly(reader: "Reader", target: str | None, as_json: bool) -> None:
    from lander.home.identity import HomeIdentity
    from lander.store.log.reader import DATABASE
    from lander.store.projections.status import status as read

    position, identity = -1, HomeIdentity(reader.home, DATABASE)
    while True:
        identity.require()
        ended = not reader.unfinished(target)
        if reader.position() != position:
            found = read(reader, target)
            position = found["position"]
            plain = "" if as_json else _plain(_shown(found, target)) or _nothing(reader)
            show(_json(found, _said(reader, target)) if as_json else f"{plain}\n")
        if target is not None and ended:
            return
        time.sleep(FOLLOW_SECONDS if as_json else 4 * FOLLOW_SECONDS)
