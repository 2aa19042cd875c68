"""`lander-ctl verify`: re-execute a run and compare it with its record."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lander.cli.options import CommandSettings, common
from lander.cli.progress import doing
from lander.cli.terminal import show, show_sentence
from lander.protocol.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lander.store.log.reader import Reader
    from lander.store.projections.status import RunStatus
    from lander.store.records.sections import Section


@click.command()
@click.argument("run")
@click.option("--from", "after", type=click.IntRange(min=0), default=0, metavar="STEP", help="Start at the checkpoint at STEP.")
@click.option("--to", "until", type=click.IntRange(min=1), metavar="STEP", help="End at the checkpoint at STEP.")
@common()
@click.pass_obj
def verify(settings: CommandSettings, run: str, after: int, until: int | None) -> int:
    """Re-execute a RUN and compare every bit.

    The run is trained again in a temporary home, from its beginning or from one of its checkpoints. Every action, reward and
    ending is compared, and the digest of the whole state at every checkpoint. A run that was extended, that resumed
    inexactly, or that went on on a host which computes other bits, is verified in sections, each from the checkpoint at which
    it continued. The exit code is 0 if all sections are equal, and 1 if not.

    \b
    Examples:
      lander-ctl verify demo/fast/0
      lander-ctl verify demo/fast/0 --from 20480 --to 40960
    """
    from lander.app.replay_subject import only_run
    from lander.store.log.reader import Reader
    from lander.store.records.run_code import notice_of
    from lander.store.records.sections import sections

    if until is not None and until <= after:
        raise UsageError(f"--to {until}: must come after --from {after}")
    with Reader(settings.home) as reader:
        only_run(reader, run)
        if notice := notice_of(reader, run):
            show(f"note: {notice}", err=True)
        equal = [_verify(reader, run, section) for section in sections(reader, run, after, until)]
    return 0 if all(equal) else 1


def _verify(reader: "Reader", run: str, section: "Section") -> bool:
    from lander.app.reexecution import prepare, reexecute
    from lander.reports.analysis.divergence import compare, extent, lines
    from lander.store.log.reader import Reader
    from lander.store.projections.status import status
    from lander.store.records.hosts import local_bits
    from lander.store.records.run_record import Record

    with tempfile.TemporaryDirectory(prefix="lander-verify-") as directory:
        scratch = Path(directory)
        prepare(scratch, reader, run, section)
        with doing(f"training {run} again, up to step {section.until:,}") as tell:
            reexecute(scratch, run, section.until, lambda standing: tell(_progress(standing)))
        with Reader(scratch) as again:
            found = compare(Record(reader, run), Record(again, run), section.after, section.until)
            resumed = status(again, run)["experiments"][0]["runs"][0]["resume"]
    where = f"{run}: steps {section.after + 1:,} to {section.until:,}"
    if found.equal:
        show_sentence(f"{where} come out the same once more: {extent(found)} compared")
    else:
        show_sentence(f"{where} do NOT come out the same once more ({extent(found)} compared; first as recorded, then now)")
        show_sentence("\n".join(f"  {line}" for line in lines(found)))
    for note in (*_notes_on_bits(section, found.equal, local_bits(reader)), *_notes(section, found.checkpoints, resumed)):
        show_sentence(f"  note: {note}")
    return found.equal


def _notes_on_bits(section: "Section", equal: bool, here: str) -> "Iterator[str]":
    """Notes on where a section was trained; `here` is the class of bits of this machine."""
    if section.other_bits:
        yield (
            f"the run went on at step {section.after:,} on {section.host}, which computes other bits than the host before: from"
            " there on it is not what an undisturbed run is; verified is what came of that"
        )
    if not equal and "" not in (section.bits, here) and section.bits != here:
        yield (
            f"these steps were trained on {section.host}, which computes other bits than this machine: that they differ says"
            " nothing about the run; verify it on a machine that computes the same as that one"
        )


def _notes(section: "Section", checkpoints: int, resumed: str | None) -> "Iterator[str]":
    """Notes that limit a comparison; `resumed` is how the re-execution resumed at the beginning of the section."""
    if section.inexact:
        yield (
            f"the run went on at step {section.after:,} with new episodes, because those under way could not be continued;"
            " verified is what came of that"
        )
    elif resumed == "inexact":
        yield (
            f"its episodes at step {section.after:,} could not be continued once more, and new ones were begun;"
            " compared with an uninterrupted record, that says nothing about the run: choose another --from"
        )
    if not checkpoints:
        yield "no checkpoint of the record was met, so only actions, rewards and endings were compared"


def _progress(standing: "RunStatus") -> str:
    return f"training {standing['id']} again: step {standing['step']:,} of {standing['total_steps']:,}"
