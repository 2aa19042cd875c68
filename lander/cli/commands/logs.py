"""`lander-ctl logs`: print the output of the trainers' processes."""

import codecs
import time
from collections.abc import Mapping
from pathlib import Path

import click

from lander.cli.options import FOLLOW_SECONDS, CommandSettings, common
from lander.cli.terminal import show


@click.command()
@click.argument("target")
@click.option("-f", "--follow", is_flag=True, help="Follow new output until the target has ended.")
@common()
@click.pass_obj
def logs(settings: CommandSettings, target: str, follow: bool) -> int:
    """Print the output of a TARGET's processes.

    It contains tracebacks, and everything that environments print.

    \b
    Example:
      lander-ctl logs demo/fast/1 --follow
    """
    from lander.home.identity import HomeIdentity
    from lander.store.log.reader import DATABASE, Reader

    with Reader(settings.home) as reader:
        files = {run: _file(settings.home, run) for run in reader.runs(target)}
        tail = Tail(files)
        identity = HomeIdentity(settings.home, DATABASE)
        while True:
            identity.require()
            ended = not (follow and reader.unfinished(target))
            tail.print_new()
            if ended:
                break
            time.sleep(FOLLOW_SECONDS)
    if not tail.printed:
        show(f"lander-ctl: {target}: nothing was printed; lander-ctl events {target} tells what happened", err=True)
    return 0


def _file(home: Path, run: str) -> Path:
    from lander.home.layout import trainer_log
    from lander.protocol.experiment import RunKey

    return trainer_log(home, RunKey.parse(run))


class Tail:
    """Prints what is new in each of some files, with a heading per file if there are several."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self.printed = False
        self._files = files
        self._offsets = dict.fromkeys(files, 0)
        self._last = next(iter(files)) if len(files) == 1 else ""

    def print_new(self) -> None:
        """Print what was written since the last call."""
        for name, path in self._files.items():
            if path.exists() and path.stat().st_size > self._offsets[name]:
                self._print(name, path)

    def _print(self, name: str, path: Path) -> None:
        if name != self._last:
            show(f"{'' if not self._last else chr(10)}==> {name} <==")
        self._last, self.printed = name, True
        with path.open("rb") as file:
            file.seek(self._offsets[name])
            text = codecs.getreader("utf-8")(file, "replace")
            for chunk in iter(lambda: text.read(1 << 16), ""):
                show(chunk, end="")
            self._offsets[name] = file.tell()
