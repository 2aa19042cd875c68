"""The commands in a sentence, so that they are shown as such and can be copied."""

import re
from collections.abc import Iterator
from typing import NamedTuple


class Part(NamedTuple):
    """A part of a sentence."""

    text: str
    is_command: bool


def parts(sentence: str, experiment: str) -> Iterator[Part]:
    """A sentence about an experiment, taken apart into commands for it and what stands between them."""
    command = rf"(lander-ctl \w+ (?:--\S+ )*{re.escape(experiment)}(?: --\S+ \S+)*)"
    for index, text in enumerate(re.split(command, sentence)):
        if text:
            yield Part(text, bool(index % 2))
