"""What `lander-ctl hosts` shows, and what it asks of a host."""

import json
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from lander.app.client import connected, operator
from lander.app.listing_text import age
from lander.app.run_table import wrapped
from lander.app.unfit_hosts import problems
from lander.protocol.commands import HOSTS, Accepted, DrainHost, ReopenHost, RevokeHost
from lander.protocol.states import LOCAL
from lander.protocol.text import one_line
from lander.reports.render.text_table import text_table
from lander.store.log.reader import Reader
from lander.store.records.hosts import Host, hosts
from lander.store.records.launchers import launchers

_VERBS: Final[Mapping[str, type[DrainHost | ReopenHost | RevokeHost]]] = dict(
    zip(("drain", "resume", "revoke"), HOSTS, strict=True)
)
SILENT_SECONDS: Final = 10.0
"""A host that is there is heard every two seconds."""
_HEADINGS: Final = (
    *("host", "state", "slots", "GPUs", "memory", "bits", "labels", "version", "trains", "last heard", "launcher"),
)
_WORDS: Final = ("host", "state", "bits", "labels", "version", "trains", "launcher")
_ONLY_IF_SAID: Final = ("bits", "labels", "launcher")
_SHOWN_BITS: Final = 6
"""Digits of a class that are shown: enough to tell a few apart."""


def command(home: Path, verb: str, name: str) -> Accepted:
    """Ask something of a host: `drain`, `resume` or `revoke`."""
    with connected(home) as client:
        return client.ask(_VERBS[verb](host=name, operator=operator()))


def as_json(home: Path) -> str:
    """Every host, with all that is known of it."""
    with Reader(home) as reader:
        found, known = [_documented(host) for host in hosts(reader)], launchers(reader)
    return json.dumps({"hosts": found, "launchers": [asdict(each) | {"ended": len(each.ended)} for each in known]})


def _documented(host: Host) -> dict[str, object]:
    unfit = [{"run": each.run, "problem": each.problem} for each in host.unfit]
    fields = asdict(host) | {"cpus": list(host.cpus), "at": host.at / 1_000_000, "unfit": unfit}
    del fields["agent"]
    return fields


def as_text(home: Path) -> str:
    """A table of the hosts, as wide as the terminal."""
    with Reader(home) as reader:
        found, known = hosts(reader), launchers(reader)
    remarks = [each.remark for each in known if each.remark]
    if not found:
        return "\n".join([f"{home}: no host has joined yet", *remarks])
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    columns = zip(_HEADINGS, zip(*map(_cells, found), strict=True), strict=True)
    shown = [(name, *cells) for name, cells in columns if name not in _ONLY_IF_SAID or any(cells)]
    left = [number for number, (name, *_) in enumerate(shown) if name in _WORDS]
    lines = list(text_table(list(zip(*shown, strict=True)), width, left))
    lines += [f"{host.name}: {one_line(host.detail)}" for host in found if host.detail]
    unfit = [one_line(words) for host in found for words in problems(host)]
    return "\n".join([*lines, *(wrapped(words, width) for words in (*unfit, *_other_bits(found))), *remarks])


def _other_bits(found: Sequence[Host]) -> Iterator[str]:
    """What tells a host's bits from those of the supervisor's machine, where both were compared."""
    here = next((host for host in found if host.name == LOCAL and host.bits), None)
    for host in found:
        if here is None or host.bits in ("", here.bits):
            continue
        names = sorted(host.versions.keys() | here.versions.keys())
        versions = [(name, host.versions.get(name, "missing"), here.versions.get(name, "missing")) for name in names]
        others = [f"{name} {theirs} there, {ours} here" for name, theirs, ours in versions if theirs != ours]
        why = "; ".join(others) or f"{host.processor} there, {here.processor} here"
        yield one_line(f"{host.name}: computes other bits than this machine: {why}")


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
        host.bits[:_SHOWN_BITS],
        ", ".join(host.labels),
        host.release,
        ", ".join(host.runs[:3]) + (f" and {len(host.runs) - 3} more" if len(host.runs) > 3 else ""),
        heard,
        host.launcher,
    )
