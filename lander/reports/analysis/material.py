"""The material of a report: the findings, and the recorded data that its figures draw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lander.protocol.events import EvaluationFinished
from lander.protocol.experiment import Experiment
from lander.reports.analysis.curves import Band, Curve, band, learning_curve
from lander.reports.analysis.findings import ArmFinding, Findings, RunFinding
from lander.reports.analysis.usage import Usage, usage
from lander.store.log.reader import Reader
from lander.store.records.ancestry import Ancestor, ancestry, episodes_with_past
from lander.store.records.run_record import Record


@dataclass(frozen=True, kw_only=True, slots=True)
class Material:
    """Everything a report shows; `curves`, `evaluations`, `usage` and `ancestry` by run, `bands` by arm, if there is one.

    `experiment` is the experiment as it is now, `manifest` the machine and versions with which it was submitted.
    """

    findings: Findings
    experiment: Experiment
    manifest: Mapping[str, Any]
    curves: Mapping[str, Curve]
    bands: Mapping[str, Band]
    evaluations: Mapping[str, tuple[EvaluationFinished, ...]]
    usage: Mapping[str, Usage]
    ancestry: Mapping[str, tuple[Ancestor, ...]]


def gather(reader: Reader, findings: Findings) -> Material:
    """Read from the log the data for the report on these findings."""
    runs = [run.run for arm in findings.arms for run in arm.runs]
    curves = learning_curves(reader, findings)
    evaluations = {run: found for run in runs if (found := Record(reader, run).evaluations())}
    return Material(
        findings=findings,
        experiment=reader.experiment(findings.experiment),
        manifest=reader.submission(findings.experiment).manifest,
        curves=curves,
        bands=bands(findings, curves),
        evaluations=evaluations,
        usage=usage(reader, findings.experiment),
        ancestry={run: past for run in runs if (past := ancestry(reader, run))},
    )


def learning_curves(reader: Reader, findings: Findings) -> dict[str, Curve]:
    """The learning curve of every run that finished an episode; those of an arm have the same steps."""
    found = {}
    for arm in findings.arms:
        for run in arm.runs:
            if episodes := episodes_with_past(reader, run.run):
                found[run.run] = learning_curve(episodes, _last_step(arm), until=run.step)
    return found


def _last_step(arm: ArmFinding) -> int:
    """Up to where the curves of an arm go: its last step, or where the last one of its runs has ended early."""
    wanted = max(run.total_steps for run in arm.runs)
    over = all(run.state == "completed" for run in arm.runs)
    return min(wanted, max(run.step for run in arm.runs)) if over else wanted


def bands(findings: Findings, curves: Mapping[str, Curve]) -> dict[str, Band]:
    """The band of every arm: over its completed runs, or over all its runs if none is completed."""
    chosen = {arm.name: [curves[run.run] for run in _shown(arm) if run.run in curves] for arm in findings.arms}
    return {name: band(theirs) for name, theirs in chosen.items() if theirs}


def _shown(arm: ArmFinding) -> Sequence[RunFinding]:
    return [run for run in arm.runs if run.state == "completed"] or arm.runs
