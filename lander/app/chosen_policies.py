"""Which policies are meant, of which runs and at which of their checkpoints; and how they are brought back."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lander.home.layout import artifact_path
from lander.protocol.errors import NotFoundError, UsageError
from lander.protocol.events import CheckpointCommitted, ModelSaved
from lander.protocol.experiment import Arm, RunKey
from lander.store.log.reader import Reader
from lander.store.records.checkpoint_record import best_evaluated, files_of, nearest_steps
from lander.store.records.run_record import Record
from lander.store.records.sections import origin
from lander.store.upkeep.integrity import sha256_of

if TYPE_CHECKING:
    from lander.actors.trainer.saved_policy import Policy


class Saved(NamedTuple):
    """A policy that can be loaded."""

    run: str
    checkpoint: CheckpointCommitted


def policies(reader: Reader, target: str, at: str) -> tuple[list[Saved], list[str]]:
    """One policy of each run of the target, as `chosen`, and a sentence for each run that has none.

    Raises `NotFoundError` where no run has one, `UsageError` for what is no such `at`.
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
    """The run's checkpoint at a step, its `last`, the `best` in evaluation, or its `final` one; of a fork, also its first.

    Raises `NotFoundError` if there is none, or its files are gone, naming those that remain; `UsageError` for any other `at`.
    """
    step = at.replace(",", "").replace("_", "")
    if at not in ("last", "best", "final") and not step.isdecimal():
        raise UsageError(f"--at {at}: must be a step, last, best or final")
    own = Record(reader, run).checkpoints()
    known = (*filter(None, [origin(reader, run)]), *own) if step.isdecimal() else own
    if not known:
        raise NotFoundError(f"{run}: has no checkpoint yet")
    return _at_step(reader, run, known, int(step) if step.isdecimal() else _named(run, own, at).step)


def _named(run: str, checkpoints: Sequence[CheckpointCommitted], at: str) -> CheckpointCommitted:
    last = checkpoints[-1]
    if at == "final" and not last.finished:
        raise NotFoundError(f"{run}: has not completed; its last checkpoint is at step {last.step}: --at {last.step}")
    return _best(run, checkpoints) if at == "best" else last


def _at_step(reader: Reader, run: str, checkpoints: Sequence[CheckpointCommitted], wanted: int) -> CheckpointCommitted:
    at_step = {each.step: each for each in checkpoints}
    gone = _gone(reader.home, at_step[wanted]) if wanted in at_step else []
    if wanted in at_step and not gone:
        return at_step[wanted]
    what = f"the checkpoint at step {wanted} is gone ({gone[0]})" if gone else f"has no checkpoint at step {wanted}"
    remaining = [step for step, each in at_step.items() if not _gone(reader.home, each)]
    hint = f"the nearest are at {nearest_steps(remaining, wanted)}" if remaining else "none is left"
    raise NotFoundError(f"{run}: {what}; {hint}")


def _gone(home: Path, checkpoint: CheckpointCommitted) -> list[Path]:
    """Those of its files that are no longer there: `lander-ctl gc` deletes what no run needs."""
    return [path for sha256 in files_of(checkpoint) if not (path := artifact_path(home, sha256)).exists()]


def _best(run: str, checkpoints: Sequence[CheckpointCommitted]) -> CheckpointCommitted:
    """The first of those that are equally good, as the best model is, and as `lander-ctl gc` keeps."""
    best = best_evaluated(checkpoints)
    if best is None:
        raise NotFoundError(f"{run}: has no checkpoint that was evaluated when it was made; --eval-frequency N makes some")
    return checkpoints[best]


def load(home: Path, run: str, arm: Arm, checkpoint: CheckpointCommitted) -> "Policy":
    """The policy of a run as it was at a checkpoint; raises what `load_policy` raises, with the run's name before it."""
    from lander.actors.trainer.saved_policy import load_policy

    try:
        return load_policy(arm, RunKey.parse(run).seed, checkpoint, home)
    except (NotFoundError, UsageError) as error:
        raise type(error)(f"{run}: {error}") from error


def policy_of_model(reader: Reader, model: Path) -> Saved:
    """The policy in a model file that a run of this home saved, wherever the file lies now: known by its content, not opened.

    Raises `NotFoundError` where no run saved it, or its checkpoint is not in the log.
    """
    sha256 = sha256_of(model)
    for stored in reader.events(None, [ModelSaved.kind]):
        event = stored.decode()
        if isinstance(event, ModelSaved) and event.sha256 == sha256:
            return Saved(stored.stream, _beside(reader, stored.stream, stored.producer, event.step))
    raise NotFoundError(f"{model}: not a model that a run of {reader.home} saved, or changed since; is --home right?")


def _beside(reader: Reader, run: str, epoch: int, step: int) -> CheckpointCommitted:
    """The checkpoint of the state that an attempt saved a model of: its own, or the one from which it went on."""
    found = [
        (stored.producer, event)
        for stored in reader.events(run, [CheckpointCommitted.kind])
        if stored.producer <= epoch and isinstance(event := stored.decode(), CheckpointCommitted) and event.step == step
    ]
    if not found:
        raise NotFoundError(f"{run}: there is no checkpoint at step {step}, of which the model is")
    return max(found, key=lambda each: each[0])[1]
