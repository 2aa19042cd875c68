"""HTML for notebooks: nobody's text becomes markup, it is small whatever is in it, and it has no colour of its own."""

import re
from html.parser import HTMLParser

import pytest

from lander.app.notebook_view import Picture
from lander.reports.analysis.comparison import findings
from lander.reports.render.notebook import MOST_ROWS, Panel, figure_html, findings_html
from lander.store.log.reader import Reader
from lander.store.projections.status import status
from tests.support.written_homes import queued_experiment

HOSTILE = """<script>alert(1)</script> & "quoted" <img src="https://example.com/x.png" onerror='alert(1)'> \x1b[31m"""
ALLOWED = {"div", "p", "strong", "progress", "table", "thead", "tbody", "tr", "th", "td", "details", "summary", "ul", "li"}
LARGEST = 60_000


class Elements(HTMLParser):
    """The elements of a piece of HTML, with their attributes, and its text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text, self._open = set(), [], "", []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes += attributes
        self._open += [] if tag == "img" else [tag]

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """Findings and status of an experiment with a hostile hypothesis and 300 arms, as a notebook shows them."""
    home = tmp_path_factory.mktemp("notebook")
    queued_experiment(home, hypothesis=HOSTILE * 100, variants=[f"v{number}" for number in range(300)])
    with Reader(home) as reader:
        return findings_html(findings(reader, "x")), Picture(status(reader)["experiments"][0]).html


def test_nobodys_text_becomes_markup(shown):
    cells = Panel(
        title=HOSTILE, text=HOSTILE, paragraphs=[(HOSTILE, HOSTILE)], headings=[HOSTILE], rows=[[HOSTILE]], notes=[HOSTILE]
    )
    for html in (*shown, cells.html):
        found = Elements(html)
        assert found.tags <= ALLOWED
        assert {name for name, _ in found.attributes} <= {"style", "scope", "max", "value"}
        assert r'<script>alert(1)</script> & "quoted" <img' in found.text
        assert "\x1b" not in html
    picture = Elements(figure_html(HOSTILE, HOSTILE, b"png"))
    assert picture.tags == {"figure", "img", "figcaption", "strong"}
    assert dict(picture.attributes)["src"].startswith("data:image/png;base64,")
    assert [name for name, _ in picture.attributes] == ["style", "src", "alt", "style"]


def test_however_much_there_is_the_cell_stays_small(shown):
    found, progress = shown
    assert len(found) < LARGEST
    assert len(progress) < LARGEST
    assert "and 281 more" in Elements(found).text
    assert "289 more runs are not shown" in Elements(progress).text
    many = Panel(title="x", headings=["a"], rows=[["y" * 10_000]] * 1000, notes=["z" * 10_000] * 1000)
    assert Elements(many.html).text.count("yyy…") == MOST_ROWS
    assert len(many.html) < LARGEST


def test_it_is_readable_in_every_theme(shown):
    for html in shown:
        styles = " ".join(re.findall(r'style="([^"]*)"', html))
        assert re.search(r"colou?r|background|font", styles) is None
        assert "<style" not in html
