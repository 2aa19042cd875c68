"""What people may say about an experiment without changing a bit of it: tags, notes, and another wording of its hypothesis."""

import re
from collections.abc import Sequence
from typing import Annotated, Final

from pydantic import AfterValidator

from lander.protocol.refusals import refusal, shown
from lander.protocol.text import printable

MAX_TAGS: Final = 32
"""Tags of one experiment."""
MAX_TAG_CHARACTERS: Final = 32
MAX_REMARK_CHARACTERS: Final = 2000
"""Characters of a note, and of an amended hypothesis."""
_TAG: Final = rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{MAX_TAG_CHARACTERS - 1}}}"


def tag(text: str) -> str:
    """The text, if it can be a tag; raises a refusal otherwise."""
    if re.fullmatch(_TAG, text) is None:
        raise refusal(
            f"found {shown(text)}; must be letters, digits, '.', '_' or '-', with a letter or digit first,"
            f" at most {MAX_TAG_CHARACTERS} characters"
        )
    return text


def remark(text: str) -> str:
    """The text, if it can be a note or a hypothesis; raises a refusal otherwise."""
    if not text.strip():
        raise refusal("found no text; must say something")
    if len(text) > MAX_REMARK_CHARACTERS:
        raise refusal(f"found {len(text):,} characters; must be at most {MAX_REMARK_CHARACTERS:,}")
    hidden = next((character for character in text if printable(character) != character), None)
    if hidden is not None:
        raise refusal(f"found the character {hidden!a}; must be text that can be shown")
    return text


def tags_after(tags: Sequence[str], added: Sequence[str], removed: Sequence[str]) -> tuple[str, ...]:
    """The tags of an experiment after a change, in the order in which they were added."""
    return tuple(dict.fromkeys(name for name in (*tags, *added) if name not in removed))


Tag = Annotated[str, AfterValidator(tag)]
Remark = Annotated[str, AfterValidator(remark)]
