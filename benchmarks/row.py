"""What every benchmark prints: a claim, both sides of it, their ratio, and whether it holds."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module


@dataclass(frozen=True)
class Row:
    """One measured claim; `holds` compares `value` with what was promised, None: it was not measured."""

    what: str
    ours: str
    against: str
    value: str
    promised: str
    holds: bool | None

    def __str__(self) -> str:
        sides = f"ours {self.ours} · against {self.against}"
        return f"{self.what}\n    {sides}\n    {self.value} (promised {self.promised}): {self.mark}"

    @property
    def mark(self) -> str:
        """Whether it holds, in words."""
        return "not measured" if self.holds is None else "holds" if self.holds else "DOES NOT HOLD"


def not_measured(what: str, promised: str, reason: str) -> Row:
    """The row of a claim that cannot be measured here."""
    return Row(what, "–", "–", reason, promised, None)


def measured(name: str) -> list[Row]:
    """What the benchmark of this name finds."""
    return list(import_module(f"benchmarks.{name}").measure())


def show(measure: Callable[[], Iterable[Row]]) -> None:
    """Run one benchmark and print each row once it is measured; the `__main__` of every script."""
    for row in measure():
        print(row, flush=True)


def spread(values: Sequence[float], unit: str = "") -> str:
    """Median and range, as `12.3 ms (11.9 – 14.0)`."""
    ordered = sorted(values)
    middle = ordered[len(ordered) // 2]
    return f"{middle:.4g}{unit} ({ordered[0]:.4g} – {ordered[-1]:.4g}, n={len(ordered)})"
