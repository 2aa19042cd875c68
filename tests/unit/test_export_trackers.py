"""Exports to trackers, read back by the trackers themselves: W&B's `leet inspect` and MLflow's client."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lander.protocol.errors import UsageError
from lander.reports.export.formats import export
from lander.reports.export.surroundings import only
from lander.store.log.reader import Reader
from lander.store.records.run_record import Record
from tests.chronicle import OTHER, RUN, sha256
from tests.exports import HYPERPARAMETERS, METRICS, told

pytestmark = pytest.mark.filterwarnings(
    # MLflow's own table definitions use what SQLAlchemy 2.1 calls old.
    "ignore:The ``noload`` loader strategy is deprecated",
)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return told(tmp_path_factory.mktemp("export") / "home")


def exported(home, form, output, target="x"):
    with Reader(home) as reader:
        return export(reader, target, form, output).directory


def moments(home, run):
    """When each metric that counts was logged, in microseconds."""
    with Reader(home) as reader:
        return [at for at, _ in Record(reader, run).dated_metrics()]


def test_only_the_variables_that_are_named_hold_inside(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "secret")
    monkeypatch.setenv("OTHER", "kept")
    before = dict(os.environ)
    inside = {}

    def fail():
        inside.update(os.environ)
        os.environ["WANDB_SERVICE"] = "left behind"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), only("WANDB_", WANDB_MODE="offline"):
        fail()
    assert {name: value for name, value in inside.items() if name.startswith("WANDB_")} == {"WANDB_MODE": "offline"}
    assert inside["OTHER"] == "kept"
    assert dict(os.environ) == before


# --- W&B --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wandb_export(home, tmp_path_factory):
    """The export, and what it did to the environment."""
    before = dict(os.environ)
    directory = exported(home, "wandb", tmp_path_factory.mktemp("wandb") / "out")
    assert dict(os.environ) == before
    return directory


def inspected(path):
    """The records of a `.wandb` file, as W&B's own reader prints them."""
    environment = os.environ | {"WANDB_MODE": "offline", "WANDB_ERROR_REPORTING": "false"}
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(path)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    return [json.loads(line) for line in printed.splitlines()]


def of_kind(records, kind):
    return [record[kind] for record in records if record["type"] == kind]


def number(value):
    return float(value.replace("Infinity", "inf")) if isinstance(value, str) else value


def test_wandb_reads_every_metric_that_counts(home, wandb_export):
    files = sorted(wandb_export.glob("offline-run-*/run-*.wandb"))
    runs = {}
    for path in files:
        records = inspected(path)
        (run,) = of_kind(records, "run")
        runs[run["display_name"]] = run, [row["item"] for row in of_kind(records, "history")], of_kind(records, "exit")
    assert set(runs) == {RUN, OTHER}

    run, rows, exits = runs[RUN]
    assert (run["run_group"], run["job_type"], run["tags"]) == ("x", "baseline", ["completed"])
    config = run["config"]["update"]
    assert (config["hyperparameters"], config["seed"], config["algorithm"]) == (HYPERPARAMETERS, 0, "PPO")
    together = {}  # W&B keeps one row for each step
    for (step, values), at in zip(METRICS[RUN], moments(home, RUN), strict=True):
        together.setdefault(step, {}).update(values, _step=step, _timestamp=at / 1e6)
    found = [{name: number(value) for name, value in row.items() if name != "_runtime"} for row in rows]
    assert len(found) == len(together)
    for row, expected in zip(found, together.values(), strict=True):
        assert row == pytest.approx(expected, rel=0, abs=0, nan_ok=True)
    assert [end["exit_code"] for end in exits] == [0]

    _, rows, exits = runs[OTHER]
    assert [(row["_step"], row["train/loss"]) for row in rows] == [(3, 0.0)]
    assert [end["exit_code"] for end in exits] == [1]


def test_wandb_is_left_with_what_it_reads_and_nothing_of_this_machine(home, wandb_export):
    names = [path.name for path in sorted(wandb_export.rglob("*")) if path.is_file()]
    assert names[0] == "export.json"
    assert [Path(name).suffix for name in names[1:]] == [".wandb", ".wandb"]
    everything = b"".join(path.read_bytes() for path in wandb_export.rglob("*.wandb"))
    for private in (str(home), str(wandb_export), os.uname().nodename, sys.executable):
        assert len(private) < 4 or private.encode() not in everything


def test_wandb_says_nothing_and_its_ids_are_the_same_again(home, wandb_export, tmp_path, capfd):
    again = exported(home, "wandb", tmp_path / "out", RUN)
    assert capfd.readouterr() == ("", "")
    (path,) = again.glob("offline-run-*/run-*.wandb")
    assert (wandb_export / path.relative_to(again)).exists()


# --- MLflow -----------------------------------------------------------------------------------------------------------


def test_mlflow_reads_every_metric_that_counts(home, tmp_path, capfd):
    directory = exported(home, "mlflow", tmp_path / "out")
    assert capfd.readouterr() == ("", "")
    assert sorted(path.name for path in directory.iterdir()) == ["export.json", "mlflow.db"]
    assert str(tmp_path).encode() not in (directory / "mlflow.db").read_bytes()
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{directory}/mlflow.db")
    experiment = client.get_experiment_by_name("x")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert set(runs) == {RUN, OTHER}
    assert (runs[RUN].info.status, runs[OTHER].info.status) == ("FINISHED", "FAILED")
    run = runs[RUN]
    assert run.data.params["hyperparameters.learning_rate"] == "0.001"
    assert run.data.params["hyperparameters.policy_kwargs.net_arch"] == "[8, 8]"
    tags = {name: value for name, value in run.data.tags.items() if not name.startswith("mlflow.")}
    assert tags == {
        "run": RUN,
        "arm": "baseline",
        "role": "baseline",
        "seed": "0",
        "state": "completed",
        "cause": "completed",
        "attempt": "2",
    }
    with Reader(home) as reader:
        at = [stored.at // 1000 for stored in reader.events(RUN, ["AttemptStarted", "AttemptEnded"])]
    assert (run.info.start_time, run.info.end_time) == (at[0], at[-1])
    _compare(client, home, run.info.run_id)


def test_mlflow_is_not_sent_where_its_address_would_name_another_place(home, tmp_path):
    with pytest.raises(UsageError, match=r"MLflow opens no database below a name with \?; choose another --output"):
        exported(home, "mlflow", tmp_path / "which?" / "out")
    assert [path.name for path in tmp_path.rglob("*")] == ["which?"]


def test_mlflow_keeps_parameters_as_long_as_it_takes(tmp_path):
    """And says of a longer one that it is cut."""
    home = told(tmp_path / "home", policy_kwargs={"net_arch": {"pi": [8] * 1000, "vf": [8] * 5000}})
    directory = exported(home, "mlflow", tmp_path / "out", RUN)
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{directory}/mlflow.db")
    (run,) = client.search_runs([client.get_experiment_by_name("x").experiment_id])
    params = {name.rpartition(".")[2]: value for name, value in run.data.params.items()}
    assert json.loads(params["pi"]) == [8] * 1000
    assert params["vf"] == json.dumps([8] * 5000)[:5999] + "…"


def test_mlflow_can_be_exported_to_again_by_one_process(home, tmp_path):
    first, again = (exported(home, "mlflow", tmp_path / "out", RUN) / "mlflow.db" for _ in range(2))
    assert first == again
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_to_look_at_it_with_mlflow_is_no_change(home, tmp_path):
    """The negative control is an annotation."""
    from mlflow.tracking import MlflowClient

    directory = exported(home, "mlflow", tmp_path / "out")
    client = MlflowClient(tracking_uri=f"sqlite:///{directory}/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("x").experiment_id])
    written = json.loads((directory / "export.json").read_text())["files"]
    assert {"mlflow.db": sha256((directory / "mlflow.db").read_bytes())} == written
    client.set_tag(runs[0].info.run_id, "note", "mine")
    with pytest.raises(UsageError, match=r"mlflow\.db was changed since it was exported"):
        exported(home, "mlflow", directory)


def _compare(client, home, identifier):
    """MLflow's database holds the largest number for an infinite one."""
    expected = {}
    for (step, values), at in zip(METRICS[RUN], moments(home, RUN), strict=True):
        for name, value in values.items():
            stored = sys.float_info.max if value == math.inf else value
            expected.setdefault(name, []).append((at // 1000, step, stored))
    for name, points in expected.items():
        found = [(each.timestamp, each.step, each.value) for each in client.get_metric_history(identifier, name)]
        assert sorted(found, key=lambda point: point[1]) == [
            pytest.approx(point, rel=0, abs=0, nan_ok=True) for point in points
        ]
    assert set(client.get_run(identifier).data.metrics) == set(expected)
