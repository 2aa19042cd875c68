"""Help whose lines end between words: the width of a terminal breaks no `lander-ctl` and no `--option` at its hyphens."""

from collections.abc import Iterable
from typing import Final

import click

_KEPT: Final = "\N{NON-BREAKING HYPHEN}"
"""In place of a hyphen while lines are broken; click would break them there."""


class _Formatter(click.HelpFormatter):
    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        super().write_usage(prog, _kept(args), prefix)

    def write_text(self, text: str) -> None:
        super().write_text(_kept(text))

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        most = min(col_max, self.width // 3)  # else a narrow terminal would have a word a line
        super().write_dl([(first, _kept(second)) for first, second in rows], most, col_spacing)

    def getvalue(self) -> str:
        return super().getvalue().replace(_KEPT, "-")


class HelpContext(click.Context):
    """The context of every command."""

    formatter_class = _Formatter


def _kept(text: str) -> str:
    return text.replace("-", _KEPT)
