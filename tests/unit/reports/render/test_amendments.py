"""B11: every form of a report shows the original hypothesis, how it was amended and when, the notes and the tags."""

import json

import pytest

from lander.protocol import events as e
from lander.reports.analysis.comparison import findings
from lander.reports.analysis.material import gather
from lander.reports.render.markdown import markdown
from lander.reports.render.page import page
from lander.reports.render.text_report import as_json, as_text
from lander.store.log.event_store import batch_of
from lander.store.log.reader import Reader
from tests.support.written_homes import attempt, queued_experiment, steps, write_log

AT = 1_780_000_000_000_000
LATE = "hypothesis amended 2026-05-28 20:26 UTC by me@here, after results could be seen"
EARLY = "hypothesis amended 2026-05-28 20:26 UTC by me@here, before results could be seen"
CAVEAT = "the hypothesis was amended after results could be seen: these results test the original, not the later wording"


@pytest.fixture
def home(tmp_path):
    """An experiment whose hypothesis was amended before it trained and once more afterwards, with a note and tags."""
    queued_experiment(tmp_path, hypothesis="Larger is beter")
    early = e.HypothesisAmended(hypothesis="Larger is better", operator="me@here")
    late = e.HypothesisAmended(hypothesis="<b>Smaller</b> is better", operator="me@here")
    others = [e.NoteAdded(text="too hot & loud", operator="me@here"), e.TagsChanged(added=("a", "b"), operator="me@here")]
    write_log(tmp_path, batch_of("x", early, at=AT), *attempt(1, steps(0, 8)), batch_of("x", late, *others, at=AT))
    return tmp_path


def material(home):
    with Reader(home) as reader:
        return gather(reader, findings(reader, "x"))


def test_the_text_shows_them(home):
    lines = as_text(material(home).findings).splitlines()
    assert lines[0].endswith("– Larger is beter")
    assert lines[1:3] == [f"{EARLY}: Larger is better", f"{LATE}: <b>Smaller</b> is better"]
    assert f"note: {CAVEAT}" in lines
    assert lines[-2:] == ["noted 2026-05-28 20:26 UTC by me@here: too hot & loud", "tags: a, b"]


def test_the_json_has_them(home):
    found = json.loads(as_json(material(home).findings))
    assert found["hypothesis"] == "Larger is beter"
    assert [(each["text"], each["after_results"], each["at"]) for each in found["amendments"]] == [
        ("Larger is better", False, "2026-05-28T20:26:40Z"),
        ("<b>Smaller</b> is better", True, "2026-05-28T20:26:40Z"),
    ]
    assert (found["notes"][0]["operator"], found["notes"][0]["text"]) == ("me@here", "too hot & loud")
    assert (found["tags"], found["caveats"][0]) == (["a", "b"], CAVEAT)


def test_the_page_and_the_markdown_show_them_and_take_nothing_for_markup(home):
    shown = page(material(home), {})
    assert '<h1 id="hypothesis">Larger is beter</h1>' in shown
    assert f"<strong>{EARLY}:</strong> Larger is better" in shown
    assert f"<strong>{LATE}:</strong> &lt;b&gt;Smaller&lt;/b&gt; is better" in shown
    assert "too hot &amp; loud" in shown
    assert "tags: a, b" in shown
    written = markdown(material(home))
    assert written.startswith("# Larger is beter\n")
    assert f"*{LATE}:* &lt;b&gt;Smaller&lt;/b&gt; is better" in written
    assert "- noted 2026-05-28 20:26 UTC by me@here: too hot &amp; loud\n- tags: a, b\n" in written


def test_what_nobody_amended_says_nothing_of_it(tmp_path):
    queued_experiment(tmp_path)
    found = material(tmp_path)
    forms = (as_text(found.findings), markdown(found), page(found, {}))
    assert not any("amended" in form or "Notes" in form or "tags" in form for form in forms)
    assert not any("amended" in caveat for caveat in found.findings.caveats)
