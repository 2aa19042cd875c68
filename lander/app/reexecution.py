"""Re-execution: train a section of a recorded run once more, in a scratch home with a supervisor of its own.

The scratch log is prepared as if the run existed there: the same experiment, with the other runs skipped. If the section
begins at a checkpoint, the log has an earlier attempt that wrote it. The supervisor needs no special case.
"""

import asyncio
import shutil
import signal
import time
from collections.abc import Callable
from math import gcd
from pathlib import Path
from typing import Final

from lander.app import client, service
from lander.app.conduct import PERIOD
from lander.app.interruption import Interruption
from lander.home.layout import artifact_path
from lander.protocol import ending_rules
from lander.protocol import events as e
from lander.protocol.error_text import in_one_line
from lander.protocol.errors import LanderError, NotFoundError
from lander.protocol.experiment import Arm, Experiment, ResourceLimits
from lander.protocol.states import TERMINAL
from lander.store.log.event_store import Batch, batch_of
from lander.store.log.reader import DATABASE, Reader
from lander.store.projections.status import RunStatus, status
from lander.store.records.run_code import code_of
from lander.store.records.run_record import Record
from lander.store.records.sections import Section
from lander.store.upkeep.integrity import is_intact
from lander.store.writers.sqlite_store import SqliteEventStore

_MOST_CHECKPOINTS: Final = 10
"""At most this many times the recorded number, so that checkpoints at irregular steps (a stop, a best evaluation) are
written too."""


def prepare(scratch: Path, source: Reader, run: str, section: Section) -> None:
    """Make `scratch` a home in which this run, and no other, is queued."""
    if section.checkpoint is not None:
        _link_checkpoint(scratch, source.home, run, section.checkpoint)
    code = code_of(source, run)
    if code is not None and code.archive is not None:
        _link(scratch, source.home, code.archive, f"{run}: the captured code of its environment")
    submission = source.submission(section.experiment.experiment_id)
    steps = [found.step for found in Record(source, run).checkpoints() if section.after < found.step <= section.until]
    experiment = _alone(section.experiment, _frequency(steps, section)).model_copy(update={"code": code})
    directory = source.execution(section.experiment.experiment_id).directory
    execution = e.Execution(mode="sequential", monitoring=False, directory=directory)
    submitted = e.ExperimentSubmitted.of(experiment, execution, submission.manifest)
    scratch.mkdir(parents=True, exist_ok=True)
    asyncio.run(_write(scratch, _history(submitted, run, section)))


def _alone(experiment: Experiment, frequency: int) -> Experiment:
    """The experiment with the same training, bit for bit, but without evaluations, limits, retries and rules that end it early.

    Rules change no bit before the end, which is known; they may follow evaluations, or a clock.
    """
    changes = {
        "arms": tuple(_without_rules(arm) for arm in experiment.arms),
        "checkpoint_frequency": frequency,
        "eval_episodes": 0,
        "resource_limits": ResourceLimits(),
        "on_failure": "abort",
        "max_retries": 0,
    }
    return experiment.model_copy(update=changes)


def _without_rules(arm: Arm) -> Arm:
    kept = {name: value for name, value in arm.hyperparameters.items() if name not in ending_rules.SETTINGS}
    return arm.model_copy(update={"hyperparameters": kept})


def _frequency(steps: list[int], section: Section) -> int:
    """A checkpoint frequency that meets every recorded checkpoint of the section, unless that takes too many checkpoints."""
    common, extent = gcd(*steps), section.until - section.after
    return common if common * len(steps) * _MOST_CHECKPOINTS >= extent else section.experiment.checkpoint_frequency


def _history(submitted: e.ExperimentSubmitted, run: str, section: Section) -> list[Batch]:
    experiment = submitted.experiment
    batches = [batch_of(experiment.experiment_id, submitted)]
    batches += [batch_of(each.id, e.RunQueued()) for each in experiment.runs]
    batches += [batch_of(each.id, e.RunSkipped(cause="not verified")) for each in experiment.runs if each.id != run]
    if section.checkpoint is not None:
        start = e.TrainingStarted(epoch=1, pid=1, n_envs=1, device=experiment.baseline.device)
        batches += [
            batch_of(experiment.experiment_id, e.ExperimentStarted()),
            batch_of(run, e.AttemptStarted(epoch=1, host="local", cpu=0)),
            batch_of(run, start, section.checkpoint, producer=1),
            batch_of(run, e.AttemptEnded(epoch=1, cause="preempted")),
            batch_of(run, e.RunQueued(reason="verification")),
        ]
    return batches


async def _write(home: Path, batches: list[Batch]) -> None:
    store = await SqliteEventStore.open(home / DATABASE)
    try:
        for batch in batches:
            await store.append(batch)
    finally:
        await store.close()


def _link_checkpoint(scratch: Path, home: Path, run: str, checkpoint: e.CheckpointCommitted) -> None:
    """Bring a checkpoint's files into the scratch home."""
    for sha256 in checkpoint.files:
        try:
            _link(scratch, home, sha256, f"{run}: the checkpoint at step {checkpoint.step}")
        except NotFoundError as error:
            raise NotFoundError(f"{error}; take another --from") from error


def _link(scratch: Path, home: Path, sha256: str, what: str) -> None:
    """Bring an artifact into the scratch home: as a hard link if possible, since artifacts never change."""
    source, target = artifact_path(home, sha256), artifact_path(scratch, sha256)
    if not is_intact(source, sha256):
        raise NotFoundError(f"{what} is gone or damaged ({source})")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(source)
    except FileExistsError:
        pass
    except OSError:  # another file system
        shutil.copy2(source, target)


def reexecute(scratch: Path, run: str, until: int, report: Callable[[RunStatus], object]) -> None:
    """Train the run until a checkpoint at or after a timestep, or until the run completes.

    Leaves no process behind. Raises `LanderError` if the run fails, `KeyboardInterrupt` if the user interrupts it.
    """
    with Interruption(signal.SIGHUP) as interruption:  # without a terminal, nothing can show the result
        service.start(scratch)
        try:
            with Reader(scratch) as reader:
                while not _has_passed(standing := status(reader, run)["experiments"][0]["runs"][0], until):
                    report(standing)
                    if interruption.wished:
                        raise KeyboardInterrupt("interrupted: nothing was verified")
                    if client.running(scratch) is None:
                        raise LanderError(f"{run}: the supervisor that re-executed it is gone")
                    time.sleep(PERIOD)
        finally:
            service.shut_down(scratch)


def _has_passed(run: RunStatus, until: int) -> bool:
    if run["state"] in TERMINAL and run["state"] != "completed":
        why = in_one_line(run["detail"] or "") or "nothing more is known"
        raise LanderError(f"{run['id']}: its re-execution {run['state']}: {run['cause']}: {why}")
    reached = run["checkpoint"] is not None and run["checkpoint"]["step"] >= until
    return run["state"] == "completed" or reached
