"""Results as values: their tables, and how they show themselves."""

import sys
from dataclasses import fields, replace

import pytest

import lander
from lander.reports.analysis.findings import ArmFinding, Contrast, RunFinding
from tests.support import example_log


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    home = tmp_path_factory.mktemp("results")
    example_log.built(home)
    return lander.report(example_log.NAME, home=home)


def test_the_runs_are_a_data_frame_with_the_documented_columns(result):
    table = result.to_dataframe()
    assert list(table.columns) == [*(each.name for each in fields(RunFinding)), "mean_return", "model"]
    assert all(f"`{name}`" in lander.Result.to_dataframe.__doc__ for name in table.columns)
    assert list(table["run"]) == [run.id for run in result.runs]
    assert [value for value in table["mean_return"] if value == value] == [
        run.mean_return for run in result.runs if run.mean_return is not None
    ]


def test_findings_have_a_data_frame_for_each_kind_of_row(result):
    found = result.findings
    arms, contrasts, runs = (found.to_dataframe(table) for table in ("arms", "contrasts", "runs"))
    assert (len(arms), len(contrasts), len(runs)) == (len(found.arms), len(found.contrasts), len(result.runs))
    assert list(arms["mean_low"]) == [arm.mean.low for arm in found.arms]
    assert {"name", "mean", "mean_low", "mean_high", "steps_to_threshold_high"} <= {*arms.columns}
    assert list(contrasts["difference"]) == [contrast.difference.value for contrast in found.contrasts]
    assert {"p_adjusted", "decision", "area_low"} <= {*contrasts.columns}
    assert not {"seeds", "runs", "returns"} & {*arms.columns}
    for kind, table in ((ArmFinding, arms), (Contrast, contrasts)):
        names = {each.name for each in fields(kind)}
        assert {name.removesuffix("_low").removesuffix("_high") for name in table.columns} <= names
    with pytest.raises(lander.LanderError, match="table: found 'seeds'; must be arms, contrasts or runs"):
        found.to_dataframe("seeds")


def test_without_pandas_the_extra_is_named(result, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    for table in (result.to_dataframe, result.findings.to_dataframe):
        with pytest.raises(lander.LanderError, match=r"needs pandas; pip install 'lander-ctl\[pandas\]'"):
            table()


def test_findings_of_the_api_are_those_of_the_report(result):
    assert isinstance(result.findings, lander.Findings)
    assert result == lander.report(example_log.NAME, home=result.home)
    assert result._repr_html_() == result.findings._repr_html_()
    assert "1 of 2 variants is supported and 1 is refuted" in result._repr_html_()


def test_an_arm_shows_its_runs(result):
    (arm, *_) = result.arms.values()
    html = arm._repr_html_()
    assert all(f">{run.seed}</td>" in html for run in arm.runs)
    assert arm.name in html


def test_an_arm_tells_the_returns_of_training_from_those_that_are_compared(result):
    (arm, *_) = result.arms.values()
    assert arm.measure == "evaluation"
    assert "mean return in the final evaluation" in arm._repr_html_()
    assert ">training return, last 100</th>" in arm._repr_html_()
    assert "mean return of the last 100 training episodes" in replace(arm, measure="training")._repr_html_()


def test_figures_show_themselves_and_are_saved(result, tmp_path):
    figures = result.figures()
    assert "learning-curves" in figures
    figure = figures["learning-curves"]
    assert '<img src="data:image/png;base64,' in figure._repr_html_()
    assert figure.title in figure._repr_html_()
    assert lander.Figures({figure.name: figure.drawn})._repr_html_() == figure._repr_html_()
    assert figure.save(tmp_path / "curves.svg").read_bytes().startswith(b"<?xml")
    assert figure.save(tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(KeyError, match="curves: no such figure; there are "):
        figures["curves"]
    assert figures.get("curves") is None
