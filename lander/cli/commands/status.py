"""`lander-ctl status`: show the state of experiments. The command must start fast, so it imports only what it needs."""

import sys
import time
from typing import TYPE_CHECKING, Any, Final

import click

from lander.cli.options import FOLLOW_SECONDS, CommandSettings, common
from lander.cli.status_notices import StatusNotices
from lander.cli.terminal import columns, show

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lander.app.screen import Block, Screen
    from lander.store.log.reader import Reader
    from lander.store.projections.status import Status

_OVERVIEW: Final = (
    "lander-ctl: this is an overview; lander-ctl status EXPERIMENT has all runs of one, lander-ctl list has all experiments"
)


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
    from lander.home.lock import is_locked
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
            found = _print(reader, target, as_json, supervised=is_locked(settings.home))
            shown, notices = _shown(found, target), StatusNotices(reader, settings, target)
            hint = [] if as_json or settings.quiet or shown.is_whole else [_OVERVIEW]
            ways_on = [] if as_json else notices.ways_on(shown)
            for line in (*hint, *notices.of_home(found["experiments"]), *ways_on):
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
        _print(past, target, as_json, supervised=True)  # whoever runs now has no part in that
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


def _print(reader: "Reader", target: str | None, as_json: bool, *, supervised: bool) -> "Status":
    from lander.store.projections.status import status as read

    found = read(reader, target, supervised=supervised)
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


def _watch(reader: "Reader", settings: CommandSettings, target: str | None, as_json: bool) -> None:
    notices = StatusNotices(reader, settings, target)
    if as_json:
        _watch_json(reader, target)
    elif sys.stdout.isatty():
        _watch_drawn(reader, target, notices)
    else:
        _watch_plainly(reader, target, notices)


def _watch_drawn(reader: "Reader", target: str | None, notices: StatusNotices) -> None:
    from rich.console import Console

    from lander.app.live_view import tables

    with tables(Console(highlight=False)) as draw:
        for found, last in _looks(reader, target, FOLLOW_SECONDS):
            below = notices.of_home(found["experiments"]) if found["experiments"] else [_nothing(reader)]
            draw(found["experiments"], last, lambda shown, below=below: [*below, *notices.ways_on(shown)])


def _watch_plainly(reader: "Reader", target: str | None, notices: StatusNotices) -> None:
    """Print the status when it has changed, and what stands below it when that has."""
    before, said = None, list[str]()
    for found, _ in _looks(reader, target, 4 * FOLLOW_SECONDS):
        shown = _shown(found, target)
        if found is not before:
            show(f"{_plain(shown) or _nothing(reader)}\n")
        below = [*notices.of_home(found["experiments"]), *notices.ways_on(shown)]
        for line in below if below != said else ():
            show(line, err=True)
        before, said = found, below


def _watch_json(reader: "Reader", target: str | None) -> None:
    before = None
    for found, _ in _looks(reader, target, FOLLOW_SECONDS):
        if found is not before:
            show(_json(found, _said(reader, target)))
        before = found


def _looks(reader: "Reader", target: str | None, seconds: float) -> "Iterator[tuple[Status, bool]]":
    """The status again and again, and whether it is the last, since the target has ended; the same object if nothing changed.

    Raises `HomeGoneError` if the home is deleted.
    """
    from lander.home.identity import HomeIdentity
    from lander.home.lock import is_locked
    from lander.store.log.reader import DATABASE
    from lander.store.projections.status import status as read

    identity = HomeIdentity(reader.home, DATABASE)
    found, was_supervised = None, False
    while True:
        identity.require()
        last, supervised = target is not None and not reader.unfinished(target), is_locked(reader.home)
        if found is None or (reader.position(), supervised) != (found["position"], was_supervised):
            found, was_supervised = read(reader, target, supervised=supervised), supervised
        yield found, last
        if last:
            return
        time.sleep(seconds)
