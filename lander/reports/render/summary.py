"""The texts of a report beside the verdict, the same in every output format."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from lander.protocol.experiment import Arm
from lander.protocol.states import UNDER_WAY, in_words
from lander.reports.analysis.findings import ArmFinding, Findings
from lander.reports.analysis.material import Material
from lander.reports.render import numbers
from lander.store.projections.remarks import Remark

_MOST_SEEDS: Final = 12


def question(findings: Findings) -> str:
    """The experiment's hypothesis, or its name if it has none."""
    return " ".join(findings.hypothesis.split()) or findings.experiment


def amendments(findings: Findings) -> Iterator[tuple[str, str]]:
    """Each later wording of the hypothesis: when it was amended and by whom, and how it reads."""
    for each in findings.amendments:
        when = "after results could be seen" if each.after_results else "before results could be seen"
        yield f"hypothesis amended {_signed(each)}, {when}", " ".join(each.text.split())


def notes(findings: Findings) -> Iterator[tuple[str, str]]:
    """Each note: when it was written and by whom, and its text."""
    for each in findings.notes:
        yield f"noted {_signed(each)}", " ".join(each.text.split())


def _signed(remark: Remark) -> str:
    """`2026-03-01 12:00 UTC by me@here`."""
    return f"{remark.at[:10]} {remark.at[11:16]} UTC by {remark.operator}"


def notice(findings: Findings) -> str:
    """A warning to read first: the experiment has not ended, or no run completed; else empty."""
    runs = [run for arm in findings.arms for run in arm.runs]
    done = sum(run.state == "completed" for run in runs)
    if findings.state in UNDER_WAY:
        return f"Not finished: {done} of {len(runs)} runs have completed. This is how things stand."
    if done:
        return f"{findings.state.capitalize()}: {done} of {len(runs)} runs have completed." if findings.unfinished else ""
    causes = dict.fromkeys(in_words(run.state, run.cause) for run in runs)
    return f"No run completed, so there is nothing to conclude. What became of them: {', '.join(causes)}."


def summary(material: Material) -> str:
    """What was trained, for how many timesteps and with which seeds."""
    arms = material.experiment.arms
    parts = [_joined(arms, "algorithm"), f"on {_joined(arms, 'environment')}", f"for {_steps(arms)} timesteps", _seeds(arms)]
    return " ".join(parts)


def _joined(arms: Sequence[Arm], name: str) -> str:
    return " and ".join(dict.fromkeys(str(getattr(arm, name)) for arm in arms))


def _steps(arms: Sequence[Arm]) -> str:
    return " or ".join(dict.fromkeys(f"{arm.training_steps:,}" for arm in arms))


def _seeds(arms: Sequence[Arm]) -> str:
    seeds = list(dict.fromkeys(seed for arm in arms for seed in arm.seeds))
    if len(seeds) > _MOST_SEEDS:
        return f"with {len(seeds)} seeds"
    return f"with {'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}"


def steps_to(findings: Findings) -> str:
    """The heading of the column of steps to the threshold."""
    return "steps to threshold" if findings.threshold is None else f"steps to {numbers.number(findings.threshold)}"


def reached(arm: ArmFinding) -> str:
    """How many of an arm's completed runs reached the threshold; empty if all did."""
    completed = sum(run.state == "completed" for run in arm.runs)
    return f"({arm.reached} of {completed} runs)" if arm.reached < completed else ""


def lineage(material: Material) -> str:
    """The runs that a fork continues, and from which step; empty if the experiment is no fork."""
    last = [past[-1] for past in material.ancestry.values()]
    if not last:
        return ""
    runs = list(dict.fromkeys(f"{found.run} at step {found.until:,}" for found in last))
    rest = f" and {len(runs) - _MOST_SEEDS} more" if len(runs) > _MOST_SEEDS else ""
    return f"A fork: its runs go on from {', '.join(runs[:_MOST_SEEDS])}{rest}."


def published(findings: Findings) -> Iterator[tuple[str, str]]:
    """Each published policy beside the experiment: its folder, and what it returned."""
    beside = "" if findings.measure == "evaluation" else ", without exploration; those of the arms are of training"
    for each in findings.published:
        spread = "" if each.spread is None else f" ± {numbers.number(each.spread)}"
        yield (
            f"published policy {each.folder}",
            f"returned {numbers.number(each.mean)}{spread} over {each.episodes:,} episodes{beside}"
            f" ({each.run} at step {each.step:,}); no part of the verdict",
        )


def code(findings: Findings) -> Iterator[tuple[str, str]]:
    """The code of the environments, as a pair of label and text; nothing if all of it is installed packages'."""
    for version in findings.code:
        if version.modules:
            yield f"code of {' and '.join(version.modules)}", f"{version.name} ({version.runs_in_words})"


def manifest(recorded: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The recorded command, commit, versions and machine of the submission, as pairs of label and text."""
    git = recorded.get("git") or {}
    machine = recorded.get("machine") or {}
    if argv := recorded.get("argv"):
        yield "asked for with", " ".join(["lander-ctl", *(str(word) for word in argv[1:])])
    if commit := git.get("commit"):
        yield "commit", f"{commit}{' (with changes)' if git.get('dirty') else ''}"
    if versions := recorded.get("versions"):
        yield "versions", ", ".join(f"{name} {version}" for name, version in versions.items())
    if machine:
        named = [machine.get("cpu"), machine.get("platform"), *machine.get("gpus", ())]
        yield "machine", ", ".join(str(each) for each in named if each)


class About(NamedTuple):
    """A figure's title, and its caption, which says how to read it."""

    title: str
    caption: str


ABOUT: Final[Mapping[str, About]] = {
    "differences": About(
        "Difference of each variant to the baseline",
        "Each variant minus the baseline, with its 95 % confidence interval: right of zero, the variant returned more. The"
        " intervals are each for itself; the decision is corrected for how many there are.",
    ),
    "branching": About(
        "Branching", "The runs that this fork continues, and where its arms part. Up to there they are one, step by step."
    ),
    "learning-curves": About(
        "Learning curves",
        "Thin: each run. Bold: the mean of an arm's completed runs (of all its runs where none is), with its 95 % bootstrap"
        " band over seeds where there are four or more.",
    ),
    "evaluation-curves": About(
        "Returns in evaluation",
        "The policy of each moment, playing without exploration, the same episodes for every run. Thin: each run. Bold: the"
        " mean of an arm.",
    ),
    "final-returns": About(
        "Final returns",
        "Each completed run, and the interquartile mean of its arm; of four runs or more, with its 95 % interval.",
    ),
    "performance-profile": About(
        "Performance profile",
        "The share of an arm's runs that returned more than each value; of four runs or more, with 95 % intervals.",
    ),
    "steps-to-threshold": About(
        "Steps to the threshold",
        "When each run's learning curve first came to the threshold, and the mean of its arm. Runs that never did are hollow,"
        " and count with all their training steps.",
    ),
    "resources": About(
        "Resource use", "What each run used while it trained: its process with all its children, by the host's samples."
    ),
}
"""The title and caption of every figure, by its name."""
