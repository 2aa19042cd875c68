"""What each run of an experiment did and what it cost: the facts that arms are compared by.

A run's final return is the mean return of its final evaluation, which is the same episodes for every run. Where a completed
run has none, it is for all of them the mean return of their last 100 training episodes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Final

import numpy as np

from lander.protocol.events import EvaluationFinished
from lander.reports.analysis.curves import Progress
from lander.reports.analysis.findings import Measure, RunFinding
from lander.store.log.reader import Reader
from lander.store.projections.status import RunStatus
from lander.store.records.ancestry import episodes_with_past
from lander.store.records.costs import Cost, costs
from lander.store.records.run_record import Record

LARGEST_RETURN: Final = 1e100
"""What is larger has a square that is no number; no environment means it."""


@dataclass(frozen=True, slots=True)
class RunHistory:
    """A run as the log has it; `began` is the timestep at which it was forked, 0 where it was not."""

    run: RunStatus
    began: int
    progress: Progress
    evaluations: tuple[EvaluationFinished, ...]
    cost: Cost | None

    @property
    def completed(self) -> bool:
        """It was trained to its end."""
        return self.run["state"] == "completed"

    @property
    def final_evaluation(self) -> EvaluationFinished | None:
        """The one after the last training step."""
        return final_of(self.evaluations, self.run["step"])

    @property
    def episodes(self) -> int:
        """Those that the run finished itself, without what it was forked from."""
        return int(np.count_nonzero(self.progress.steps > self.began))

    def final(self, measure: Measure) -> float | None:
        """The final return; None where it is not known, or not a number."""
        if measure == "training":
            return known(self.run["mean_return"])
        return None if self.final_evaluation is None else known(self.final_evaluation.mean_return)

    def best(self, measure: Measure) -> tuple[float, int] | tuple[None, None]:
        """The best return of the measure, and at which timestep it was: none from before it was forked, nor of evaluations of
        another number of episodes than the last, which a lucky one could win."""
        if measure == "training":
            return self.progress.best(after=self.began) or (None, None)
        alike = (each for each in self.evaluations if len(each.returns) == len(self.evaluations[-1].returns))
        found = [(value, each.step) for each in alike if (value := known(each.mean_return)) is not None]
        return max(found, key=lambda each: (each[0], -each[1]), default=(None, None))


def final_of(evaluations: Sequence[EvaluationFinished], step: int) -> EvaluationFinished | None:
    """The final evaluation of a run that has come to this timestep: none of before it was extended."""
    last = evaluations[-1] if evaluations else None
    return last if last is not None and last.final and last.step >= step else None


def known(value: float | None) -> float | None:
    """The return, if it is one that can be reckoned with."""
    return value if value is not None and isfinite(value) and abs(value) <= LARGEST_RETURN else None


def run_histories(reader: Reader, experiment: str, runs: Sequence[RunStatus]) -> list[RunHistory]:
    """Everything that is read of the log: episodes and what is rare, no steps."""
    paid = costs(reader, experiment)
    return [_past(reader, run, paid) for run in runs]


def _past(reader: Reader, run: RunStatus, paid: Mapping[str, Cost]) -> RunHistory:
    if run["id"] not in paid:
        return RunHistory(run, 0, Progress.of([]), (), None)
    record, progress = Record(reader, run["id"]), Progress.of(episodes_with_past(reader, run["id"]))
    return RunHistory(run, record.lineage.beginning, progress, record.evaluations(), paid[run["id"]])


def measure_of(runs: Sequence[RunHistory]) -> Measure:
    """By what these runs can be compared: evaluation where every one of them that completed has a final one."""
    completed = [run for run in runs if run.completed]
    return "evaluation" if completed and all(run.final_evaluation for run in completed) else "training"


def run_finding(past: RunHistory, measure: Measure, threshold: float | None) -> RunFinding:
    """The run, as findings have it."""
    run = past.run
    best, best_step = past.best(measure)
    wall, done = past.cost.wall_seconds if past.cost else None, run["step"] - past.began
    return RunFinding(
        run=run["id"],
        arm=run["arm"],
        seed=run["seed"],
        state=run["state"],
        cause=run["cause"],
        attempts=run["attempt"],
        resume=run["resume"],
        step=run["step"],
        total_steps=run["total_steps"],
        episodes=run["episodes"],
        final=past.final(measure) if past.completed else None,
        best=best,
        best_step=best_step,
        area=past.progress.area(run["total_steps"], past.began) if past.completed else None,
        steps_to_threshold=None if threshold is None else past.progress.reaches(threshold, past.began),
        wall_seconds=wall,
        cpu_seconds=past.cost.cpu_seconds if past.cost else None,
        steps_per_second=done / wall if wall and done > 0 else None,
    )
