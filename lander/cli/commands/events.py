"""`lander-ctl events`: the log itself, event by event."""

import time
from itertools import islice
from typing import TYPE_CHECKING, Final

import click

from lander.cli.options import FOLLOW_SECONDS, CommandSettings, common
from lander.cli.terminal import show

if TYPE_CHECKING:
    from lander.store.log.reader import Reader

_PAGE: Final = 256
"""Lines that are printed at once."""


@click.command()
@click.argument("target", required=False)
@click.option("--kind", "kinds", multiple=True, metavar="KIND", help="Only events of this kind; may be given several times.")
@click.option(
    "--after", type=click.IntRange(min=0), default=0, metavar="POSITION", help="Only events after POSITION of the log."
)
@click.option("-f", "--follow", is_flag=True, help="Follow new events: of a TARGET until it has ended, else until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line, with every value in full.")
@common()
@click.pass_obj
def events(
    settings: CommandSettings, target: str | None, kinds: tuple[str, ...], after: int, follow: bool, as_json: bool
) -> int:
    """Print the log, event by event.

    Without a TARGET, all events; with a TARGET, its events. A host is a target too: host:local.

    With --json, every field is complete: actions, rewards and endings are lists indexed [vector step][environment], floats
    read back to the same bits, bytes are hexadecimal, times are UTC.

    \b
    Examples:
      lander-ctl events demo/fast/1 --kind EpisodeFinished --follow
      lander-ctl events demo --kind StepsRecorded --json | jq -c '{stream, first_step, rewards}'
    """
    from lander.home.identity import HomeIdentity
    from lander.store.log.reader import DATABASE, Reader

    kinds = _known(kinds)
    with Reader(settings.home) as reader:
        _say_deleted(reader, target)
        identity = HomeIdentity(settings.home, DATABASE)
        while True:
            identity.require()
            goes_on = follow and _goes_on(reader, target)
            after = _print_from(reader, target, kinds, after, as_json)
            if not goes_on:
                return 0
            time.sleep(FOLLOW_SECONDS)


def _say_deleted(reader: "Reader", target: str | None) -> None:
    """Say on standard error that a target was deleted: of its events, only the tombstone is left."""
    if target is not None and (at := reader.deleted_at(target)) is not None:
        from lander.protocol.targets import was_deleted

        show(f"lander-ctl: {was_deleted(target, at)}, and its events were erased", err=True)


def _goes_on(reader: "Reader", target: str | None) -> bool:
    """Whether more events may come; a host (`host:local`) never ends."""
    return target is None or ":" in target or bool(reader.unfinished(target))


def _print_from(reader: "Reader", target: str | None, kinds: tuple[str, ...], after: int, as_json: bool) -> int:
    """Print the events recorded after a position; returns the position of the last event considered."""
    from lander.cli.event_lines import plain_line
    from lander.reports.export.jsonl import json_line

    until = reader.position()
    write = json_line if as_json else plain_line
    lines = map(write, reader.events(target, kinds, after, until))
    while page := list(islice(lines, _PAGE)):
        show("\n".join(page))
    return max(after, until)


def _known(kinds: tuple[str, ...]) -> tuple[str, ...]:
    """These kinds under their current names: `RunQueued` becomes `RunQueued.2`, which replaced it.

    Raises `UsageError` for an unknown kind.
    """
    if not kinds:
        return ()
    from lander.protocol.errors import UsageError
    from lander.protocol.events import EVENT_TYPES
    from lander.protocol.refusals import did_you_mean
    from lander.protocol.upcasters import UPCASTERS

    retired = {kind: upcaster.kind for kind, upcaster in UPCASTERS.items()}
    for kind in kinds:
        if kind not in EVENT_TYPES and kind not in retired:
            raise UsageError(f"--kind: no such kind of event: {kind}{did_you_mean(kind, tuple(EVENT_TYPES))}")
    return tuple(retired.get(kind, kind) for kind in kinds)
