"""What an experiment came to, as values: its runs, its arms, and the findings behind its verdict."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lander.reports.analysis.comparison import findings
from lander.reports.analysis.findings import Findings
from lander.reports.render.text_report import as_text
from lander.reports.render.verdict import verdict
from lander.store.log.reader import Reader
from lander.store.projections.status import ExperimentStatus


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOutcome:
    """How one run ended; `why` it was not tried again if it failed, `mean_return` over its last 100 episodes, `model` an
    ordinary Stable-Baselines3 zip."""

    id: str
    arm: str
    seed: int
    state: str
    cause: str | None
    detail: str | None
    why: str | None
    steps: int
    episodes: int
    mean_return: float | None
    model: Path | None

    @property
    def completed(self) -> bool:
        """Whether it was trained to its end."""
        return self.state == "completed"


@dataclass(frozen=True, kw_only=True, slots=True)
class ArmOutcome:
    """How the runs of one arm ended, and the mean and sample standard deviation of what its completed runs achieved.

    That is their final evaluation, or where some have none, their last 100 training episodes.
    """

    name: str
    runs: tuple[RunOutcome, ...]
    mean_return: float | None
    spread: float | None

    @property
    def completed(self) -> bool:
        """Whether every run of the arm was trained to its end."""
        return all(run.completed for run in self.runs)


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """How an experiment stands: arms by name, baseline first, and what was found: the numbers behind its verdict."""

    experiment_id: str
    state: str
    home: Path
    arms: Mapping[str, ArmOutcome]
    findings: Findings

    @property
    def verdict(self) -> list[str]:
        """For each variant whether the hypothesis is supported, refuted or undecided, in words."""
        return verdict(self.findings)

    @property
    def runs(self) -> tuple[RunOutcome, ...]:
        """Every run, arm by arm."""
        return tuple(run for arm in self.arms.values() for run in arm.runs)

    @property
    def completed(self) -> bool:
        """Whether every run was trained to its end."""
        return all(arm.completed for arm in self.arms.values())

    def __str__(self) -> str:
        return as_text(self.findings)


def result(home: Path, standing: ExperimentStatus) -> Result:
    """The result of an experiment as it stands."""
    name = standing["id"]
    with Reader(home) as reader:
        found, models = findings(reader, name), reader.models(name)
    outcomes = [
        RunOutcome(
            id=run["id"],
            arm=run["arm"],
            seed=run["seed"],
            state=run["state"],
            cause=run["cause"],
            detail=run["detail"] or None,
            why=run["why"],
            steps=run["step"],
            episodes=run["episodes"],
            mean_return=run["mean_return"],
            model=models.get(run["id"]),
        )
        for run in standing["runs"]
    ]
    arms = {
        arm.name: ArmOutcome(
            name=arm.name,
            runs=tuple(run for run in outcomes if run.arm == arm.name),
            mean_return=arm.mean.value if arm.mean else None,
            spread=arm.spread,
        )
        for arm in found.arms
    }
    return Result(experiment_id=name, state=standing["state"], home=home, arms=arms, findings=found)
