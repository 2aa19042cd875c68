"""The code of environments that an experiment's runs trained on: one version, or several."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lander.protocol.code import Code, Package
from lander.protocol.experiment import RunKey


@dataclass(frozen=True, slots=True)
class CodeVersion:
    """One version of the code, and the runs on it; `name` is as `Code.name`, `unknown` if an earlier version recorded none."""

    name: str
    archive: str | None
    modules: tuple[str, ...]
    runs: tuple[str, ...]
    runs_in_words: str


def in_words(runs: Sequence[str], everything: Iterable[str]) -> str:
    """Some of the runs of an experiment (`everything`): by their seeds if no other run has one of these, otherwise each.

    So `seeds 0, 1` are those of every arm, and `fast/0, fast/1` are not.
    """
    seeds = list(dict.fromkeys(RunKey.parse(run).seed for run in runs))
    if {run for run in everything if RunKey.parse(run).seed in seeds} == set(runs):
        return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
    return ", ".join(run.partition("/")[2] for run in runs)


def code_versions(code_by_run: Mapping[str, Code | None]) -> tuple[CodeVersion, ...]:
    """The versions in the order in which they came; installed packages are not told apart here."""
    found: dict[tuple[str, str | None, tuple[str, ...]], list[str]] = {}
    for run, code in code_by_run.items():
        key = ("unknown", None, ()) if code is None else (code.name, code.archive, code.modules or code.uncaptured)
        found.setdefault(key, []).append(run)
    return tuple(CodeVersion(*key, tuple(runs), in_words(runs, code_by_run)) for key, runs in found.items())


def package_versions(code_by_run: Mapping[str, Code | None]) -> tuple[str, ...]:
    """In words, each installed package that is not the same for all runs: `gymnasium 1.3.0 (seed 0), 1.4.0 (seed 1)`."""
    found: dict[str, dict[Package, list[str]]] = {}
    for run, code in code_by_run.items():
        for package in code.packages if code is not None else ():
            found.setdefault(package.name, {}).setdefault(package, []).append(run)
    return tuple(f"{name} {_versions(runs, code_by_run)}" for name, runs in found.items() if len(runs) > 1)


def _versions(runs: Mapping[Package, Sequence[str]], everything: Iterable[str]) -> str:
    versions = Counter(package.version for package in runs)
    named = {
        package: package.version if versions[package.version] == 1 else f"{package.version} of content {package.sha256[:8]}"
        for package in runs
    }
    return ", ".join(f"{named[package]} ({in_words(theirs, everything)})" for package, theirs in runs.items())
