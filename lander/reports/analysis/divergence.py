"""Divergence of two runs: the first step at which they differ, and in what.

Two runs are equal if all actions, rewards, endings and checkpoint digests are. The comparison is bit for bit, without
superseded steps (`store.records.run_record`): two NaNs are equal if their bits are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from lander.protocol.errors import NotFoundError
from lander.protocol.events import CheckpointCommitted
from lander.store.records.run_record import Array, Record, Steps

_DIGITS: Final = 12
"""Digits of a digest that are shown."""
What = Literal["environments", "action", "reward", "ending", "length", "weights", "state"]


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first timestep at which two runs differ in `what`; `environment` is its index in the vectorised environment."""

    step: int
    what: What
    first: str
    second: str
    environment: int | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The number of timesteps and checkpoints that were compared, and the first difference of each kind, earliest first."""

    runs: tuple[str, str]
    steps: int
    checkpoints: int
    divergences: tuple[Divergence, ...]

    @property
    def equal(self) -> bool:
        """Nothing differs."""
        return not self.divergences


def compare(first: Record, second: Record, after: int = 0, until: int | None = None) -> Comparison:
    """Compare two runs between two timesteps; by default from the later beginning of the two to their ends.

    Raises `NotFoundError` if neither has a recorded step, since then there is nothing to compare.
    """
    after = max(after, first.lineage.beginning, second.lineage.beginning)
    ours, theirs = (record.steps(after, until) for record in (first, second))
    if not ours.count and not theirs.count:
        raise NotFoundError(f"{first.run} and {second.run}: no step of either is recorded, so there is nothing to compare yet")
    checkpoints = [
        {found.step: found for found in record.checkpoints() if after < found.step and (until is None or found.step <= until)}
        for record in (first, second)
    ]
    common = sorted(checkpoints[0].keys() & checkpoints[1].keys())
    found = list(_in_steps(ours, theirs, after))
    found += _in_checkpoints([(checkpoints[0][step], checkpoints[1][step]) for step in common])
    steps = min(ours.count, theirs.count)
    return Comparison((first.run, second.run), steps, len(common), tuple(sorted(found, key=lambda each: each.step)))


def _in_steps(ours: Steps, theirs: Steps, after: int) -> Iterator[Divergence]:
    if ours.count and theirs.count and ours.n_envs != theirs.n_envs:
        yield Divergence(after + 1, "environments", str(ours.n_envs), str(theirs.n_envs))
        return
    columns: tuple[tuple[What, Array, Array], ...] = (
        ("action", ours.actions, theirs.actions),
        ("reward", ours.rewards, theirs.rewards),
        ("ending", ours.endings, theirs.endings),
    )
    for what, a, b in columns:
        if (place := _first_difference(a, b)) is not None:
            index, environment = place
            step = after + index * ours.n_envs + environment + 1
            yield Divergence(step, what, _shown(a[place]), _shown(b[place]), environment)
    if ours.count != theirs.count:
        ends = [after + steps.count for steps in (ours, theirs)]
        yield Divergence(min(ends) + 1, "length", str(ends[0]), str(ends[1]))


def _in_checkpoints(pairs: Sequence[tuple[CheckpointCommitted, CheckpointCommitted]]) -> Iterator[Divergence]:
    """The first checkpoint whose weights differ, and the first whose state differs if that is another one."""
    weights = next((pair for pair in pairs if pair[0].weights != pair[1].weights), None)
    state = next((pair for pair in pairs if pair[0].digest != pair[1].digest), None)
    if state is not None and state != weights:
        yield Divergence(state[0].step, "state", state[0].digest[:_DIGITS], state[1].digest[:_DIGITS])
    if weights is not None:
        yield Divergence(weights[0].step, "weights", weights[0].weights[:_DIGITS], weights[1].weights[:_DIGITS])


def _first_difference(a: Array, b: Array) -> tuple[int, int] | None:
    """[vector step, environment] of the first value whose bits differ, within the length of the shorter run."""
    both = min(len(a), len(b))
    if not both:
        return None
    if a.dtype != b.dtype or a.shape[1:] != b.shape[1:]:
        return 0, 0
    bits = [np.ascontiguousarray(array[:both]).view(np.uint8).reshape(both, array.shape[1], -1) for array in (a, b)]
    differing = np.argwhere((bits[0] != bits[1]).any(axis=2))
    return (int(differing[0][0]), int(differing[0][1])) if len(differing) else None


def _shown(value: object) -> str:
    return str(np.asarray(value).tolist())


# --- in words ---------------------------------------------------------------------------------------------------------


def as_text(comparison: Comparison) -> str:
    """The comparison as text."""
    one, other = comparison.runs
    if comparison.equal:
        return f"{one} and {other} are equal: {extent(comparison)} compared"
    first = f"{one} and {other} differ first at step {comparison.divergences[0].step:,} ({extent(comparison)} compared)"
    return "\n".join([first, *(f"  {line}" for line in lines(comparison))])


def extent(comparison: Comparison) -> str:
    """The extent of the comparison: its numbers of steps and checkpoints."""
    checkpoints = f"{comparison.checkpoints} checkpoint{'s' if comparison.checkpoints != 1 else ''}"
    return f"{comparison.steps:,} steps and {checkpoints}"


def lines(comparison: Comparison) -> list[str]:
    """A line for each difference."""
    return [_line(divergence) for divergence in comparison.divergences]


def _line(found: Divergence) -> str:
    values = f"{found.first} and {found.second}"
    match found.what:
        case "environments":
            return f"step {found.step:,}: they train in {values} environments"
        case "length":
            return f"step {found.step:,}: they end after {int(found.first):,} and {int(found.second):,} steps"
        case "weights":
            return f"checkpoint at step {found.step:,}: weights {values}"
        case "state":
            return f"checkpoint at step {found.step:,}: digest of the whole state {values}"
    where = f" of environment {found.environment}" if found.environment else ""
    return f"step {found.step:,}: {found.what}{where} {values}"
