"""What `lander-ctl hosts` shows, and what it asks of a host."""

import json
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Final

from lander.app.client import connected, operator
from lander.app.listing_text import age
from lander.app.run_table import wrapped
from lander.app.unfit_hosts import problems
from lander.protocol.commands import HOSTS, Accepted, DrainHost, ReopenHost, RevokeHost
from lander.protocol.text import one_line
from lander.reports.render.text_table import text_table
from lander.store.log.reader import Reader
from lander.store.records.hosts import Host, hosts

_VERBS: Final[Mapping[str, type[DrainHost | ReopenHost | RevokeHost]]] = dict(
    zip(("drain", "resume", "revoke"), HOSTS, strict=True)
)
SILENT_SECONDS: Final = 10.0
"""A host that is there is heard every two seconds."""
_HEADINGS: Final = ("host", "state", "slots", "GPUs", "memory", "trains", "last heard")
_LEFT: Final = (0, 1, 5)


def command(home: Path, verb: str, name: str) -> Accepted:
    """Ask something of a host: `drain`, `resume` or `revoke`."""
    with connected(home) as client:
        return client.ask(_VERBS[verb](host=name, operator=operator()))


def as_json(home: Path) -> str:
    """Every host, with all that is known of it."""
    with Reader(home) as reader:
        found = [_documented(host) for host in hosts(reader)]
    return json.dumps({"hosts": found})


def _documented(host: Host) -> dict[str, object]:
    unfit = [{"run": each.run, "problem": each.problem} for each in host.unfit]
    fields = asdict(host) | {"cpus": list(host.cpus), "at": host.at / 1_000_000, "unfit": unfit}
    del fields["agent"]
    return fields


def as_text(home: Path) -> str:
    """A table of the hosts, as wide as the terminal."""
    with Reader(home) as reader:
        found = hosts(reader)
    if not found:
        return f"{home}: no host has joined yet"
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    lines = list(text_table([_HEADINGS, *map(_cells, found)], width, _LEFT))
    lines += [f"{host.name}: {one_line(host.detail)}" for host in found if host.detail]
    return "\n".join([*lines, *(wrapped(one_line(words), width) for host in found for words in problems(host))])


def _state(host: Host) -> str:
    """Its state; one that is to be there and has said nothing for a while is silent."""
    is_silent = host.state in ("online", "drained") and time.time() - host.at / 1_000_000 > SILENT_SECONDS
    return f"{host.state}, silent" if is_silent else host.state


def _cells(host: Host) -> tuple[str, ...]:
    heard = f"{age(time.time() - host.at / 1_000_000)} ago" if host.at else ""
    return (
        host.name,
        _state(host),
        f"{len(host.runs)} of {len(host.cpus)}" if host.cpus else "",
        str(len(host.gpus) or ""),
        f"{host.memory_mb / 1024:,.0f} GB" if host.memory_mb else "",
        ", ".join(host.runs[:3]) + (f" and {len(host.runs) - 3} more" if len(host.runs) > 3 else ""),
        heard,
    )
