"""The history of each run of an experiment and its cost: the facts by which arms are compared.

A run's final return is the mean return of its final evaluation, which plays the same episodes for every run. If any completed
run has no final evaluation, it is, for all runs, the mean return of their last 100 training episodes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Final

import numpy as np

from lander.protocol.events import EndDecided, EvaluationFinished
from lander.reports.analysis.curves import Progress
from lander.reports.analysis.findings import Measure, RunFinding
from lander.store.log.reader import Reader
from lander.store.projections.status import RunStatus
from lander.store.records.ancestry import episodes_with_past
from lander.store.records.costs import Cost, costs
from lander.store.records.run_record import Record

LARGEST_RETURN: Final = 1e100
"""The squares of larger returns may overflow; such a return is an error of the environment."""


@dataclass(frozen=True, slots=True)
class RunHistory:
    """A run as recorded in the log; `began` is the timestep at which it was forked, 0 if it is no fork."""

    run: RunStatus
    began: int
    progress: Progress
    evaluations: tuple[EvaluationFinished, ...]
    cost: Cost | None
    end_decided: EndDecided | None = None
    """By which rule its training ended before its last step; None if by none."""

    @property
    def completed(self) -> bool:
        """The run trained all its steps, or as many as the rules of its experiment wanted."""
        return self.run["state"] == "completed"

    @property
    def final_evaluation(self) -> EvaluationFinished | None:
        """The evaluation after the last training step; None if there is none."""
        return final_of(self.evaluations, self.run["step"])

    @property
    def episodes(self) -> int:
        """The number of episodes that the run itself finished, without those before its fork."""
        return int(np.count_nonzero(self.progress.steps > self.began))

    def final(self, measure: Measure) -> float | None:
        """The final return; None if it is unknown or not a number."""
        if measure == "training":
            return usable_return(self.run["mean_return"])
        return None if self.final_evaluation is None else usable_return(self.final_evaluation.mean_return)

    def best(self, measure: Measure) -> tuple[float, int] | tuple[None, None]:
        """The best return of the measure and its timestep, since the fork.

        Only evaluations with as many episodes as the last one count: a mean over fewer would be best by chance more often.
        """
        if measure == "training":
            return self.progress.best(after=self.began) or (None, None)
        alike = (each for each in self.evaluations if len(each.returns) == len(self.evaluations[-1].returns))
        found = [(value, each.step) for each in alike if (value := usable_return(each.mean_return)) is not None]
        return max(found, key=lambda each: (each[0], -each[1]), default=(None, None))


def final_of(evaluations: Sequence[EvaluationFinished], step: int) -> EvaluationFinished | None:
    """The final evaluation of a run that has reached this timestep; one from before an extension does not count."""
    last = evaluations[-1] if evaluations else None
    return last if last is not None and last.final and last.step >= step else None


def usable_return(value: float | None) -> float | None:
    """The return if the statistics can use it: finite, and not larger than `LARGEST_RETURN`; else None."""
    return value if value is not None and isfinite(value) and abs(value) <= LARGEST_RETURN else None


def run_histories(reader: Reader, experiment: str, runs: Sequence[RunStatus]) -> list[RunHistory]:
    """The histories of these runs; reads episodes and rare events from the log, but no steps."""
    cost_by_run = costs(reader, experiment)
    return [_history(reader, run, cost_by_run) for run in runs]


def _history(reader: Reader, run: RunStatus, cost_by_run: Mapping[str, Cost]) -> RunHistory:
    if run["id"] not in cost_by_run:
        return RunHistory(run, 0, Progress.of([]), (), None)
    record, progress = Record(reader, run["id"]), Progress.of(episodes_with_past(reader, run["id"]))
    return RunHistory(
        run, record.lineage.beginning, progress, record.evaluations(), cost_by_run[run["id"]], record.end_decided()
    )


def measure_of(runs: Sequence[RunHistory]) -> Measure:
    """The measure by which these runs can be compared: evaluation if every completed run has a final one."""
    completed = [run for run in runs if run.completed]
    return "evaluation" if completed and all(run.final_evaluation for run in completed) else "training"


def run_finding(history: RunHistory, measure: Measure, threshold: float | None) -> RunFinding:
    """A run's finding, from its history."""
    run = history.run
    best, best_step = history.best(measure)
    wanted = run["total_steps"] if history.end_decided is None else run["step"]
    wall, done = history.cost.wall_seconds if history.cost else None, run["step"] - history.began
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
        final=history.final(measure) if history.completed else None,
        best=best,
        best_step=best_step,
        area=history.progress.area(wanted, history.began) if history.completed else None,
        steps_to_threshold=None if threshold is None else history.progress.reaches(threshold, history.began),
        wall_seconds=wall,
        cpu_seconds=history.cost.cpu_seconds if history.cost else None,
        steps_per_second=done / wall if wall and done > 0 else None,
    )
