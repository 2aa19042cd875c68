"""Text from outside: cut with a mark, and shown so that nothing obeys it."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lander.protocol.text import MARK, cut, cut_start, one_line, printable

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\r\u202egnp.exe\u202c\u2066\u200e\ufeff\u2028\x00\x7f\U000e0041"


@given(st.text(), st.integers(2, 20))
def test_what_is_cut_has_the_mark_and_what_fits_is_left_alone(text, most):
    for short, whole in ((cut(text, most), text.startswith), (cut_start(text, most), text.endswith)):
        assert len(short) <= most
        assert short == text if len(text) <= most else MARK in short
        assert whole(short.strip(MARK)) or MARK in text


@given(st.text() | st.text(HOSTILE))
def test_nothing_is_left_that_a_terminal_obeys_or_hides(text):
    for shown in (printable(text), one_line(text)):
        left = {character for character in shown if unicodedata.category(character) in ("Cc", "Zl", "Zp", "Cs")}
        assert left <= {"\n", "\t"}
        assert not set(shown) & {"\u202a", "\u202b", "\u202c", "\u202d", "\u202e", "\u2066", "\u2067", "\u2068", "\u2069"}
        assert "\u200e" not in shown
    assert not {"\n", "\t"} & set(one_line(text))


def test_an_escape_sequence_can_be_read():
    assert one_line("a\x1b[31mb\u202ec") == r"a\u001b[31mb\u202ec"
    assert one_line("first\nsecond\tthird") == r"first\nsecond\tthird"
    assert printable("first\r\nsecond\rthird") == "first\nsecond\nthird"


@pytest.mark.parametrize("text", ["Grüße, ≥ 3 → 4 – 😀", "naïve \u0928\u094d\u200d\u0930", "tab\tline\n"])
def test_ordinary_text_stays_as_it_is(text):
    assert printable(text) == text


@given(st.text() | st.text(HOSTILE))
def test_json_keeps_its_meaning(text):
    assert json.loads(printable(json.dumps({"text": text}, ensure_ascii=False))) == {"text": text}
