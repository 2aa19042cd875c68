"""`lander-ctl verify`: whether a run comes out the same once more."""

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lander.cli.options import Settings, common

if TYPE_CHECKING:
    from lander.store.reader import Reader
    from lander.store.sections import Section
    from lander.store.status import RunStatus


@click.command()
@click.argument("run")
@click.option("--from", "after", type=click.IntRange(min=0), default=0, metavar="STEP", help="From the checkpoint at STEP.")
@click.option("--to", "until", type=click.IntRange(min=1), metavar="STEP", help="Up to the checkpoint at STEP.")
@common()
@click.pass_obj
def verify(settings: Settings, run: str, after: int, until: int | None) -> int:
    """Re-execute a RUN and compare every bit.

    It is trained once more, in a scratch home of its own, from its beginning or from one of its checkpoints. Every action,
    reward and ending is compared, and the digest of the whole state at every checkpoint. The exit code is 0 if all are
    equal, and 1 if not.

    \b
    Examples:
      lander-ctl verify demo/fast/0
      lander-ctl verify demo/fast/0 --from 20480 --to 40960
    """
    from lander.cli.diff import only_run
    from lander.store.reader import Reader
    from lander.store.sections import sections

    with Reader(settings.home) as reader:
        only_run(reader, run)
        equal = [_verify(reader, run, section) for section in sections(reader, run, after, until)]
    return 0 if all(equal) else 1


def _verify(reader: "Reader", run: str, section: "Section") -> bool:
    from lander.cli.reenact import prepare, reenact
    from lander.reports.difference import compare, extent, lines
    from lander.store.reader import Reader
    from lander.store.record import Record

    with tempfile.TemporaryDirectory(prefix="lander-verify-") as directory:
        scratch = Path(directory)
        prepare(scratch, reader, run, section)
        reenact(scratch, run, section.until, _tell if sys.stderr.isatty() else lambda standing: None)
        with Reader(scratch) as again:
            found = compare(Record(reader, run), Record(again, run), section.after, section.until)
    where = f"{run}: steps {section.after + 1:,} to {section.until:,}"
    if found.equal:
        click.echo(f"{where} come out the same once more: {extent(found)} compared")
    else:
        click.echo(f"{where} do NOT come out the same once more ({extent(found)} compared; first as recorded, then now)")
        click.echo("\n".join(f"  {line}" for line in lines(found)))
    return found.equal


def _tell(standing: "RunStatus") -> None:
    total = standing["total_steps"]
    click.echo(f"\r\x1b[Kre-executing: step {standing['step']:,} of {total:,}\r", err=True, nl=False)
