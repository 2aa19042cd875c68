"""Exports to tables and lines: read back by pandas, equal to the log, whole or not there, and replacing nothing foreign."""

import errno
import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from lander.cli.main import main
from lander.protocol import events as e
from lander.protocol.errors import UsageError
from lander.protocol.experiment import EVALUATION_SEED
from lander.reports.export import formats
from lander.reports.export.formats import default_directory, export
from lander.reports.export.table_files import KINDS, tables
from lander.store.log.event_store import batch_of
from lander.store.log.reader import Reader
from tests.support.home_to_export import EPISODES, EVALUATIONS, HYPERPARAMETERS, METRICS, SUPERSEDED, contents, told
from tests.support.written_homes import OTHER, RUN, attempt, sha256, steps, write_log

RUNS = [RUN, OTHER]
ARM = {RUN: "baseline", OTHER: "v"}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return told(tmp_path_factory.mktemp("export") / "home")


def read_csv(path):
    return pd.read_csv(path, float_precision="round_trip")


def read_json(path):
    return pd.read_json(path, orient="records", precise_float=True, convert_dates=False)


READERS = {"csv": read_csv, "json": read_json, "parquet": pd.read_parquet}


def written(home, form, output, target="x"):
    with Reader(home) as reader:
        return export(reader, target, form, output).directory


@pytest.fixture(scope="module", params=READERS)
def frames(request, home, tmp_path_factory):
    """Every table, as pandas reads it."""
    directory = written(home, request.param, tmp_path_factory.mktemp("out") / request.param)
    read = READERS[request.param]
    return {path.stem: read(path) for path in directory.glob(f"*.{request.param}") if path.name != "export.json"}


def same(frame, rows, columns):
    """The frame holds these rows, to the bit; which integer type it was read as does not matter."""
    expected = pd.DataFrame(rows, columns=columns)
    assert_frame_equal(frame[columns], expected, check_dtype=False, check_exact=True)


def test_there_is_a_table_of_each_kind_and_nothing_superseded_in_any(frames):
    assert set(frames) == {"runs", "episodes", "evaluations", "metrics", "resources"}
    for frame in frames.values():
        assert not (frame == SUPERSEDED).any().any()


def test_the_runs_are_as_they_stand(frames):
    runs = frames["runs"]
    columns = ["run", "arm", "seed", "role", "state", "cause", "attempts", "resume", "step", "total_steps", "episodes"]
    rows = [
        (RUN, "baseline", 0, "baseline", "completed", "completed", 2, "exact", 8, 1000, 3),
        (OTHER, "v", 0, "variant", "failed", "crashed", 1, "fresh", 4, 1000, 0),
    ]
    same(runs, rows, columns)
    assert [json.loads(text) for text in runs["hyperparameters"]] == [HYPERPARAMETERS] * 2
    assert runs["evaluation_return"][0] == 3.0
    assert runs[["training_return", "evaluation_return"]].isna().to_numpy().tolist() == [[True, False], [True, True]]
    began, ended = (pd.to_datetime(runs[name], utc=True) for name in ("started", "ended"))
    assert (began < ended).all()


def test_what_was_extended_has_no_final_evaluation_any_more(tmp_path):
    """How good it was half-way is not how good it is."""
    told(tmp_path)
    write_log(tmp_path, batch_of(RUN, e.RunResumed(reason="extended")))
    write_log(
        tmp_path, *attempt(3, steps(8, 12), from_step=8, from_episode=3, cause="completed"), batch_of(RUN, e.RunCompleted())
    )
    assert read_csv(written(tmp_path, "csv", tmp_path / "out", RUN) / "runs.csv")["evaluation_return"].isna().all()


def test_the_metrics_are_those_of_the_log(frames):
    rows = [(run, ARM[run], 0, step, *item) for run in RUNS for step, values in METRICS[run] for item in values.items()]
    same(frames["metrics"], rows, ["run", "arm", "seed", "step", "name", "value"])


def test_the_episodes_are_those_of_the_log(frames):
    rows = [
        (run, 0, number, 0, last - 2, last, 2, value, False)
        for run in RUNS
        for number, (last, value) in enumerate(EPISODES[run], 1)
    ]
    columns = ["run", "seed", "episode", "env", "first_step", "last_step", "length", "return", "truncated"]
    same(frames["episodes"], rows, columns)


def test_the_evaluations_are_those_of_the_log(frames):
    rows = [
        (run, step, final, EVALUATION_SEED + index, length, value)
        for run in RUNS
        for step, final, returns, lengths in EVALUATIONS[run]
        for index, (value, length) in enumerate(zip(returns, lengths, strict=True))
    ]
    same(frames["evaluations"], rows, ["run", "step", "final", "evaluation_seed", "length", "return"])


def test_what_was_used_counts_for_every_attempt(frames):
    rows = [(RUN, 1, "local", 99.5, 250.0), (RUN, 2, "local", 99.5, 260.0)]
    same(frames["resources"], rows, ["run", "attempt", "host", "cpu_percent", "memory_mb"])
    assert frames["resources"]["gpu_percent"].isna().all()
    assert pd.to_datetime(frames["resources"]["time"], utc=True).is_monotonic_increasing


def test_every_column_of_every_table_has_a_type(home):
    with Reader(home) as reader:
        for table in tables(reader, "x").values():
            assert set(table.columns) <= set(KINDS)


def test_parquet_has_types_where_a_table_is_empty_too(home, tmp_path):
    frame = pd.read_parquet(written(home, "parquet", tmp_path / "out", OTHER) / "episodes.parquet")
    assert len(frame) == 0
    assert str(frame["return"].dtype) == "float64"
    runs = pd.read_parquet(tmp_path / "out" / "runs.parquet")
    assert str(runs["started"].dtype) == "datetime64[us, UTC]"


def test_lines_are_the_events_that_count_with_every_step(home, tmp_path):
    lines = pd.read_json(written(home, "jsonl", tmp_path / "out") / "events.jsonl", lines=True, precise_float=True)
    with Reader(home) as reader:
        everything = {stored.position: stored for stored in reader.events("x")}
    left_out = [stored.kind for position, stored in everything.items() if position not in set(lines["position"])]
    assert left_out == ["StepsRecorded", "EpisodeFinished", "MetricsLogged", "EvaluationFinished"]
    rewards = lines[(lines["kind"] == "StepsRecorded") & (lines["stream"] == RUN)]["rewards"]
    assert [step for batch in rewards for step in batch] == [[float(step)] for step in range(8)]


def test_a_part_of_an_experiment_is_exported_alone_and_beside_the_whole(home):
    assert default_directory(home, "x", "csv") == home / "experiments/x/exports/csv"
    assert default_directory(home, "x/v/0", "csv") == home / "experiments/x/exports/csv-v-0"
    directory = written(home, "csv", None, "x/v")
    assert directory == home / "experiments/x/exports/csv-v"
    for name in ("runs", "metrics"):
        assert set(read_csv(directory / f"{name}.csv")["run"]) == {OTHER}


# --- the directory ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["csv", "json", "jsonl", "parquet", "tensorboard"])
def test_the_same_log_gives_the_same_bytes_and_replaces_what_was_there(home, tmp_path, form):
    first = contents(written(home, form, tmp_path / "out"))
    assert contents(written(home, form, tmp_path / "out")) == first
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert str(home).encode() not in b"".join(first.values())


def test_an_export_says_what_it_is_of(home, tmp_path):
    about = json.loads((written(home, "jsonl", tmp_path / "out", RUN) / "export.json").read_text())
    files = {"events.jsonl": sha256((tmp_path / "out" / "events.jsonl").read_bytes())}
    with Reader(home) as reader:
        assert about == {"format": "jsonl", "target": RUN, "position": reader.position(), "files": files}


@pytest.mark.parametrize(
    ("error", "code", "said_"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(errno.ENOSPC, "No space left on device"), 2, "out: cannot be written: No space left on device"),
    ],
)
def test_an_interrupted_export_leaves_no_half_file_and_the_one_before_as_it_was(
    home, tmp_path, monkeypatch, capsys, error, code, said_
):
    output = tmp_path / "out"
    before = contents(written(home, "csv", output, RUN))

    def half(reader, target, directory):
        (directory / "runs.csv").write_text("half a")
        raise error

    monkeypatch.setattr(formats, "writer", lambda form, formats: half)
    for where in (output, tmp_path / "new" / "out"):
        assert main(["export", "x", "--to", "csv", "--output", str(where), "--home", str(home)]) == code
        assert said_ in capsys.readouterr().err
    assert contents(output) == before
    assert sorted(path.name for path in tmp_path.rglob("*") if path.parent != output) == ["new", "out"]


def test_what_a_killed_export_left_is_cleared_by_the_next_and_nothing_else(home, tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    kept = [".out.exporting-1", ".out.exporting-", ".out.1", ".other.exporting-1"]
    for name in (f".out.exporting-{gone.pid}", f".out.exporting-{gone.pid}.before", *kept):
        (tmp_path / name).mkdir()
        (tmp_path / name / "runs.csv").write_text("half a")
    written(home, "csv", tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"out", *kept}


def test_nothing_foreign_is_replaced(home, tmp_path):
    again = partial(main, ["export", "x", "--to", "csv", "--output", str(tmp_path / "out"), "--home", str(home)])
    (tmp_path / "out").mkdir()
    assert again() == 0  # an empty directory is nobody's
    (tmp_path / "out" / "notes.txt").write_text("mine")
    assert again() == 2
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"
    (tmp_path / "out" / "notes.txt").unlink()
    assert again() == 0


def _put(path):
    path.write_text("mine")


MINE = {
    "a note": ("fast/0/note.txt", _put, "holds fast/0/note.txt, which no export wrote"),
    "a directory": ("fast/mine", Path.mkdir, "holds fast/mine, which no export wrote"),
    "a link": ("fast/0/link", lambda path: path.symlink_to("/etc"), "holds fast/0/link, which no export wrote"),
    "a write-ahead log": ("mlflow.db-wal", _put, "holds mlflow.db-wal, which no export wrote"),
    "a change": ("fast/0/curve", _put, "fast/0/curve was changed since it was exported"),
    "an annotated database": ("mlflow.db", _put, "mlflow.db was changed since it was exported"),
}


@pytest.fixture
def deep(monkeypatch):
    """Exports that have directories in them."""

    def write(reader, target, directory):
        (directory / "fast" / "0").mkdir(parents=True)
        for name in ("mlflow.db", "fast/0/curve"):
            (directory / name).write_text("exported")

    monkeypatch.setattr(formats, "writer", lambda form, formats: write)


@pytest.mark.parametrize("mine", MINE)
def test_whatever_somebody_put_into_an_export_or_changed_is_kept(deep, home, tmp_path, capsys, mine):
    """The negative control is the export before it, which is replaced."""
    name, put, said_ = MINE[mine]
    again = partial(main, ["export", "x", "--to", "csv", "--output", str(tmp_path / "out"), "--home", str(home)])
    assert [again(), again()] == [0, 0]
    put(tmp_path / "out" / name)
    before = contents(tmp_path / "out")
    capsys.readouterr()
    assert again() == 2
    assert capsys.readouterr().err == f"lander-ctl: {tmp_path / 'out'}: {said_}; choose another --output\n"
    assert contents(tmp_path / "out") == before


def test_whatever_somebody_put_there_while_it_was_written_is_kept(home, tmp_path, monkeypatch):
    written(home, "csv", tmp_path / "out")

    def meanwhile(reader, target, directory):
        (tmp_path / "out" / "notes.txt").write_text("mine")

    monkeypatch.setattr(formats, "writer", lambda form, formats: meanwhile)
    with pytest.raises(UsageError, match=r"holds notes\.txt, which no export wrote"):
        written(home, "csv", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    assert len(contents(tmp_path / "out")) == 7


def test_what_wandb_notes_of_having_sent_it_is_nobodys(deep, home, tmp_path):
    mark = written(home, "wandb", tmp_path / "out") / "fast" / "0" / "curve.synced"
    mark.touch()
    written(home, "wandb", tmp_path / "out")
    assert not mark.exists()
    mark.with_name("other.synced").touch()
    with pytest.raises(UsageError, match=r"holds fast/0/other\.synced"):
        written(home, "wandb", tmp_path / "out")


@pytest.mark.parametrize(
    ("there", "said_"),
    [
        ({"a.txt": "mine"}, "holds a.txt, which no export wrote; choose another --output"),
        ({"export.json": '{"format": "csv", "files": "all"}', "runs.csv": ""}, "holds export.json, which no export wrote"),
        ({"export.json": '{"format": "json", "files": {}}'}, "holds an export to json; choose another --output"),
    ],
)
def test_what_lies_in_the_way_is_named(home, tmp_path, capsys, there, said_):
    (tmp_path / "out").mkdir()
    for name, text in there.items():
        (tmp_path / "out" / name).write_text(text)
    assert main(["export", "x", "--to", "csv", "--output", str(tmp_path / "out"), "--home", str(home)]) == 2
    assert said_ in capsys.readouterr().err
    assert {path.name: path.read_text() for path in (tmp_path / "out").iterdir()} == there


def test_it_is_as_of_one_moment_while_training_goes_on(tmp_path, monkeypatch):
    """The negative control is the export after it, which has what was said in the middle of the first."""
    home = told(tmp_path / "home")
    write = formats.writer("jsonl")

    def while_more_is_said(reader, target, directory):
        write_log(home, batch_of(RUN, steps(8, 9), producer=2))
        write(reader, target, directory)

    monkeypatch.setattr(formats, "writer", lambda form, formats: while_more_is_said)
    first = (written(home, "jsonl", tmp_path / "first") / "events.jsonl").read_text().splitlines()
    monkeypatch.undo()
    second = (written(home, "jsonl", tmp_path / "second") / "events.jsonl").read_text().splitlines()
    assert (second[:-1], json.loads(second[-1])["first_step"]) == (first, 8)


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_says_where_it_lies_and_what_next(home, tmp_path, capsys):
    output = tmp_path / "two words"
    assert main(["export", "x/v", "--to", "tensorboard", "--output", str(output), "--home", str(home)]) == 0
    with Reader(home) as reader:
        position = reader.position()
    assert capsys.readouterr().out.splitlines() == [
        f"{output}: 1 run of x/v for tensorboard, up to position {position}",
        f"tensorboard --logdir '{output}'",
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "said_"),
    [
        (["y", "--to", "csv"], 3, "y: no such experiment or run"),
        (["x/w", "--to", "parquet"], 3, "x/w: no such experiment or run; did you mean x/baseline, x/v?"),
        (["x", "--to", "csv", "--follow"], 2, "--follow goes with --to tensorboard, and not with csv"),
        (["x", "--to", "csv", "--at", "best"], 2, "--at goes with --to hub, and not with csv"),
        (["x", "--to", "excel"], 2, "'excel' is not one of 'csv'"),
    ],
)
def test_a_wrong_request_is_told_in_one_line_and_writes_nothing(home, tmp_path, capsys, arguments, code, said_):
    assert main(["export", *arguments, "--home", str(home), "--output", str(tmp_path / "out")]) == code
    told_ = capsys.readouterr().err
    assert said_ in told_
    assert len(told_.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("form", "library"),
    [
        ("parquet", "pyarrow"),
        ("tensorboard", "tensorboard"),
        ("wandb", "wandb"),
        ("mlflow", "mlflow"),
        ("mlflow", "sqlalchemy"),
        ("minari", "minari"),
        ("minari", "h5py"),
    ],
)
def test_a_missing_library_is_named_with_the_extra_that_brings_it(home, tmp_path, monkeypatch, capsys, form, library):
    monkeypatch.setitem(sys.modules, library, None)
    assert main(["export", "x", "--to", form, "--home", str(home), "--output", str(tmp_path / "out")]) == 2
    line = f"lander-ctl: export --to {form} needs {library}; pip install 'lander-ctl[{form}]'\n"
    assert capsys.readouterr().err == line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [ValueError("not enough\nvalues"), ImportError("libarrow.so: no such file"), KeyError("run")])
def test_a_library_that_fails_is_named_in_one_line(home, tmp_path, monkeypatch, capsys, error):
    """Negative control: what no library writes can fail by our own fault alone."""

    def fail(reader, target, directory):
        raise error

    monkeypatch.setattr(formats, "writer", lambda form, formats: fail)
    command = ["export", "x", "--home", str(home), "--output", str(tmp_path / "out"), "--to"]
    assert main([*command, "mlflow"]) == 1
    told_ = capsys.readouterr().err.removeprefix("exporting x for mlflow …\n")
    assert told_.startswith(f"lander-ctl: {tmp_path / 'out'}: mlflow could not write it: {type(error).__name__}: ")
    assert (told_.count("\n"), "defect" in told_) == (1, False)
    assert main([*command, "csv"]) == 1
    assert "defect of lander-ctl" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_library_that_cannot_be_imported_is_named_in_one_line(home, tmp_path, monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "lander.reports.export.parquet", raising=False)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    assert main(["export", "x", "--to", "parquet", "--home", str(home), "--output", str(tmp_path / "out")]) == 1
    line = "lander-ctl: export --to parquet: its library does not work here: ModuleNotFoundError: "
    assert capsys.readouterr().err.startswith(line)


def test_tables_and_lines_need_the_standard_library_only(home, tmp_path):
    """And what this project needs anyway; nothing heavy is imported for them."""
    program = (
        "import sys; from lander.cli.main import main\n"
        "for form in ('csv', 'json', 'jsonl'):\n"
        "    assert main(['export', 'x', '--to', form, '--home', sys.argv[1], '--output', sys.argv[2] + form]) == 0\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    command = [sys.executable, "-c", program, str(home), str(tmp_path / "as-")]
    imported = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1].split()
    heavy = {"pyarrow", "pandas", "tensorboard", "wandb", "mlflow", "torch", "scipy", "matplotlib", "gymnasium"}
    assert heavy.isdisjoint(imported)
    assert "numpy" in imported  # the list is of what was imported
