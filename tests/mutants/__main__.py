"""Sow each mutant in a copy of the tree and see whether its tests notice. Exit 1 if one survives, or if they fail without it.

Names (or parts of names) as arguments choose among them.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutants.catalogue import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
COPIED = ("lander", "tests", "examples", "docs", "README.md", "CONTRIBUTING.md", "pyproject.toml", "Makefile")
WORKERS = 2
SECONDS = 120.0  # for the tests of one mutant
ALL_SECONDS = 900.0  # for the tests of all of them, without a mutant
PASSED, FAILED = 0, 1  # pytest's exit codes; any other, say of a module that cannot be imported, proves nothing
NOT_DONE = -1


class MutationError(Exception):
    """A mutant cannot be sown, or what it was sown in does not work without it."""


def copy_tree(to: Path) -> Path:
    """A copy in which nothing of the checkout is imported."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, to / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, to / name)
    return to


def sow(mutant: Mutant, tree: Path) -> None:
    """Change the copy; raises `MutationError` where the source is no longer what the mutant was made for."""
    path = tree / mutant.path
    source = path.read_text()
    if not mutant.fits(source):
        raise MutationError(f"{mutant.name}: {mutant.path} has changed; adapt the mutant, looking for {mutant.before!r}")
    path.write_text(source.replace(mutant.before, mutant.after))


def examine(tree: Path, tests: tuple[str, ...], seconds: float) -> tuple[int, str]:
    """Run the tests there; returns pytest's exit code, or `NOT_DONE`, and the end of what it printed."""
    environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    where = [sys.executable, "-c", "import lander; print(lander.__file__)"]
    found = subprocess.run(where, cwd=tree, env=environment, check=True, capture_output=True, text=True).stdout
    if not found.startswith(str(tree)):
        raise MutationError(f"the copy in {tree} would not be tested, but {found.strip()}")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "--no-header", "-p", "no:cacheprovider", *tests]
    try:
        done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return NOT_DONE, f"not done after {seconds:.0f} s"
    return done.returncode, done.stdout[-3000:] + done.stderr[-1000:]


def verdict(mutant: Mutant | None, tests: tuple[str, ...]) -> tuple[bool, str]:
    """Whether the tests say what they must, and one line about it."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutant-") as directory:
        tree = copy_tree(Path(directory))
        if mutant is not None:
            sow(mutant, tree)
        code, said = examine(tree, tests, ALL_SECONDS if mutant is None else SECONDS)
    took = f"{time.monotonic() - started:5.1f} s"
    if mutant is None:
        line = f"{'(none)':50} {'passed' if code == PASSED else 'FAILED':10} {took}"
        return code == PASSED, line if code == PASSED else f"{line}\n{said}"
    word = {PASSED: "SURVIVED", FAILED: "caught", NOT_DONE: "NOT DONE"}.get(code, f"BROKEN (pytest exit code {code})")
    return code == FAILED, f"{mutant.name:50} {word:10} {took}  {_first_failure(said)}"


def _first_failure(said: str) -> str:
    """The test's file and name; where there is none, the last line."""
    for line in said.splitlines():
        if line.startswith(("FAILED ", "ERROR ")):
            return line.partition(" ")[2].partition(" - ")[0].rpartition("/")[2]
    return said.strip().splitlines()[-1][:100]


def main() -> int:
    """All of them, or those named."""
    chosen = [mutant for mutant in MUTANTS if not sys.argv[1:] or any(word in mutant.name for word in sys.argv[1:])]
    if not chosen:
        print(f"no mutant has a name with {' or '.join(sys.argv[1:])}")
        return 1
    tests = tuple(dict.fromkeys(test for mutant in chosen for test in mutant.tests))
    with ThreadPoolExecutor(WORKERS) as pool:
        pending = [pool.submit(verdict, None, tests), *(pool.submit(verdict, mutant, mutant.tests) for mutant in chosen)]
        results = []
        for each in pending:
            try:
                results.append(each.result())
            except MutationError as error:
                results.append((False, str(error)))
            print(results[-1][1], flush=True)
    good = sum(ok for ok, _ in results[1:])
    print(f"{good} of {len(chosen)} mutants caught")
    return 0 if all(ok for ok, _ in results) else 1


if __name__ == "__main__":
    sys.exit(main())
