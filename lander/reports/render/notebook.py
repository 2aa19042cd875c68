"""HTML for the output of a notebook's cell: small, in the notebook's own colours, and bounded whatever is in it."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from lander.protocol.text import cut
from lander.reports.analysis.findings import Findings
from lander.reports.render.answer import COLUMNS, NEXT, answer
from lander.reports.render.markup import environment
from lander.reports.render.summary import code, notice
from lander.reports.render.text_report import headings, row

MOST_ROWS: Final = 20
MOST_NOTES: Final = 10
MOST_CHARACTERS: Final = 600
"""Characters shown of any one text."""
SCALE: Final = 0.7
"""Of a picture's pixels, the size at which it is shown: sharp also where a screen has more of them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """What is shown of one thing, top to bottom: a title with a text, a bar, paragraphs, a table, and notes that can be
    unfolded. `words` is the number of columns that are words, and not numbers."""

    title: str = ""
    text: str = ""
    percent: float | None = None
    paragraphs: Sequence[tuple[str, str]] = ()
    headings: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    words: int = 1
    notes: Sequence[str] = ()

    @property
    def html(self) -> str:
        """The panel as an element of a page; what is too much is counted."""
        templates = environment()
        templates.filters["cut"] = partial(cut, most=MOST_CHARACTERS)
        return templates.get_template("notebook.html").render(
            panel=self,
            paragraphs=self.paragraphs[:MOST_ROWS],
            more_paragraphs=max(0, len(self.paragraphs) - MOST_ROWS),
            rows=self.rows[:MOST_ROWS],
            more_rows=max(0, len(self.rows) - MOST_ROWS),
            notes=self.notes[:MOST_NOTES],
        )


def findings_html(findings: Findings) -> str:
    """The verdict, a table of the variants if there are several, a table of the arms, and what limits their meaning."""
    hypothesis = " ".join(findings.hypothesis.split())
    found = answer(findings)
    paragraphs = [("", warning)] if (warning := notice(findings)) else []
    paragraphs += [] if found is None else [(f"{found.decision}:", found.words)]
    paragraphs += [(f"{NEXT}:", found.next_step)] if found is not None and found.next_step else []
    verdict = Panel(
        title=findings.experiment,
        text=f"· {findings.state}" + (f" – {hypothesis}" if hypothesis else ""),
        paragraphs=paragraphs,
        headings=COLUMNS,
        rows=() if found is None else found.rows,
        words=2,
    )
    arms = Panel(
        headings=headings(findings),
        rows=[row(arm) for arm in findings.arms],
        notes=[*findings.caveats, *(f"{label}: {text}" for label, text in code(findings))],
    )
    return verdict.html + arms.html


def figure_html(title: str, caption: str, png: bytes) -> str:
    """A picture with its caption. It is on white, in every theme, and no style of the notebook reaches into it."""
    from markupsafe import Markup

    picture = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    width = round(SCALE * int.from_bytes(png[16:20], "big"))  # as the file says, so that the text of all pictures has one size
    return Markup(
        '<figure style="margin: 0 0 1em; max-width: 46em"><img src="{}" alt="{}" style="width: {}px; max-width: 100%">'
        "<figcaption><strong>{}.</strong> {}</figcaption></figure>"
    ).format(picture, title, width, title, caption)
