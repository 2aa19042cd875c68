"""Files that events name, looked at before the events are recorded: the home has them, and models have their names.

What is trained on another machine arrives by its content. A model of such a run lies in the home twice, with its content stored
once: by its name, for people, and by its content, for a further machine on which the run may go on.
"""

import asyncio
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from lander.home.durable_files import flush, make_directory, unfinished
from lander.home.layout import artifact_path, model_path, statistics_path
from lander.home.regular_file import sha256_of
from lander.protocol.commands import Append
from lander.protocol.errors import WireError
from lander.protocol.events import CheckpointCommitted, Event, ModelSaved
from lander.protocol.experiment import RunKey
from lander.protocol.wire import decode_event


async def settle_files(home: Path, batch: Append) -> None:
    """Make sure of the files that a batch names; models are read and copied in a thread, as they may be large.

    Raises `WireError` if it names one that the home has not got, or another than its run's, and `OSError` if the disk does not
    take a name.
    """
    for kind, _, body in batch.events:
        if kind == CheckpointCommitted.kind:
            _settle(home, batch.run, decode_event(kind, body))
        elif kind == ModelSaved.kind:
            await asyncio.to_thread(_settle, home, batch.run, decode_event(kind, body))


def _settle(home: Path, run: str, event: Event) -> None:
    match event:
        case CheckpointCommitted():
            missing = [sha256 for sha256 in event.files if not artifact_path(home, sha256).exists()]
            if missing:
                raise WireError(f"the checkpoint at step {event.step} needs {missing[0]}, which is not here")
        case ModelSaved():
            for sha256, path in _model_files(run, event):
                _name(home, sha256, home / path)
        case _:
            pass


def _model_files(run: str, event: ModelSaved) -> Iterator[tuple[str, Path]]:
    path = model_path(Path(), RunKey.parse(run), event.which)
    if event.path != str(path):
        raise WireError(f"a model of {run} lies at {path}")
    yield event.sha256, path
    if event.statistics is not None:
        yield event.statistics, statistics_path(path)


def _name(home: Path, sha256: str, path: Path) -> None:
    artifact = artifact_path(home, sha256)
    if artifact.exists():
        _link(artifact, path)
    elif not path.exists():
        raise WireError(f"{path} is not here, and {sha256} neither")
    elif sha256_of(path) == sha256:  # saved where the home is; if it is not so any more, the next one was saved meanwhile
        _link(path, artifact)


def _link(existing: Path, path: Path) -> None:
    """Have the same file at `path`; where a file system has no second names for it, a copy."""
    make_directory(path.parent)
    if path.exists() and path.samefile(existing):
        return
    with unfinished(path) as file:
        try:
            os.link(existing, file)
        except OSError:
            shutil.copyfile(existing, file)
            flush(file)
        file.replace(path)
    flush(path.parent)
