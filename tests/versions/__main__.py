"""Train with the oldest versions that `pyproject.toml` allows, and with the newest, each in an environment of its own.

Prints what was found in both, and exits with 1 if a test fails in either.
"""

import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

ROOT = Path(__file__).parents[2]
CLAIMED = ("stable-baselines3", "gymnasium", "numpy", "torch")
"""The packages that can change a run's bits: their lower bounds are what is tested here, and so is whatever comes out."""
TOOLS = ("pytest", "pytest-asyncio", "pytest-timeout")
TESTS = (
    "tests/integration/actors/test_identity.py",
    "tests/integration/actors/test_exact_resume.py",
    "tests/unit/actors/sb3/test_shortcuts.py",
    "tests/unit/actors/sb3/test_algorithms.py",
    "tests/unit/actors/sb3/test_defaults.py",
    "tests/unit/actors/sb3/test_private_names.py",
    "tests/unit/experiments/test_hyperparameters.py",
    "tests/unit/actors/environment/test_recording.py",
)


class Found(NamedTuple):
    """What is installed in an environment, and how the tests of each module ended there."""

    versions: dict[str, str]
    results: dict[str, Counter[str]]


def oldest() -> list[str]:
    """The lower bounds in `pyproject.toml`, as pins."""
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    bounds = dict(re.findall(r"^([\w-]+)(?:\[\w+\])?>=([\d.]+)$", "\n".join(dependencies), re.MULTILINE))
    return [f"{package}=={bounds[package]}" for package in CLAIMED]


def newest() -> list[str]:
    """No pin but torch's: another build of it might come with gigabytes of CUDA."""
    return re.findall(r"^torch==.+$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)


def prepare(name: str, pins: list[str]) -> Path:
    """An environment with these pins and the newest of everything else; returns its Python."""
    place = ROOT / f".venv-{name}"
    python = place / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
    constraints = place / "constraints.txt"
    constraints.write_text("\n".join([*pins, ""]))
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--constraint", str(constraints)]
    subprocess.run([*install, "--upgrade", "--upgrade-strategy", "eager", "--editable", ".", *TOOLS], cwd=ROOT, check=True)
    return python


def examine(python: Path) -> Found:
    """Run the tests there."""
    report = python.parents[1] / "report.xml"
    report.unlink(missing_ok=True)
    options = ["-p", "no:cacheprovider", f"--junitxml={report}", "-o", "junit_family=xunit1"]  # the family that names files
    subprocess.run([str(python), "-m", "pytest", "-q", *options, *TESTS], cwd=ROOT, check=False)
    results: dict[str, Counter[str]] = {test: Counter() for test in TESTS}
    for case in ElementTree.parse(report).iter("testcase"):
        results[case.attrib.get("file", "others")][_outcome(case)] += 1
    return Found(_versions(python), results)


def _outcome(case: ElementTree.Element) -> str:
    found = {child.tag for child in case} & {"failure", "error", "skipped"}
    return {"": "passed", "skipped": "skipped"}.get("".join(found), "failed")


def _versions(python: Path) -> dict[str, str]:
    ask = "import importlib.metadata, sys; print(*map(importlib.metadata.version, sys.argv[1:]))"
    said = subprocess.run([str(python), "-c", ask, *CLAIMED], check=True, capture_output=True, text=True).stdout
    return dict(zip(CLAIMED, said.split(), strict=True))


def passed(found: Found) -> bool:
    """Whether each module had tests that passed, and none that failed; what was skipped stands in the table."""
    return all(counts["passed"] and not counts["failed"] for counts in found.results.values())


def table(columns: dict[str, Found]) -> str:
    """What there was, and what came of it."""
    rows = [("", *columns)]
    rows += [(package, *(found.versions[package] for found in columns.values())) for package in CLAIMED]
    rows += [(test, *(_counted(found.results[test]) for found in columns.values())) for test in TESTS]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, (40, 18, 18), strict=True)).rstrip() for row in rows
    )


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items())) or "none ran"


def main() -> int:
    """Both, one after the other."""
    columns = {name: examine(prepare(name, pins)) for name, pins in (("oldest", oldest()), ("newest", newest()))}
    print(table(columns))
    return 0 if all(map(passed, columns.values())) else 1


if __name__ == "__main__":
    sys.exit(main())
