"""Saved policies: select them by run and checkpoint, and load them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lander.home.layout import artifact_path
from lander.home.regular_file import sha256_of
from lander.protocol.errors import NotFoundError, UsageError
from lander.protocol.events import CheckpointCommitted, ModelSaved
from lander.protocol.experiment import Arm, RunKey
from lander.store.log.reader import Reader
from lander.store.records.checkpoint_record import best_evaluated, nearest_steps
from lander.store.records.run_record import Record
from lander.store.records.sections import origin

if TYPE_CHECKING:
    from lander.actors.trainer.saved_policy import Policy


class Saved(NamedTuple):
    """A saved policy: the run and the checkpoint that holds it."""

    run: str
    checkpoint: CheckpointCommitted


def policies(reader: Reader, target: str, at: str) -> tuple[list[Saved], list[str]]:
    """One policy for each run of the target, as `chosen` selects it, and a sentence for each run that has none.

    Raises `NotFoundError` if no run has one, `UsageError` for an invalid `at`.
    """
    saved: list[Saved] = []
    missing: list[str] = []
    for run in reader.runs(target):
        try:
            saved.append(Saved(run, chosen(reader, run, at)))
        except NotFoundError as error:
            missing.append(str(error))
    if not saved:
        raise NotFoundError("\n".join(missing))
    return saved, missing


def chosen(reader: Reader, run: str, at: str) -> CheckpointCommitted:
    """The run's checkpoint at a step, or its `last`, `best` (in evaluation) or `final` one.

    For a fork, a step may also be that of the checkpoint it began from. Raises `NotFoundError` if there is no such checkpoint
    or its files are gone, naming the nearest that remain; `UsageError` for any other `at`.
    """
    step = at.replace(",", "").replace("_", "")
    if at not in ("last", "best", "final") and not step.isdecimal():
        raise UsageError(f"--at {at}: must be a step, last, best or final")
    own = Record(reader, run).checkpoints()
    known = (*filter(None, [origin(reader, run)]), *own) if step.isdecimal() else own
    if not known:
        raise NotFoundError(f"{run}: has no checkpoint yet")
    return _at_step(reader, run, known, int(step) if step.isdecimal() else _by_word(run, own, at).step)


def _by_word(run: str, checkpoints: Sequence[CheckpointCommitted], at: str) -> CheckpointCommitted:
    last = checkpoints[-1]
    if at == "final" and not last.finished:
        raise NotFoundError(f"{run}: has not completed; its last checkpoint is at step {last.step}: --at {last.step}")
    return _best(run, checkpoints) if at == "best" else last


def _at_step(reader: Reader, run: str, checkpoints: Sequence[CheckpointCommitted], wanted: int) -> CheckpointCommitted:
    at_step = {each.step: each for each in checkpoints}
    missing = _missing_files(reader.home, at_step[wanted]) if wanted in at_step else []
    if wanted in at_step and not missing:
        return at_step[wanted]
    what = f"the checkpoint at step {wanted} is gone ({missing[0]})" if missing else f"has no checkpoint at step {wanted}"
    remaining = [step for step, each in at_step.items() if not _missing_files(reader.home, each)]
    hint = f"the nearest are at {nearest_steps(remaining, wanted)}" if remaining else "none is left"
    raise NotFoundError(f"{run}: {what}; {hint}")


def _missing_files(home: Path, checkpoint: CheckpointCommitted) -> list[Path]:
    """The files of a checkpoint that no longer exist: `lander-ctl gc` deletes those that no run needs."""
    return [path for sha256 in checkpoint.files if not (path := artifact_path(home, sha256)).exists()]


def _best(run: str, checkpoints: Sequence[CheckpointCommitted]) -> CheckpointCommitted:
    """The best checkpoint in evaluation, the first of equal ones, as for the best model and in `lander-ctl gc`."""
    best = best_evaluated(checkpoints)
    if best is None:
        raise NotFoundError(f"{run}: has no checkpoint that was evaluated when it was made; --eval-frequency N makes some")
    return checkpoints[best]


def load(home: Path, run: str, arm: Arm, checkpoint: CheckpointCommitted) -> "Policy":
    """Load the policy of a run at a checkpoint; raises what `load_policy` raises, with the run's name as prefix."""
    from lander.actors.trainer.saved_policy import load_policy

    try:
        return load_policy(arm, RunKey.parse(run).seed, checkpoint, home)
    except (NotFoundError, UsageError) as error:
        raise type(error)(f"{run}: {error}") from error


def policy_of_model(reader: Reader, model: Path) -> Saved:
    """The policy in a model file that a run of this home saved. The file is identified by its SHA-256, and is not opened.

    Raises `NotFoundError` if no run saved it, or if its checkpoint is not in the log.
    """
    sha256 = sha256_of(model.resolve())
    for stored in reader.events(None, [ModelSaved.kind]):
        event = stored.decode()
        if isinstance(event, ModelSaved) and event.sha256 == sha256:
            return Saved(stored.stream, checkpoint_of_model(reader, stored.stream, stored.producer, event.step))
    raise NotFoundError(f"{model}: not a model that a run of {reader.home} saved, or changed since; is --home right?")


def checkpoint_of_model(reader: Reader, run: str, epoch: int, step: int) -> CheckpointCommitted:
    """The checkpoint at the step of a saved model: one of the same attempt, or of an earlier one that it continued."""
    found = [
        (stored.producer, event)
        for stored in reader.events(run, [CheckpointCommitted.kind])
        if stored.producer <= epoch and isinstance(event := stored.decode(), CheckpointCommitted) and event.step == step
    ]
    if not found:
        raise NotFoundError(f"{run}: there is no checkpoint at step {step}, of which the model is")
    return max(found, key=lambda each: each[0])[1]
