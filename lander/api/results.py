"""What an experiment came to, as values: its runs, its arms, and the findings behind its verdict."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lander.api.data_frames import data_frame
from lander.api.figures import Figures
from lander.api.findings import Findings
from lander.protocol.returns import RETURN_WINDOW
from lander.protocol.states import in_words
from lander.reports.analysis.comparison import findings
from lander.reports.analysis.findings import Measure, RunFinding
from lander.reports.render import numbers
from lander.reports.render.text_report import as_text
from lander.reports.render.verdict import verdict
from lander.store.log.reader import Reader
from lander.store.projections.status import ExperimentStatus

if TYPE_CHECKING:
    from pandas import DataFrame

_RUN_COLUMNS: Final = ("seed", "state", "steps", "episodes", f"training return, last {RETURN_WINDOW}")

_MEASURED: Final[Mapping[Measure, str]] = {
    "evaluation": "in the final evaluation",
    "training": f"of the last {RETURN_WINDOW} training episodes",
}


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

    `measure` says in what: their final `evaluation`, or where some have none, their last 100 `training` episodes. The
    `mean_return` of a run is of training always.
    """

    name: str
    runs: tuple[RunOutcome, ...]
    mean_return: float | None
    spread: float | None
    measure: Measure

    @property
    def completed(self) -> bool:
        """Whether every run of the arm was trained to its end."""
        return all(run.completed for run in self.runs)

    def _repr_html_(self) -> str:
        from lander.reports.render.notebook import Panel

        spread = "" if self.spread is None else f", standard deviation {numbers.number(self.spread)}"
        return Panel(
            title=self.name,
            text=f"· mean return {_MEASURED[self.measure]} {numbers.number(self.mean_return)}{spread}",
            headings=_RUN_COLUMNS,
            rows=[_row(run) for run in self.runs],
            words=2,
        ).html


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

    def figures(self) -> Figures:
        """The figures of the report, drawn from the log as it is now; in a notebook they show themselves."""
        from lander.reports.analysis.material import gather
        from lander.reports.render.plots import plots

        with Reader(self.home) as reader, reader.snapshot():
            material = gather(reader, findings(reader, self.experiment_id))
        return Figures(dict(plots(material)))

    def to_dataframe(self) -> "DataFrame":
        """The runs as a `pandas.DataFrame`, a row for each.

        The columns are those of `findings.to_dataframe("runs")`: `run`, `arm`, `seed`, `state`, `cause`, `attempts`, `resume`,
        `step`, `total_steps`, `episodes`, `final` (the final return that is compared), `best`, `best_step`, `area`,
        `steps_to_threshold`, `wall_seconds`, `cpu_seconds`, `steps_per_second`; then `mean_return` (of the last 100 training
        episodes) and `model` (a path). What is unknown is missing. Raises `UsageError` if pandas is not installed.
        """
        runs = [run for arm in self.findings.arms for run in arm.runs]
        outcomes = {run.id: run for run in self.runs}
        more = {name: [getattr(outcomes[run.run], name) for run in runs] for name in ("mean_return", "model")}
        return data_frame(RunFinding, runs, more)

    def __str__(self) -> str:
        return as_text(self.findings)

    def _repr_html_(self) -> str:
        return self.findings._repr_html_()


def _row(run: RunOutcome) -> list[str]:
    words = in_words(run.state, run.cause)
    return [str(run.seed), words, numbers.whole(run.steps), numbers.whole(run.episodes), numbers.number(run.mean_return)]


def result(home: Path, standing: ExperimentStatus) -> Result:
    """The result of an experiment as it stands."""
    name = standing["id"]
    with Reader(home) as reader:
        found, models = Findings.of(findings(reader, name)), reader.models(name)
    outcomes = [
        RunOutcome(
            id=run["id"],
            arm=run["arm"],
            seed=run["seed"],
            state=run["state"],
            cause=run["cause"],
            detail=run["detail"] or None,
            why=run["why"] if run["state"] != "queued" else None,
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
            measure=found.measure,
        )
        for arm in found.arms
    }
    return Result(experiment_id=name, state=standing["state"], home=home, arms=arms, findings=found)
