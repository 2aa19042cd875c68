"""The code of environments that an experiment's runs trained on: one version, or several."""

from collections.abc import Mapping
from dataclasses import dataclass

from lander.protocol.code import Code
from lander.protocol.experiment import RunKey


@dataclass(frozen=True, slots=True)
class CodeVersion:
    """One version of the code, and the runs on it; `name` is as `Code.name`, `unknown` if an earlier version recorded none."""

    name: str
    archive: str | None
    modules: tuple[str, ...]
    runs: tuple[str, ...]

    @property
    def of(self) -> str:
        """Its runs in words: their seeds if every arm has the same, otherwise each run."""
        keys = [RunKey.parse(run) for run in self.runs]
        arms: dict[str, list[str]] = {}
        for key in keys:
            arms.setdefault(key.arm, []).append(str(key.seed))
        seeds, *others = arms.values()
        if all(each == seeds for each in others):
            return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(seeds)}"
        return ", ".join(f"{key.arm}/{key.seed}" for key in keys)


def code_versions(code_by_run: Mapping[str, Code | None]) -> tuple[CodeVersion, ...]:
    """The versions in the order in which they came; installed packages of other versions make no other version."""
    found: dict[tuple[str, str | None, tuple[str, ...]], list[str]] = {}
    for run, code in code_by_run.items():
        key = ("unknown", None, ()) if code is None else (code.name, code.archive, code.modules or code.uncaptured)
        found.setdefault(key, []).append(run)
    return tuple(CodeVersion(*key, tuple(runs)) for key, runs in found.items())
