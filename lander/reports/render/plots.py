"""The figures of a report, each a function of the report's material."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np

from lander.protocol.returns import RETURN_WINDOW
from lander.reports.analysis.bootstrap import Floats, Integers
from lander.reports.analysis.findings import ArmFinding, Estimate, Findings
from lander.reports.analysis.material import Material
from lander.reports.analysis.run_histories import LARGEST_RETURN, usable_return
from lander.reports.analysis.statistics import profile
from lander.reports.render.drawing import INK, QUIET, Style, figure, number_axis, settings, style, thousands
from lander.reports.render.legend import BESIDE_AXES, add_legend, lines_of, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_WIDTH: Final = 5.6
_MIDDLE: Final = 4.8
_NARROW: Final = 4.1
FINAL_RETURN: Final = {
    "evaluation": "final return (mean of the last evaluation)",
    "training": f"final return (mean of the last {RETURN_WINDOW} episodes)",
}
_LINE: Final = 0.165
"""The height of a line of text, in inches."""
_MOST_OF_LABEL: Final = 44
_MARKS: Final = 8
"""Markers of one curve."""


def plots(material: Material) -> "Iterator[tuple[str, Figure]]":
    """Every figure that has data, with its name, in the order of the page."""
    with settings():
        for name, draw in _PLOTS.items():
            if (drawn := draw(material)) is not None:
                yield name, drawn


# --- over training ----------------------------------------------------------------------------------------------------


def learning_curves(material: Material) -> "Figure | None":
    """The learning curve of each run as a thin line, and the mean of each arm with its band."""
    if not material.curves:
        return None
    drawn, (axes,) = figure(_WIDTH, 3.5)
    for arm, look in _styled(material.findings):
        for run in arm.runs:
            if (curve := material.curves.get(run.run)) is not None:
                axes.plot(curve.steps, _drawable(curve.returns), color=look.colour, linewidth=0.6, alpha=0.4)
        if (band := material.bands.get(arm.name)) is not None:
            axes.fill_between(band.steps, _drawable(band.low), _drawable(band.high), color=look.colour, alpha=0.16, linewidth=0)
            _mean_line(axes, band.steps, band.mean, look, arm.name)
    for step in sorted({found[-1].until for found in material.ancestry.values()}):
        axes.axvline(step, color=QUIET, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)
    if (threshold := usable_return(material.findings.threshold)) is not None:
        label = f"threshold {thousands(round(threshold, 1))}"
        axes.axhline(threshold, color=QUIET, linewidth=1.0, linestyle=(0, (1, 2)), zorder=1, label=label)
    axes.set_xlim(right=max(int(curve.steps[-1]) for curve in material.curves.values()))
    _finish(axes, "timesteps of a run", f"return (mean of the last {RETURN_WINDOW} episodes)")
    add_legend(drawn, axes)
    return drawn


def evaluation_curves(material: Material) -> "Figure | None":
    """The mean return of each evaluation over training; None if every run has at most one."""
    if all(len(found) < 2 for found in material.evaluations.values()):
        return None
    drawn, (axes,) = figure(_WIDTH, 3.0)
    for arm, look in _styled(material.findings):
        found = [material.evaluations.get(run.run, ()) for run in arm.runs]
        curves = [{each.step: each.mean_return for each in run} for run in found if run]
        for curve in curves:
            axes.plot(list(curve), _drawable(list(curve.values())), color=look.colour, linewidth=0.6, alpha=0.4)
        whole = [curve for curve, run in zip(curves, filter(None, found), strict=True) if run[-1].final] or curves
        steps = sorted(set.intersection(*(set(curve) for curve in whole))) if whole else []
        with np.errstate(all="ignore"):  # NaN is not drawn
            means = np.array([np.mean([curve[step] for curve in whole]) for step in steps])
        _mean_line(axes, np.array(steps, float), means, look, arm.name)
    _finish(axes, "timesteps of a run", "return in evaluation")
    add_legend(drawn, axes)
    return drawn


def resources(material: Material) -> "Figure | None":
    """CPU and memory of each run, over its time in training."""
    if not material.usage:
        return None
    drawn, panels = figure(_WIDTH, 4.0, rows=2)
    longest = max(float(usage.seconds[-1]) for usage in material.usage.values())
    scale, unit = (3600.0, "hours") if longest > 3 * 3600 else (60.0, "minutes") if longest > 180 else (1.0, "seconds")
    for arm, look in _styled(material.findings):
        label: str | None = arm.name
        for run in arm.runs:
            if run.run in material.usage:
                usage = material.usage[run.run].thinned()
                for axes, values in zip(panels, (usage.cpu_percent, usage.memory_mb), strict=True):
                    axes.plot(
                        usage.seconds / scale,
                        values,
                        color=look.colour,
                        linestyle=look.line,
                        linewidth=0.9,
                        alpha=0.8,
                        label=label,
                    )
                label = None
    _finish(panels[0], "", "CPU (% of one core)")
    _finish(panels[1], f"{unit} in training", "memory (MB)")
    for axes in panels:
        axes.set_ylim(0, 1.08 * axes.dataLim.y1 or 1)
    add_legend(drawn, panels[0])
    return drawn


def _mean_line(axes: "Axes", steps: Floats | Integers, means: Floats, look: Style, label: str) -> None:
    apart = len(steps) // _MARKS
    axes.plot(
        steps,
        _drawable(means),
        color=look.colour,
        linestyle=look.line,
        linewidth=2.0,
        marker=look.marker,
        markersize=5,
        markevery=(int(apart * (0.2 + look.phase)), apart) if apart > 1 else 1,
        label=label,
    )


def _drawable(values: Floats | Sequence[float]) -> Floats:
    """The values, with NaN in place of those that no axis can show."""
    found = np.asarray(values, np.float64)
    return np.where(np.abs(found) <= LARGEST_RETURN, found, np.nan)


def _finish(axes: "Axes", x: str, y: str) -> None:
    number_axis(axes)
    axes.yaxis.set_major_formatter(thousands)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.margins(x=0.015)


# --- at the end -------------------------------------------------------------------------------------------------------


def differences(material: Material) -> "Figure | None":
    """The difference of each variant from the baseline, with its interval and a line at zero."""
    contrasts = {contrast.variant: contrast for contrast in material.findings.comparisons}
    shown = [(arm, look) for arm, look in _styled(material.findings) if arm.name in contrasts]
    if not shown:
        return None
    names = [wrapped(arm.name, BESIDE_AXES) for arm, _ in shown]
    drawn, (axes,) = figure(_MIDDLE, 0.75 + max(0.32, _LINE * (lines_of(names) + 0.5)) * len(shown))
    axes.axvline(0, color=INK, linewidth=0.9)
    for row, (arm, look) in enumerate(shown):
        _interval(axes, contrasts[arm.name].difference, row, look, look.marker)
    _rows(axes, names)
    axes.margins(x=0.08)
    number_axis(axes)
    axes.set_xlabel(wrapped(f"final return, minus that of {material.findings.arms[0].name}", _MOST_OF_LABEL))
    return drawn


def final_returns(material: Material) -> "Figure | None":
    """The final return of every completed run, and the interquartile mean of each arm with its interval."""
    findings = material.findings
    values = {arm.name: list(arm.returns.values()) for arm in findings.arms}
    counts = {arm.name: f"{len(arm.returns)} of {len(arm.runs)} runs" for arm in findings.arms}
    iqms = {arm.name: arm.iqm for arm in findings.arms}
    drawn = _strip(findings, counts, values, iqms, FINAL_RETURN[findings.measure])
    if drawn is not None and findings.measure == "evaluation":
        _published(drawn, findings)
    return drawn


def _published(drawn: "Figure", findings: Findings) -> None:
    """A line at the mean return of each published policy, over the rows of all arms."""
    (axes,) = drawn.axes
    for number, policy in enumerate(findings.published):
        if (mean := usable_return(policy.mean)) is not None:
            label = f"published policy {thousands(round(mean, 1))}"
            axes.axvline(mean, color=QUIET, linewidth=1.2, linestyle=(0, (4, 2 + number)), zorder=1, label=label)
    add_legend(drawn, axes)


def steps_to_threshold(material: Material) -> "Figure | None":
    """The timestep at which each completed run's learning curve first reached the threshold."""
    findings = material.findings
    if findings.threshold is None:
        return None
    completed = {arm.name: [run for run in arm.runs if run.state == "completed"] for arm in findings.arms}
    values = {
        name: [run.steps_to_threshold for run in runs if run.steps_to_threshold is not None] for name, runs in completed.items()
    }
    never = {name: [run.total_steps for run in runs if run.steps_to_threshold is None] for name, runs in completed.items()}
    means = {arm.name: arm.steps_to_threshold for arm in findings.arms}
    counts = {name: f"{len(values[name])} of {len(runs)} runs" for name, runs in completed.items()}
    label = f"timesteps to a return of {thousands(round(findings.threshold, 1))}"
    return _strip(findings, counts, values, means, label, never)


def _strip(
    findings: Findings,
    counts: Mapping[str, str],
    values: Mapping[str, Sequence[float]],
    means: Mapping[str, Estimate | None],
    label: str,
    hollow: Mapping[str, Sequence[float]] = MappingProxyType({}),
) -> "Figure | None":
    """A row of points for each arm, `hollow` ones unfilled, and below them an estimate with its interval.

    The counts of its runs stand below its name.
    """
    if not any(values.values()):
        return None
    names = [f"{wrapped(arm.name, BESIDE_AXES)}\n{counts[arm.name]}" for arm in findings.arms]
    drawn, (axes,) = figure(_NARROW, 1.1 + max(0.55, _LINE * (lines_of(names) + 0.5)) * len(findings.arms))
    for row, (arm, look) in enumerate(_styled(findings)):
        for points, fill in ((values[arm.name], "full"), (hollow.get(arm.name, ()), "none")):
            at = [row - 0.14] * len(points)
            axes.plot(points, at, look.marker, color=look.colour, markersize=5, alpha=0.55, linestyle="", fillstyle=fill)
        if (mean := means[arm.name]) is not None:
            _interval(axes, mean, row + 0.16, look, "|")
    _rows(axes, names)
    axes.margins(x=0.06)
    number_axis(axes, most=3)
    axes.set_xlabel(label)
    return drawn


def _rows(axes: "Axes", names: Sequence[str]) -> None:
    """A row for each name, the first at the top."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")


def _interval(axes: "Axes", found: Estimate, row: float, look: Style, marker: str) -> None:
    if found.low is not None and found.high is not None:
        axes.plot([found.low, found.high], [row, row], "|-", color=look.colour, markersize=5, linewidth=1.8)
    axes.plot([found.value], [row], marker, color=look.colour, markersize=11 if marker == "|" else 7, markeredgewidth=1.8)


def performance_profile(material: Material) -> "Figure | None":
    """For every return, the share of an arm's runs above it (Agarwal et al. 2021, run-score distribution)."""
    findings = material.findings
    if max((len(arm.returns) for arm in findings.arms), default=0) < 2:
        return None
    drawn, (axes,) = figure(_NARROW, 3.0)
    achieved = np.unique([value for arm in findings.arms for value in arm.returns.values()])
    margin = 0.05 * (achieved[-1] - achieved[0] or 1.0)
    levels = np.array([achieved[0] - margin, *achieved, achieved[-1] + margin])
    for arm, look in _styled(findings):
        if arm.returns:
            found = profile(list(arm.returns.values()), levels)
            axes.fill_between(levels, found.low, found.high, color=look.colour, alpha=0.14, linewidth=0, step="post")
            axes.step(levels, found.share, where="post", color=look.colour, linestyle=look.line, linewidth=1.8, label=arm.name)
    number_axis(axes)
    axes.set_xlabel(FINAL_RETURN[findings.measure])
    axes.set_ylabel("share of runs above it")
    axes.yaxis.set_major_formatter("{x:.0%}")
    axes.set_ylim(-0.03, 1.03)
    add_legend(drawn, axes)
    return drawn


def _styled(findings: Findings) -> Iterator[tuple[ArmFinding, Style]]:
    return ((arm, style(index)) for index, arm in enumerate(findings.arms))


def branching(material: Material) -> "Figure | None":
    """The runs that a fork continues, and the timestep at which the arms branch; their common past is drawn once."""
    if not material.ancestry:
        return None
    _, past = min(material.ancestry.items())
    names = [wrapped(ancestor.run.rpartition("/")[0], BESIDE_AXES) for ancestor in past]
    names += [wrapped(arm.name, BESIDE_AXES) for arm in material.findings.arms]
    drawn, (axes,) = figure(_WIDTH, 0.9 + max(0.34, _LINE * (lines_of(names) + 0.5)) * len(names))
    partings = sorted({found[-1].until for found in material.ancestry.values()})
    begin = 0
    for row, ancestor in enumerate(past):
        until = partings[-1] if ancestor is past[-1] else ancestor.until
        axes.plot([begin, until], [row, row], color=QUIET, linewidth=3, solid_capstyle="butt")
        begin = ancestor.until
    for row, (arm, look) in enumerate(_styled(material.findings), len(past)):
        reached = max(run.total_steps for run in arm.runs)
        axes.plot([partings[0], reached], [row, row], color=look.colour, linestyle=look.line, linewidth=2)
        axes.vlines(partings, len(past) - 1, row, color=look.colour, linestyles=look.line, linewidth=2)
        axes.plot([reached], [row], look.marker, color=look.colour, markersize=6)
    _rows(axes, names)
    number_axis(axes)
    axes.set_xlabel("timesteps of a run")
    return drawn


_PLOTS: Final[Mapping[str, "Callable[[Material], Figure | None]"]] = {
    "differences": differences,
    "branching": branching,
    "learning-curves": learning_curves,
    "evaluation-curves": evaluation_curves,
    "final-returns": final_returns,
    "performance-profile": performance_profile,
    "steps-to-threshold": steps_to_threshold,
    "resources": resources,
}
