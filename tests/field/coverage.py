"""Of every entry of the installed zoo: whether it is read, built and trained here, and if not, why.

`python -m tests.field.coverage`, with the names of algorithms for some of them. The row of an entry is written when it is
known. What the table has is not measured a second time; with `--again` it is. An entry is shortened before it trains 500
steps: a rollout has at most 512 of them; learning starts after 300, in batches of 32 from a buffer of 2 000. The generic
entries train in an environment of their kind: `default` in CartPole-v1 or Pendulum-v1, `atari` in Pong. The entries of an
algorithm are the arms of one experiment.
"""

import argparse
import csv
import json
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from lander.app.zoo import experiment_of
from lander.experiments.parsing import parse_experiment
from lander.experiments.zoo.files import entries_of, find_entry, installed_directory
from lander.experiments.zoo.names import with_module
from lander.protocol.errors import ConfigurationError
from lander.protocol.states import TERMINAL

STEPS = 500
ROLLOUT = 512
SEED = 3
TABLE = Path("build/zoo-coverage.csv")
STAND_INS = {"atari": "PongNoFrameskip-v4"}
CONTINUOUS = frozenset({"crossq", "ddpg", "sac", "td3", "tqc"})
OFF_POLICY = frozenset({"CrossQ", "DDPG", "DQN", "QRDQN", "SAC", "TD3", "TQC"})
BY_ROLLOUTS = frozenset({"PPO", "RecurrentPPO", "TRPO"})
STAGES = ("parses", "builds", "trains")


@dataclass(frozen=True)
class Row:
    """One entry; `reason` is why the first stage that it did not pass refused it."""

    algorithm: str
    entry: str
    environment: str
    parses: bool = False
    builds: bool = False
    trains: bool = False
    reason: str = ""


def measured(home: Path, file: Path, known: Collection[str]) -> Iterator[Row]:
    """Read, build and train the entries of one file but those that are known; each row comes when its entry is through."""
    read = {name: _read(file, name) for name in entries_of(file) if name not in known}
    yield from (row for row, arm in read.values() if arm is None)
    rows = {name: row for name, (row, arm) in read.items() if arm is not None}
    arms = {name: arm for name, (_, arm) in read.items() if arm is not None}
    while arms and (refused := _refused(home, file.stem, arms)):
        for name, reason in refused.items():
            yield replace(rows[name], reason=reason)
            del arms[name]
    if arms:
        for run in _ended(home, file.stem, _written(home, file.stem, arms)):
            trained = run["state"] == "completed"
            reason = "" if trained else f"{run['cause']}: {run['detail']}"
            yield replace(rows[run["arm"]], builds=True, trains=trained, reason=_one_line(reason))


def _read(file: Path, name: str) -> tuple[Row, dict[str, Any] | None]:
    """The row of an entry so far, and the arm that trains it, shortened, if it can be read."""
    generic = "Pendulum-v1" if file.stem in CONTINUOUS else "CartPole-v1"
    environment = generic if name == "default" else STAND_INS.get(name, name)
    row = Row(file.stem, name, with_module(environment))
    unknown = f"{'x' if name == 'default' else ''}{environment}"  # which has no entry of its own
    try:
        data = experiment_of(str(file), unknown)
        parse_experiment(data, source="zoo")
        arm = {**data, "environment": row.environment, **shortened(find_entry(file, file.stem, unknown).settings)}
        parse_experiment(arm, source="zoo")
        return replace(row, parses=True), arm
    except (ConfigurationError, ValueError) as refused:
        return replace(row, reason=_one_line(str(refused))), None


def shortened(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with which an entry shows within 500 steps that it trains."""
    given = settings["hyperparameters"]
    changes: dict[str, Any] = {}
    if settings["algorithm"] in OFF_POLICY:
        changes = {"learning_starts": 300, "buffer_size": 2000, "batch_size": 32}
    elif settings["algorithm"] in BY_ROLLOUTS:
        n_envs = int(given.get("n_envs", 1))
        n_steps = min(int(given.get("n_steps", 2048)), max(1, ROLLOUT // n_envs))
        changes = {"n_steps": n_steps, "batch_size": min(int(given.get("batch_size", 64)), n_steps * n_envs)}
    return {"training_steps": STEPS, "hyperparameters": changes}


def _written(home: Path, algorithm: str, arms: Mapping[str, dict[str, Any]]) -> Path:
    """The file of the experiment with these arms."""
    listed = [
        {**arm, "name": name, "role": "variant" if number else "baseline", "seeds": [SEED]}
        for number, (name, arm) in enumerate(arms.items())
    ]
    rest = {"experiment_id": algorithm, "on_failure": "skip", "max_retries": 0, "eval_episodes": 0, "compare_budgets": True}
    path = home / f"{algorithm}.json"
    path.write_text(json.dumps({**rest, "arms": listed}))
    return path


def _refused(home: Path, algorithm: str, arms: Mapping[str, dict[str, Any]]) -> dict[str, str]:
    """The arms that cannot be built, with the reasons; of a refusal that names no arm, all of them."""
    done = _lander(home, "validate", str(_written(home, algorithm, arms)))
    if done.returncode == 0:
        return {}
    lines = [line for line in done.stderr.splitlines() if line.startswith("lander-ctl: ")]
    named = {name: line for line in lines for name in arms if re.search(rf": (arms\\.)?{re.escape(name)}[.:]", line)}
    return {name: _one_line(line) for name, line in named.items()} or dict.fromkeys(arms, _one_line(done.stderr))


def _ended(home: Path, algorithm: str, file: Path) -> Iterator[dict[str, Any]]:
    """Train an experiment; each run comes when it has ended."""
    submitted = _lander(home, "submit", str(file))
    if submitted.returncode:
        sys.exit(submitted.stderr)
    seen: set[str] = set()
    while True:
        experiment = json.loads(_lander(home, "status", algorithm, "--json").stdout)["experiments"][0]
        for run in experiment["runs"]:
            if run["state"] in TERMINAL and run["id"] not in seen:
                seen.add(run["id"])
                yield run
        if len(seen) == len(experiment["runs"]):
            return
        time.sleep(2)


def _lander(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lander", *arguments, "--home", str(home / "home")]
    return subprocess.run(command, capture_output=True, text=True)


def _one_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.startswith("lander-ctl: ")] or text.strip().splitlines()
    return re.sub(r"^(lander-ctl: )?(\S+\.json: )?", "", lines[-1])[:400] if lines else ""


def summary(rows: list[Row]) -> str:
    """How many pass each stage, and why the others do not."""
    counts = ", ".join(f"{sum(getattr(row, stage) for row in rows)} {stage[:-1]}" for stage in STAGES)
    reasons = Counter(row.reason for row in rows if not row.trains)
    return "\n".join([f"of {len(rows)} entries: {counts}", *(f"{number:4d}  {why}" for why, number in reasons.most_common())])


def written(table: Path) -> list[Row]:
    """The rows that a table has; none if there is no table."""
    if not table.exists():
        return []
    with table.open(newline="") as file:
        return [Row(**{**row, **{stage: row[stage] == "True" for stage in STAGES}}) for row in csv.DictReader(file)]


def append(table: Path, rows: Iterable[Row]) -> None:
    """Write rows at the end of a table, which begins with the names of its columns; each is in the file at once."""
    table.parent.mkdir(exist_ok=True)
    new = not table.exists()
    with table.open("a", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)])
        if new:
            writer.writeheader()
        for row in rows:
            writer.writerow(asdict(row))
            file.flush()


def main() -> None:
    """Measure all files, or those that are named; write the table, print the summary."""
    parser = argparse.ArgumentParser(prog="python -m tests.field.coverage")
    parser.add_argument("algorithms", nargs="*", help="names of files of the zoo; all of them if none is named")
    parser.add_argument("--again", action="store_true", help="measure them although the table has them")
    wanted = parser.parse_args()
    directory = installed_directory()
    if directory is None:
        sys.exit("rl_zoo3 is not installed; make field installs it in .venv-field")
    files = [file for file in sorted(directory.glob("*.yml")) if file.stem in (wanted.algorithms or [file.stem])]
    if wanted.again:
        kept = [row for row in written(TABLE) if row.algorithm not in {file.stem for file in files}]
        TABLE.unlink(missing_ok=True)
        append(TABLE, kept)
    with tempfile.TemporaryDirectory(prefix="lander-coverage-") as home:
        _lander(Path(home), "up")
        try:
            for file in files:
                known = {row.entry for row in written(TABLE) if row.algorithm == file.stem}
                append(TABLE, measured(Path(home), file, known))
                print(f"{file.stem}: {summary([row for row in written(TABLE) if row.algorithm == file.stem])}", flush=True)
        finally:
            _lander(Path(home), "down")
    print(f"\nin all, {summary(written(TABLE))}\n{TABLE} has the table")


if __name__ == "__main__":
    main()
