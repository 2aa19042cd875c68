"""What `lander-ctl hosts` shows, and what it asks of a host."""

import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from lander.app.client import connected, operator
from lander.app.durations import span
from lander.app.listing_text import age
from lander.app.run_table import wrapped
from lander.app.unfit_hosts import is_silent, problems, silence
from lander.protocol.commands import HOSTS, Accepted, DrainHost, ReopenHost, RevokeHost
from lander.protocol.events import host_stream
from lander.protocol.states import LOCAL
from lander.protocol.text import one_line
from lander.reports.render.text_table import text_table
from lander.store.log.reader import Reader
from lander.store.records.host_clocks import ClockOffset, host_clock
from lander.store.records.hosts import Host, hosts
from lander.store.records.launchers import launchers

_VERBS: Final[Mapping[str, type[DrainHost | ReopenHost | RevokeHost]]] = dict(
    zip(("drain", "resume", "revoke"), HOSTS, strict=True)
)
_OTHER_HOSTS: Final = f"SELECT 1 FROM streams WHERE name GLOB 'host:*' AND name <> '{host_stream(LOCAL)}' LIMIT 1"
_HEADINGS: Final = (
    *("host", "state", "slots", "GPUs", "memory", "bits", "labels", "version", "clock", "trains", "last heard", "launcher"),
)
_WORDS: Final = ("host", "state", "bits", "labels", "version", "trains", "launcher")
_ONLY_IF_SAID: Final = ("bits", "labels", "clock", "launcher")
JOIN_SECONDS: Final = 600.0
"""A worker that has used its token joins within a minute or two, as soon as it has measured its bits."""
WRONG_SECONDS: Final = 5.0
"""By how much a clock may be off before that is said in words."""
_SHOWN_OFFSET: Final = 0.05
_SHOWN_BITS: Final = 6
"""Digits of a class that are shown: enough to tell a few apart."""


def command(home: Path, verb: str, name: str) -> Accepted:
    """Ask something of a host: `drain`, `resume` or `revoke`."""
    with connected(home) as client:
        return client.ask(_VERBS[verb](host=name, operator=operator()))


def as_json(home: Path) -> str:
    """Every host, with all that is known of it."""
    with Reader(home) as reader:
        found, known = [_documented(host, _clock(reader, host)) for host in hosts(reader)], launchers(reader)
    return json.dumps({"hosts": found, "launchers": [asdict(each) | {"ended": len(each.ended)} for each in known]})


def workers(home: Path) -> list[str]:
    """The workers of other machines that have joined and neither left nor were revoked; no engine has started them."""
    with Reader(home) as reader:
        if reader.connection.execute(_OTHER_HOSTS).fetchone() is None:  # as where one machine is all there is; asked often
            return []
        gone = ("offline", "enrolled", "revoked")
        return [host.name for host in hosts(reader) if host.name != LOCAL and host.state not in gone and not host.launcher]


def _clock(reader: Reader, host: Host) -> ClockOffset | None:
    return host_clock(reader, host.name) if host.state in ("online", "drained") else None


def _documented(host: Host, clock: ClockOffset | None) -> dict[str, object]:
    unfit = [{"run": each.run, "problem": each.problem} for each in host.unfit]
    fields = asdict(host) | {"cpus": list(host.cpus), "at": host.at / 1_000_000, "unfit": unfit}
    del fields["agent"]
    return fields | {"clock": clock and {"offset": clock.seconds, "uncertainty": clock.uncertainty}}


def as_text(home: Path) -> str:
    """A table of the hosts, as wide as the terminal."""
    with Reader(home) as reader:
        found, known = hosts(reader), launchers(reader)
        clocks = [_clock(reader, host) for host in found]
    remarks = [each.remark for each in known if each.remark]
    if not found:
        return "\n".join([f"{home}: no host has joined yet", *remarks])
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    columns = zip(_HEADINGS, zip(*map(_cells, found, clocks), strict=True), strict=True)
    shown = [(name, *cells) for name, cells in columns if name not in _ONLY_IF_SAID or any(cells)]
    left = [number for number, (name, *_) in enumerate(shown) if name in _WORDS]
    lines = list(text_table(list(zip(*shown, strict=True)), width, left))
    lines += [f"{host.name}: {one_line(host.detail)}" for host in found if host.detail]
    unfit = [one_line(words) for host in found for words in problems(host)]
    notices = (*unfit, *_never_joined(found), *_other_bits(found), *_wrong_clocks(found, clocks))
    return "\n".join([*lines, *(wrapped(words, width) for words in notices), *remarks])


def _never_joined(found: Sequence[Host]) -> Iterator[str]:
    """Which hosts have used a token and are not to be expected any more, and how each is removed."""
    for host in found:
        seconds = silence(host)
        if host.state == "enrolled" and not host.launcher and seconds > JOIN_SECONDS:
            removed = f"start its worker again, or remove it with lander-ctl hosts revoke {host.name}"
            yield f"{host.name}: used its token {age(seconds)} ago and has never joined; {removed}"


def _wrong_clocks(found: Sequence[Host], clocks: Sequence[ClockOffset | None]) -> Iterator[str]:
    """Which clocks are wrong, each by so much that it cannot be for want of precision."""
    for host, clock in zip(found, clocks, strict=True):
        if clock is not None and abs(clock.seconds) - (clock.uncertainty or 0.0) > WRONG_SECONDS:
            off = f"{span(abs(clock.seconds))} {'ahead of' if clock.seconds > 0 else 'behind'} this machine's"
            harm = "the times of its events are wrong, their durations are not"
            yield f"{host.name}: its clock is {off}: {harm}; timedatectl set-ntp true there sets it"


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
    if host.state == "enrolled":
        return "enrolled, never joined" if silence(host) > JOIN_SECONDS else "enrolled, measuring"
    return f"{host.state}, silent" if is_silent(host) else host.state


def _offset(clock: ClockOffset | None) -> str:
    if clock is None:
        return ""
    if abs(clock.seconds) - (clock.uncertainty or 0.0) < _SHOWN_OFFSET:
        return "0s"
    return f"{'+' if clock.seconds > 0 else '-'}{span(abs(clock.seconds))}"


def _cells(host: Host, clock: ClockOffset | None) -> tuple[str, ...]:
    heard = f"{age(silence(host))} ago" if host.at else ""
    return (
        host.name,
        _state(host),
        f"{len(host.runs)} of {len(host.cpus)}" if host.cpus else "",
        str(len(host.gpus) or ""),
        f"{host.memory_mb / 1024:,.0f} GB" if host.memory_mb else "",
        host.bits[:_SHOWN_BITS],
        ", ".join(host.labels),
        host.release,
        _offset(clock),
        ", ".join(host.runs[:3]) + (f" and {len(host.runs) - 3} more" if len(host.runs) > 3 else ""),
        heard,
        _launcher(host),
    )


def _launcher(host: Host) -> str:
    """The launcher, and what its engine says of where the worker is: the machine of ssh, the job of Slurm."""
    where = host.job.removesuffix(host.name).rstrip("/")
    return f"{host.launcher}: {where}" if where else host.launcher
