"""What a process's output says of why the process ended. Its last line is often something else: a warning, or a greeting.

In this order: the last traceback, stack of a crash, or message of a native library that aborts; else the last line that looks
like an error; else nothing. Warnings, and exceptions that Python ignores, are never the reason.
"""

import os
import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Final

from lander.protocol.text import uncoloured

_STANDARD_LIBRARY: Final = Path(os.__file__).parent
_FRAME: Final = re.compile(r'\s+File ".*", line \d+(?:, in .*)?')
_PLACE: Final = re.compile(r'\s+File ".*", line \d+ in .*')
"""A frame as `faulthandler` writes it, the innermost first."""
_HEADER: Final = "Traceback (most recent call last):"
_STACK: Final = re.compile(r"(?:Current thread|Thread) 0x[0-9a-f]+ .*\(most recent call first\):")
_IGNORED: Final = re.compile(r"Exception ignored (?:in|while)\b|Error in atexit|--- Logging error ---")
_ABORT: Final = re.compile(
    r"Fatal Python error|terminate called|^\s*what\(\):|Assertion .* failed|stack smashing"
    r"|(?:double free|corrupted|corruption)\b|libc\+\+abi|Segmentation fault|Bus error|Illegal instruction",
)
_NOISE: Final = re.compile(r"\b\w*warn(?:ing)?s?\b\s*[:\])]|deprecat|^\W*(?:info|debug|trace|note)\b", re.IGNORECASE)
_PYTHON_WARNING: Final = re.compile(r":\d+: \w*Warning: ")
_ERROR: Final = re.compile(
    r"\b\w*(?:error|exception|fatal|failed|failure|panic(?:ked)?|abort(?:ed|ing)?|killed|denied|refused|segfault)\b"
    r"|\b(?:cannot|can't|could not|couldn't|unable to|not found|no such|out of memory|no space left)\b",
    re.IGNORECASE,
)


def error_text(output: str) -> str:
    """The traceback, stack, or line that says why the process ended; empty if there is none. Applied twice, it is the same."""
    lines = _lines(output)
    noise = frozenset(_noise(lines))
    causes = [*_single(lines, _ABORT, noise), *_tracebacks(lines, noise), *_stacks(lines)]
    causes = sorted(causes, key=lambda block: block.stop) or list(_single(lines, _ERROR, noise))
    return "\n".join(lines[causes[-1].start : causes[-1].stop]) if causes else ""


def error_line(output: str) -> str:
    """The one line of it that says most: the exception, or where a crash was; empty if the output does not say why."""
    lines = error_text(output).splitlines()
    places = [line for line in lines if _PLACE.fullmatch(line)]
    own = [line for line in places if f'"{_STANDARD_LIBRARY}' not in line]
    return [*own, *places, *reversed(lines), ""][0].strip()


def in_one_line(detail: str) -> str:
    """Why an attempt ended, from the detail that is recorded of it: words of ours are one line, what a process said is more."""
    lines = detail.strip().splitlines()
    return error_line(detail) if len(lines) > 1 else "".join(lines)


def _lines(output: str) -> list[str]:
    """The lines as they were to be seen: without escape sequences, empty lines, and what a carriage return took back."""
    plain = uncoloured(output).replace("\r\n", "\n")
    return [seen for line in plain.split("\n") if (seen := line.rstrip().rpartition("\r")[2].rstrip())]


def _noise(lines: list[str]) -> Iterator[int]:
    """The places of lines that are never the reason: warnings with the line they quote, and exceptions that are ignored."""
    for place, line in enumerate(lines):
        if _IGNORED.match(line):
            yield from range(place, _end_of_traceback(lines, place + 1))
        elif _NOISE.search(line):
            yield place
            if _PYTHON_WARNING.search(line) and lines[place + 1 : place + 2] and lines[place + 1][:1].isspace():
                yield place + 1


def _single(lines: list[str], pattern: re.Pattern[str], noise: Collection[int]) -> Iterator[range]:
    """Each line with the pattern that is no noise."""
    return (range(place, place + 1) for place, line in enumerate(lines) if place not in noise and pattern.search(line))


def _tracebacks(lines: list[str], noise: Collection[int]) -> Iterator[range]:
    """Each traceback with the line of its exception, also one whose beginning was cut off."""
    end = 0
    for place, line in enumerate(lines):
        if place >= end and place not in noise and _FRAME.fullmatch(line):
            end = _end_of_traceback(lines, place)
            if end > place + 1 and not lines[end - 1][:1].isspace():
                yield range(place - 1 if place and lines[place - 1] == _HEADER else place, end)


def _end_of_traceback(lines: list[str], start: int) -> int:
    """The place after the line of the exception, which is the first after the frames that is not indented."""
    start += lines[start : start + 1] == [_HEADER]
    return min(_first(lines, start, lambda line: not line[:1].isspace()) + 1, len(lines))


def _stacks(lines: list[str]) -> Iterator[range]:
    """Each stack that `faulthandler` has written."""
    for start, line in enumerate(lines):
        if _STACK.match(line):
            yield range(start, _first(lines, start + 1, lambda each: not _PLACE.fullmatch(each)))


def _first(lines: list[str], start: int, condition: Callable[[str], bool]) -> int:
    """The first place from `start` on where the condition holds, or the end."""
    return next((place for place in range(start, len(lines)) if condition(lines[place])), len(lines))
