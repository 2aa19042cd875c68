"""Of every entry of the installed zoo: whether it is read, built and trained here, and if not, why.

`python -m tests.field.coverage`, with the names of algorithms for some of them. An entry is shortened before it trains 500
steps: a rollout has at most 512 of them, learning starts after 100, and a replay buffer holds 2 000. The generic entries train
in an environment of their kind: `default` in CartPole-v1 or Pendulum-v1, `atari` in Pong.
"""

import csv
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from lander.app.zoo import experiment_of
from lander.experiments.parsing import parse_experiment
from lander.experiments.zoo.files import entries_of, find_entry, installed_directory
from lander.experiments.zoo.names import with_module
from lander.protocol.errors import ConfigurationError

STEPS = 500
ROLLOUT = 512
AT_ONCE = 2
TABLE = Path("build/zoo-coverage.csv")
STAND_INS = {"atari": "PongNoFrameskip-v4"}
CONTINUOUS = frozenset({"crossq", "ddpg", "sac", "td3", "tqc"})


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


def entries(chosen: list[str]) -> Iterator[tuple[str, str]]:
    """Algorithm and entry of all files, or of the chosen ones."""
    directory = installed_directory()
    assert directory is not None, "rl_zoo3 is not installed: make field does that"
    for path in sorted(directory.glob("*.yml")):
        if not chosen or path.stem in chosen:
            yield from ((path.stem, name) for name in entries_of(path))


def measured(home: Path, algorithm: str, entry: str) -> Row:
    """Read, build and train one entry."""
    environment = STAND_INS.get(entry) or (entry if entry != "default" else _generic(algorithm))
    file = str(installed_directory() / f"{algorithm}.yml")
    row = Row(algorithm, entry, with_module(environment))
    data = experiment_of(file, environment)
    try:
        parse_experiment(data, source="zoo")
        changes = shortened(find_entry(Path(file), algorithm, environment).settings)
    except (ConfigurationError, ValueError) as refused:
        return Row(**asdict(row) | {"reason": _one_line(str(refused))})
    done = _lander(home, "run", "-q", "--zoo", file, environment, "--experiment-id", f"{algorithm}-{entry}"[:60], *changes)
    if done.returncode == 2:
        return Row(**asdict(row) | {"parses": True, "reason": _one_line(done.stderr)})
    trained = done.returncode == 0
    return Row(
        **asdict(row) | {"parses": True, "builds": True, "trains": trained, "reason": "" if trained else _one_line(done.stderr)}
    )


def _generic(algorithm: str) -> str:
    return "Pendulum-v1" if algorithm in CONTINUOUS else "CartPole-v1"


def shortened(settings) -> list[str]:
    """The overrides that let an entry show within 500 steps that it trains."""
    given = settings["hyperparameters"]
    n_envs = int(given.get("n_envs", 1))
    off_policy = settings["algorithm"] in ("CrossQ", "DDPG", "DQN", "QRDQN", "SAC", "TD3", "TQC")
    changes = {"training_steps": STEPS}
    if off_policy:
        changes |= {"hyperparameters.learning_starts": 100, "hyperparameters.buffer_size": 2000}
    elif settings["algorithm"] in ("PPO", "TRPO", "RecurrentPPO"):
        n_steps = min(int(given.get("n_steps", 2048)), max(1, ROLLOUT // n_envs))
        changes |= {"hyperparameters.n_steps": n_steps}
        changes |= {"hyperparameters.batch_size": min(int(given.get("batch_size", 64)), n_steps * n_envs)}
    return [f"{name}={value}" for name, value in changes.items()]


def _lander(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lander", *arguments, "--home", str(home)]
    return subprocess.run(command, capture_output=True, text=True, timeout=900)


def _one_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.startswith("lander-ctl: ")] or text.splitlines()
    return lines[-1].removeprefix("lander-ctl: ")[:300] if lines else "no reason was given"


def summary(rows: list[Row]) -> str:
    """How many pass each stage, and why the others do not."""
    passed = {stage: sum(getattr(row, stage) for row in rows) for stage in ("parses", "builds", "trains")}
    reasons = Counter(row.reason.split(": ", 1)[-1] for row in rows if not row.trains)
    counts = ", ".join(f"{number} {stage.replace('s', '', 0)}" for stage, number in passed.items())
    return "\n".join(
        [f"of {len(rows)} entries: {counts}", *(f"{number:4d}  {reason}" for reason, number in reasons.most_common())]
    )


def main() -> None:
    """Measure all, write the table, print the summary."""
    wanted = list(entries(sys.argv[1:]))
    with tempfile.TemporaryDirectory(prefix="lander-coverage-") as directory:
        home = Path(directory)
        _lander(home, "up")
        try:
            with ThreadPoolExecutor(AT_ONCE) as pool:
                rows = list(pool.map(lambda each: _told(measured(home, *each)), wanted))
        finally:
            _lander(home, "down")
    TABLE.parent.mkdir(exist_ok=True)
    with TABLE.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(asdict(rows[0])))
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    print(f"{summary(rows)}\n{TABLE} has the table")


def _told(row: Row) -> Row:
    print(f"{row.algorithm:9} {row.entry:38} {'trains' if row.trains else row.reason}", flush=True)
    return row


if __name__ == "__main__":
    main()
