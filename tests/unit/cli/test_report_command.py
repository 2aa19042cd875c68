"""`lander-ctl report`: where each form goes, what is refused, and that no half file is ever left."""

import csv
import json

import pandas
import pytest

from lander.cli.main import main
from lander.protocol import events as e
from lander.protocol.errors import LanderError
from lander.reports.analysis.comparison import findings
from lander.reports.render import publication
from lander.store.log.event_store import batch_of
from lander.store.log.reader import Reader
from lander.store.records.run_record import Record
from tests.support import example_log
from tests.support.written_homes import RUN, attempt, episode, queued_experiment, steps, write_log

FIGURES = ("differences", "learning-curves", "evaluation-curves", "final-returns", "performance-profile", "resources")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "home"
    example_log.built(path, example_log.wanted(40_000, seeds=2), failed=None)
    return path


def report(home, *arguments):
    return main(["report", example_log.NAME, "--home", str(home), *map(str, arguments)])


def names(directory):
    return {path.name for path in directory.iterdir()}


def test_text_and_json_and_markdown_go_to_standard_output(home, capsys):
    for form, begins in (("text", f"{example_log.NAME}: completed – "), ("json", "{\n"), ("md", "# A larger learning rate")):
        assert report(home, "--format", form) == 0
        output, errors = capsys.readouterr()
        assert output.startswith(begins)
        assert errors == ""
        assert "\x1b" not in output
    assert not (home / "experiments" / example_log.NAME / "reports").exists()


def test_html_writes_the_report_in_all_its_forms(home, capsys):
    assert report(home, "--format", "html") == 0
    directory = home / "experiments" / example_log.NAME / "reports"
    assert capsys.readouterr().out == f"{directory / 'report.html'}\n"
    figures = {f"{name}.{kind}" for name in FIGURES for kind in ("png", "svg")}
    assert figures | {"report.html", "report.md", "report.json"} <= names(directory)
    assert not [name for name in names(directory) if name.startswith(".")]
    pictures = {
        line[line.index("(") + 1 : -1] for line in (directory / "report.md").read_text().splitlines() if line[:2] == "!["
    }
    assert {f"{name}.png" for name in FIGURES} <= pictures <= names(directory)
    assert (directory / "learning-curves.png").read_bytes().startswith(b"\x89PNG")


def test_each_form_goes_where_it_is_wanted(home, tmp_path, capsys):
    for form, name in (("html", "page.html"), ("json", "found.json"), ("text", "found.txt")):
        assert report(home, "--format", form, "--output", tmp_path / name) == 0
    assert names(tmp_path) == {"page.html", "found.json", "found.txt"}
    assert json.loads((tmp_path / "found.json").read_text())["experiment"] == example_log.NAME
    assert report(home, "--format", "md", "--output", tmp_path / "found.md") == 0
    assert {"found.md", "found-learning-curves.png"} <= names(tmp_path)
    assert "(found-learning-curves.png)" in (tmp_path / "found.md").read_text()
    assert capsys.readouterr().out == ""


def test_a_threshold_can_be_named(home, capsys):
    assert report(home, "--format", "json", "--threshold", "-150") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["threshold"] == -150.0
    assert found["arms"][0]["reached"] == 2


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["ppo-learning"], 3, f"ppo-learning: no such experiment; did you mean {example_log.NAME}"),
        (
            [f"{example_log.NAME}/fast"],
            2,
            f" {example_log.NAME} has all its runs",
        ),
        ([example_log.NAME, "--threshold", "nan"], 2, "--threshold: found nan; must be a number"),
        ([example_log.NAME, "--videos"], 2, "--videos: does not go together with --format text"),
        ([example_log.NAME, "--output", "/no/such/file"], 2, "--output: /no/such: no such directory"),
        ([example_log.NAME, "--format", "html", "--output", "/tmp"], 2, "--output: /tmp is a directory; name a file in it"),
        ([example_log.NAME, "--format", "csv", "--output", __file__], 2, f"--output: {__file__} is a file; csv is several"),
    ],
)
def test_what_cannot_be_reported_is_said_in_one_line(home, capsys, arguments, code, said):
    assert main(["report", *arguments, "--home", str(home)]) == code
    output, errors = capsys.readouterr()
    assert output == ""
    assert said in errors
    assert errors.count("\n") == 1


# --- tables -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tables(home, tmp_path_factory):
    directory = tmp_path_factory.mktemp("tables") / "csv"
    assert report(home, "--format", "csv", "--output", directory) == 0
    assert names(directory) == {f"{name}.csv" for name in ("runs", "curves", "bands", "episodes", "evaluations", "metrics")}
    return {path.stem: pandas.read_csv(path, float_precision="round_trip") for path in directory.iterdir()}


def test_tables_are_read_back_as_they_were_recorded(home, tables):
    with Reader(home) as reader:
        for run in reader.runs(example_log.NAME):
            record = Record(reader, run)
            episodes = tables["episodes"][tables["episodes"].run == run]
            assert episodes["return"].tolist() == [each.episode_return for each in record.episodes()]
            assert episodes["last_step"].tolist() == [each.last_step for each in record.episodes()]
            assert episodes["episode"].tolist() == list(range(1, len(episodes) + 1))
            evaluations = tables["evaluations"][tables["evaluations"].run == run]
            assert evaluations["return"].tolist() == [value for each in record.evaluations() for value in each.returns]
            assert evaluations["final"].sum() == 20
            metrics = tables["metrics"][(tables["metrics"].run == run) & (tables["metrics"].name == "train/loss")]
            assert metrics["value"].tolist() == [each.values["train/loss"] for each in record.metrics()]


def test_tables_agree_with_the_findings(home, tables):
    with Reader(home) as reader:
        found = findings(reader, example_log.NAME)
    finals = tables["runs"].set_index("run")["final"].to_dict()
    assert finals == {run.run: run.final for arm in found.arms for run in arm.runs}
    last = tables["evaluations"].query("final").groupby("run")["return"].mean()
    assert last.to_dict() == pytest.approx(finals)
    curves = tables["curves"].groupby(["arm", "step"])["return"].mean()
    bands = tables["bands"].set_index(["arm", "step"])["mean"]
    known = bands.notna()
    assert bands[known].tolist() == pytest.approx(curves.reindex(bands.index)[known].tolist())
    assert known.sum() > 300


def test_what_was_superseded_is_in_no_table_and_what_is_no_number_is_kept(tmp_path):
    queued_experiment(tmp_path)
    evaluation = e.EvaluationFinished(step=4, first_seed=7, returns=(1.0, float("inf")), lengths=(2, 3))
    first = [steps(0, 4), episode(2, 5.0), e.MetricsLogged(step=4, values={"a": 1.0})]
    lost = [steps(4, 8), episode(6, 66.0), e.MetricsLogged(step=8, values={"a": 66.0})]
    second = [steps(4, 8), episode(7, float("nan")), e.MetricsLogged(step=8, values={"a": 2.0, "b,\n": float("nan")})]
    write_log(tmp_path, *attempt(1, *first, evaluation, *lost), *attempt(2, *second, from_step=4, from_episode=1))
    directory = tmp_path / "csv"
    assert main(["report", "x", "--home", str(tmp_path), "--format", "csv", "--output", str(directory)]) == 0
    rows = {name: read(directory / f"{name}.csv") for name in ("episodes", "evaluations", "metrics")}
    assert [(row["run"], row["episode"], row["return"]) for row in rows["episodes"]] == [(RUN, "1", "5.0"), (RUN, "2", "nan")]
    assert [(row["evaluation_seed"], row["return"]) for row in rows["evaluations"]] == [("7", "1.0"), ("8", "inf")]
    assert [(row["step"], row["name"], row["value"]) for row in rows["metrics"]] == [
        ("4", "a", "1.0"),
        ("8", "a", "2.0"),
        ("8", "b,\n", "nan"),
    ]


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


# --- no half file -----------------------------------------------------------------------------------------------------


def test_a_write_that_fails_leaves_the_file_of_before_and_nothing_else(home, tmp_path, monkeypatch):
    whole = publication.write(tmp_path / "episodes.csv", "as it was\n")

    def breaks(table, file):
        file.write("half a")
        raise LanderError("the disk is full")

    monkeypatch.setattr(publication, "write_csv", breaks)
    assert report(home, "--format", "csv", "--output", tmp_path) == 1
    assert names(tmp_path) == {"episodes.csv"}
    assert whole.read_text() == "as it was\n"


def test_a_report_does_not_depend_on_what_else_the_home_holds(tmp_path):
    example_log.built(tmp_path, example_log.wanted(20_000, seeds=2), failed=None)
    with Reader(tmp_path) as reader:
        alone = findings(reader, example_log.NAME)
    other = example_log.wanted(20_000, seeds=1, name="other")
    example_log.built(tmp_path, other, failed=None, at=example_log.BEGAN + 10**9)
    write_log(tmp_path, batch_of("other", e.OperatorCommanded(command="stop", target="other", operator="me")))
    with Reader(tmp_path) as reader:
        beside = findings(reader, example_log.NAME)
    assert alone.arms == beside.arms
    assert alone.contrasts == beside.contrasts
