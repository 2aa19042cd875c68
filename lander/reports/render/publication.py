"""A report as files; each appears only when it is complete."""

from collections.abc import Iterator, Mapping
from dataclasses import astuple, fields
from pathlib import Path
from typing import Final

from lander.home.durable_files import publish, unfinished
from lander.reports.analysis.findings import RunFinding
from lander.reports.analysis.material import Material
from lander.reports.analysis.tidy_tables import RECORDED, Row, Table, write_csv
from lander.reports.render.drawing import png, svg
from lander.reports.render.markdown import markdown
from lander.reports.render.page import Films, page
from lander.reports.render.plots import plots
from lander.reports.render.summary import ABOUT
from lander.reports.render.text_report import as_json
from lander.store.log.reader import Reader

PAGE: Final = "report.html"


def write(path: Path, content: str | bytes) -> Path:
    """Write a file durably, and replace an earlier one atomically; returns its path."""
    with unfinished(path) as file:
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        publish(file, path)
    return path


def write_report(material: Material, directory: Path, films: Films | None = None) -> Path:
    """Write the report in every form but tables, and each figure as SVG and PNG; returns the page's path."""
    figures = {}
    for name, drawn in plots(material):
        figures[name] = svg(drawn)
        write(directory / f"{name}.svg", figures[name])
        write(directory / f"{name}.png", png(drawn))
    for name in ABOUT.keys() - figures.keys():  # left by an earlier report, and without data now
        for suffix in (".svg", ".png"):
            (directory / f"{name}{suffix}").unlink(missing_ok=True)
    write(directory / "report.md", markdown(material, figures))
    write(directory / "report.json", as_json(material.findings) + "\n")
    return write(directory / PAGE, page(material, figures, films))


def write_page(material: Material, path: Path, films: Films | None = None) -> Path:
    """Write the page alone."""
    return write(path, page(material, {name: svg(drawn) for name, drawn in plots(material)}, films))


def write_markdown(material: Material, path: Path) -> Path:
    """Write the report as Markdown, and its figures beside it, with the file's stem as prefix."""
    figures = dict(plots(material))
    for name, drawn in figures.items():
        write(path.with_name(f"{path.stem}-{name}.png"), png(drawn))
    return write(path, markdown(material, figures, f"{path.stem}-"))


def write_tables(reader: Reader, material: Material, directory: Path) -> list[Path]:
    """Write every table as a CSV file, recorded data row by row."""
    return [_write_table(table, directory / f"{name}.csv") for name, table in _tables(reader, material).items()]


def _write_table(table: Table, path: Path) -> Path:
    with unfinished(path) as file:
        with file.open("w", encoding="utf-8", newline="") as written:
            write_csv(table, written)
        publish(file, path)
    return path


def _tables(reader: Reader, material: Material) -> Mapping[str, Table]:
    runs = [run for arm in material.findings.arms for run in arm.runs]
    return {
        "runs": Table(tuple(field.name for field in fields(RunFinding)), (astuple(run) for run in runs)),
        "curves": Table(("run", "arm", "seed", "step", "return"), _curves(material)),
        "bands": Table(("arm", "step", "mean", "low", "high"), _bands(material)),
    } | {name: table(reader, [run.run for run in runs]) for name, table in RECORDED.items()}


def _curves(material: Material) -> Iterator[Row]:
    for run in (run for arm in material.findings.arms for run in arm.runs):
        if (curve := material.curves.get(run.run)) is not None:
            for step, achieved in zip(curve.steps.tolist(), curve.returns.tolist(), strict=True):
                yield run.run, run.arm, run.seed, step, achieved


def _bands(material: Material) -> Iterator[Row]:
    for name, band in material.bands.items():
        columns = (band.steps.tolist(), band.mean.tolist(), band.low.tolist(), band.high.tolist())
        yield from ((name, *row) for row in zip(*columns, strict=True))
