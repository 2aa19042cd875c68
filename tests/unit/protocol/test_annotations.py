"""What can be a tag, and what a note."""

import pytest
from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from lander.protocol import events as e
from lander.protocol.annotations import MAX_REMARK_CHARACTERS, remark, tag, tags_after


@pytest.mark.parametrize("text", ["a", "paper-fig.2", "7", "A_b", "x" * 32])
def test_a_tag_is_like_an_identifier(text):
    assert tag(text) == text


@pytest.mark.parametrize("text", ["", "-a", "a b", "a,b", "ä", "a\n", "x" * 33, "../x", "a/b"])
def test_whatever_else_is_no_tag(text):
    with pytest.raises(PydanticCustomError, match="must be letters, digits"):
        tag(text)
    with pytest.raises(ValidationError):
        e.TagsChanged(added=(text,), operator="me")


@pytest.mark.parametrize("text", ["x", "two\nlines, and\ta tab", "für π ≈ 3 👍🏽", "x" * MAX_REMARK_CHARACTERS])
def test_a_note_is_any_text_that_can_be_shown(text):
    assert remark(text) == text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no text"),
        (" \n", "no text"),
        ("x" * (MAX_REMARK_CHARACTERS + 1), "found 2,001 characters; must be at most 2,000"),
        ("\x1b[2J", r"found the character '\\x1b'"),
        ("a\u202eb", r"found the character '\\u202e'"),
        ("a\ud800", r"found the character '\\ud800'"),
    ],
)
def test_a_note_that_is_empty_or_too_long_or_hides_something_is_refused(text, problem):
    with pytest.raises(PydanticCustomError, match=problem):
        remark(text)
    with pytest.raises(ValidationError):
        e.NoteAdded(text=text, operator="me")


def test_tags_keep_their_order():
    assert tags_after(("b", "a"), ("c", "a"), ("b",)) == ("a", "c")
