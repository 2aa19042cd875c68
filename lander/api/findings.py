"""Findings as the Python API gives them: they show themselves in a notebook, and become tables of pandas."""

from dataclasses import fields
from typing import TYPE_CHECKING, Literal, Self

from lander.api.data_frames import data_frame
from lander.protocol.errors import UsageError
from lander.reports.analysis import findings as found
from lander.reports.analysis.findings import ArmFinding, Contrast, RunFinding

if TYPE_CHECKING:
    from pandas import DataFrame

TableOf = Literal["arms", "contrasts", "runs"]


class Findings(found.Findings):
    """An experiment's findings: `arms` with the baseline first, `contrasts` of the variants with it, and what limits their
    meaning. In a notebook they show themselves."""

    __slots__ = ()

    @classmethod
    def of(cls, findings: found.Findings) -> Self:
        """The same findings, as the Python API gives them."""
        return cls(**{each.name: getattr(findings, each.name) for each in fields(findings)})

    def _repr_html_(self) -> str:
        from lander.reports.render.notebook import findings_html

        return findings_html(self)

    def to_dataframe(self, table: TableOf = "arms") -> "DataFrame":
        """A table as a `pandas.DataFrame`: a row for each of the arms, the contrasts (variant against baseline) or the runs.

        The columns are the fields of `ArmFinding`, `Contrast` and `RunFinding` that hold one value. An estimate has three:
        `mean`, and the 95 % interval from `mean_low` to `mean_high`. What is unknown is missing (NaN or None). Raises
        `UsageError` for another table, and if pandas is not installed.
        """
        match table:
            case "arms":
                return data_frame(ArmFinding, self.arms)
            case "contrasts":
                return data_frame(Contrast, self.contrasts)
            case "runs":
                return data_frame(RunFinding, [run for arm in self.arms for run in arm.runs])
        raise UsageError(f"table: found {table!r}; must be arms, contrasts or runs")
