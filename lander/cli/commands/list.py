"""`lander-ctl list`: the experiments of a home, one in a line. Must start fast, so it imports only what it needs."""

import shutil
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from lander.cli.home_notices import home_notices
from lander.cli.options import CommandSettings, common
from lander.cli.terminal import show
from lander.protocol.states import UNDER_WAY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lander.app.listing import Wanted
    from lander.store.projections.listing import ListedExperiment


@click.command()
@click.option("--state", "states", multiple=True, metavar="STATE", help="In this state; may be given several times.")
@click.option("--environment", "environments", multiple=True, metavar="ENV", help="In this environment; several: in any.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="With this tag; several: with all of them.")
@click.option("--newer", "--age", "newer", metavar="AGE", help="Submitted at most this long ago, such as 30m, 12h, 7d or 2w.")
@click.option("--older", metavar="AGE", help="Submitted longer ago than this.")
@click.option("--archived", is_flag=True, help="Archived experiments only.")
@click.option("--all", "everything", is_flag=True, help="Archived experiments, too.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, with notes and amended hypotheses.")
@common()
@click.pass_obj
def list(
    settings: CommandSettings,
    /,
    states: tuple[str, ...],
    environments: tuple[str, ...],
    tags: tuple[str, ...],
    newer: str | None,
    older: str | None,
    archived: bool,
    everything: bool,
    as_json: bool,
) -> int:
    """List experiments, one in a line.

    The oldest first, without those that were archived. The age is the time since the submission. lander-ctl status has the
    runs. Deleted experiments are not listed, with --all either: their tombstones are events of kind ExperimentDeleted. If none
    matches, the exit code is 0 all the same, and standard error says what no experiment here has.

    \b
    Examples:
      lander-ctl list --state failed --newer 7d
      lander-ctl list --environment LunarLander-v3 --tag paper
      lander-ctl events --kind ExperimentDeleted
      lander-ctl list --all --json | jq -r '.experiments[] | [.id, .summary] | @tsv'
    """
    from lander.app.listing import Wanted, absent, chosen, seconds_of
    from lander.home.lock import is_locked
    from lander.store.log.reader import Reader
    from lander.store.log.tombstones import tombstones
    from lander.store.projections.listing import listing

    wanted = Wanted(
        states=states,
        environments=environments,
        tags=tags,
        newer=None if newer is None else seconds_of("--newer", newer),
        older=None if older is None else seconds_of("--older", older),
        archived=archived,
        everything=everything,
    )
    with Reader(settings.home) as reader, reader.snapshot():
        position, listed = reader.position(), listing(reader, time.time(), supervised=is_locked(settings.home))
        deleted = 0 if listed else len(tombstones(reader.connection))
    found = chosen(listed, wanted)
    if as_json:
        _print_json(position, found)
    else:
        _print_table(found, listed, wanted, deleted)
        for notice in home_notices(settings, under_way=any(each.headline["state"] in UNDER_WAY - {"paused"} for each in found)):
            show(notice, err=True)
    for sentence in absent(listed, wanted) if listed and not found else ():
        show(f"lander-ctl: {sentence}", err=True)
    return 0


def _print_json(position: int, found: "Sequence[ListedExperiment]") -> None:
    import json
    from dataclasses import asdict

    experiments = [_flat(asdict(each)) for each in found]
    show(json.dumps({"position": position, "experiments": experiments}, indent=2, allow_nan=False))


def _flat(fields: dict[str, Any]) -> dict[str, Any]:
    """The documented object: what is said of an experiment beside its own fields."""
    name, headline, remarks = fields.pop("id"), fields.pop("headline"), fields.pop("remarks")
    return {"id": name, **headline, **fields, **remarks}


def _print_table(
    found: "Sequence[ListedExperiment]", listed: "Sequence[ListedExperiment]", wanted: "Wanted", deleted: int
) -> None:
    from dataclasses import replace

    from lander.app.listing import chosen
    from lander.app.listing_text import no_experiments, table

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    lines, left_out = table(found, width)
    show("\n".join(lines) if found else "no experiment here matches" if listed else no_experiments(0, deleted))
    if found and left_out:
        show(f"lander-ctl: no room for {', '.join(left_out)}; --json has everything", err=True)
    if hidden := 0 if wanted.archived else len(chosen(listed, replace(wanted, everything=True))) - len(found):
        what, it = ("1 archived experiment is", "it") if hidden == 1 else (f"{hidden} archived experiments are", "them")
        show(f"lander-ctl: {what} not shown; --all shows {it}", err=True)
