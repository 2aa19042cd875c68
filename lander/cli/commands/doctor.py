"""`lander-ctl doctor`: is this machine good for training?"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from lander.cli.options import CommandSettings, common
from lander.cli.progress import doing
from lander.cli.terminal import show, show_sentence

if TYPE_CHECKING:
    from lander.app.diagnosis import Diagnosis
    from lander.app.doctor import Doctor

_INDENT: Final = 22
"""Characters before what was found."""
_FILE: Final = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object, with the digests of what this machine computes.")
@click.option("--known-bits", type=_FILE, metavar="FILE", help="Compare with the machines in FILE, not with those known here.")
@click.option("--record-bits", type=_FILE, metavar="FILE", help="Add this machine to FILE, for --known-bits elsewhere.")
@common()
@click.pass_obj
def doctor(settings: CommandSettings, as_json: bool, known_bits: Path | None, record_bits: Path | None) -> int:
    """Examine this machine and the home.

    Looks at versions, cores, limits, the disk of the home, the clock and the GPU, and compares the bits of some operations with
    those of known machines. Each line is ok, a warning or a problem, with what to do. Takes a few seconds, needs no home, and
    changes nothing. The exit code is 0 if there is no problem, and 1 if there is.

    \b
    Examples:
      lander-ctl doctor
      lander-ctl doctor --home /data/results --json
      lander-ctl doctor --record-bits here.json
      lander-ctl doctor --known-bits here.json
    """
    from lander.app import known_bits as tables
    from lander.app.doctor import Doctor

    known = tables.read(known_bits or tables.SHIPPED)
    found = []
    with doing("examining this machine") as tell:
        examined = Doctor(settings.home, known, tell)
        for each in examined.diagnoses():
            found.append(each)
            if not as_json:
                show_sentence(_line(each), _INDENT)
    if as_json:
        show(_json(found, examined))
    if record_bits is not None and examined.bits is not None:
        tables.record(record_bits, examined.bits)
        show(f"lander-ctl: {record_bits}: has the bits of this machine", err=True)
    return 1 if any(each.level == "problem" for each in found) else 0


def _line(found: "Diagnosis") -> str:
    from lander.protocol.text import one_line

    advice = f"; {found.advice}" if found.advice else ""
    return f"{found.name.ljust(12)} {found.level.ljust(8)} {one_line(found.detail + advice)}"


def _json(found: "list[Diagnosis]", examined: "Doctor") -> str:
    import json
    from dataclasses import asdict

    bits = None if examined.bits is None else examined.bits.model_dump()
    return json.dumps({"diagnoses": [asdict(each) for each in found], "bits": bits}, indent=2)
