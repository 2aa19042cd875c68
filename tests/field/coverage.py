"""Of every entry of the installed zoo: whether it is read, built and trained here, and if not, why.

`python -m tests.field.coverage`, with the names of algorithms for some of them. An entry is shortened before it trains 500
steps: a rollout has at most 512 of them; learning starts after 300, in batches of 32 from a buffer of 2 000. The generic
entries train in an environment of their kind: `default` in CartPole-v1 or Pendulum-v1, `atari` in Pong. The entries of an
algorithm are the arms of one experiment.
"""

import csv
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from lander.app.zoo import experiment_of
from lander.experiments.parsing import parse_experiment
from lander.experiments.zoo.files import entries_of, find_entry, installed_directory
from lander.experiments.zoo.names import with_module
from lander.protocol.errors import ConfigurationError

STEPS = 500
ROLLOUT = 512
SEED = 3
TABLE = Path("build/zoo-coverage.csv")
STAND_INS = {"atari": "PongNoFrameskip-v4"}
CONTINUOUS = frozenset({"crossq", "ddpg", "sac", "td3", "tqc"})
OFF_POLICY = frozenset({"CrossQ", "DDPG", "DQN", "QRDQN", "SAC", "TD3", "TQC"})
BY_ROLLOUTS = frozenset({"PPO", "RecurrentPPO", "TRPO"})


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


def measured(home: Path, file: Path) -> list[Row]:
    """Read, build and train the entries of one file."""
    read = {name: _read(file, name) for name in entries_of(file)}
    rows = {name: row for name, (row, _) in read.items()}
    arms = {name: arm for name, (_, arm) in read.items() if arm is not None}
    while arms and (refused := _refused(home, file.stem, arms)):
        for name, reason in refused.items():
            rows[name] = replace(rows[name], reason=reason)
            del arms[name]
    if arms:
        _lander(home, "run", "-q", str(_written(home, file.stem, arms)))
        for run in _runs(home, file.stem):
            trained = run["state"] == "completed"
            reason = "" if trained else f"{run['cause']}: {run['detail']}"
            rows[run["arm"]] = replace(rows[run["arm"]], builds=True, trains=trained, reason=_one_line(reason))
    return list(rows.values())


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


def _runs(home: Path, algorithm: str) -> list[dict[str, Any]]:
    status = json.loads(_lander(home, "status", algorithm, "--json").stdout)
    runs: list[dict[str, Any]] = status["experiments"][0]["runs"]
    return runs


def _lander(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lander", *arguments, "--home", str(home / "home")]
    return subprocess.run(command, capture_output=True, text=True)


def _one_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.startswith("lander-ctl: ")] or text.strip().splitlines()
    return lines[-1].removeprefix("lander-ctl: ")[:400] if lines else ""


def summary(rows: list[Row]) -> str:
    """How many pass each stage, and why the others do not."""
    counts = ", ".join(f"{sum(getattr(row, stage) for row in rows)} {stage[:-1]}" for stage in ("parses", "builds", "trains"))
    reasons = Counter(row.reason for row in rows if not row.trains)
    return "\n".join([f"of {len(rows)} entries: {counts}", *(f"{number:4d}  {why}" for why, number in reasons.most_common())])


def main() -> None:
    """Measure all files, or those that are named; write the table, print the summary."""
    directory = installed_directory()
    if directory is None:
        sys.exit("rl_zoo3 is not installed; make field installs it in .venv-field")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="lander-coverage-") as home:
        _lander(Path(home), "up")
        try:
            for file in sorted(directory.glob("*.yml")):
                if not sys.argv[1:] or file.stem in sys.argv[1:]:
                    rows += measured(Path(home), file)
                    print(f"{file.stem}: {summary([row for row in rows if row.algorithm == file.stem])}", flush=True)
        finally:
            _lander(Path(home), "down")
    TABLE.parent.mkdir(exist_ok=True)
    with TABLE.open("w", newline="") as out:
        writer = csv.DictWriter(out, list(asdict(rows[0])))
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    print(f"\nin all, {summary(rows)}\n{TABLE} has the table")


if __name__ == "__main__":
    main()
