"""Why a process ended is found in its output among everything else that it says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lander.protocol.error_text import error_line, error_text, in_one_line

TRACEBACK = """Traceback (most recent call last):
  File "/somewhere/corridor.py", line 12, in step
    raise RuntimeError("the engine fell off")
RuntimeError: the engine fell off"""
CHAINED = """Traceback (most recent call last):
  File "/somewhere/corridor.py", line 3, in load
    open(path)
FileNotFoundError: [Errno 2] No such file or directory: 'map.json'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/somewhere/corridor.py", line 5, in step
    raise ValueError("no map")
ValueError: no map"""
SEVERAL_LINES = TRACEBACK + "\n\twhile it was turning\n\tto the left"
CRASH = """Fatal Python error: Segmentation fault

Current thread 0x00007f3b3c5c2740 (most recent call first):
  File "/somewhere/corridor.py", line 7 in step
  File "/somewhere/gymnasium/core.py", line 322 in step

Extension modules: numpy.core._multiarray_umath, torch._C (total: 2)"""
ABORT = "terminate called after throwing an instance of 'std::runtime_error'\n  what():  the window is gone"
IGNORED = """Exception ignored in: <function Viewer.__del__ at 0x7f3b3c5c2740>
Traceback (most recent call last):
  File "/somewhere/viewer.py", line 90, in __del__
    self.close()
AttributeError: 'NoneType' object has no attribute 'close'"""
NOISE = (
    "",
    "pygame 2.6.1 (SDL 2.28.4, Python 3.11.2)\nHello from the pygame community. https://www.pygame.org/contribute.html",
    "/somewhere/pygame/pkgdata.py:25: DeprecationWarning: pkg_resources is deprecated as an API, and failed\n"
    "  raise ImportError('from pkg_resources import resource_stream')",
    "libpng warning: iCCP: known incorrect sRGB profile",
    "UserWarning: CUDA initialization: the driver could not be found",
    "W0000 [warning] error in a profile that nobody reads",
    "INFO: retrying after an error",
    "\x1b[33mWARNING: the reward failed to be in a range\x1b[0m",
    "loading 10%\rloading 50% (error: none)\rloading 100%",
    "return -200.0",
    IGNORED,
)
REASONS = {
    TRACEBACK: "RuntimeError: the engine fell off",
    CHAINED: "ValueError: no map",
    SEVERAL_LINES: "RuntimeError: the engine fell off",
    CRASH: 'File "/somewhere/corridor.py", line 7 in step',
    ABORT: "what():  the window is gone",
    "Assertion `size > 0' failed.": "Assertion `size > 0' failed.",
    "simulator: error: the port is in use": "simulator: error: the port is in use",
    "X11: cannot connect to the display": "X11: cannot connect to the display",
}


def coloured(text):
    return "\n".join(f"\x1b[31m{line}\x1b[0m\x1b[K\x1b]0;title\x07" for line in text.split("\n"))


@pytest.mark.parametrize("noise", NOISE)
def test_the_cause_of_a_death_is_never_a_warning_that_happened_to_be_the_last_line(noise):
    for reason, line in REASONS.items():
        assert error_line(f"{reason}\n{noise}\n") == line
        assert error_line(coloured(f"{noise}\n{reason}\n{noise}\n")) == line
    assert (error_text(noise), error_line(noise)) == ("", "")


@given(st.lists(st.sampled_from(NOISE)), st.sampled_from(sorted(REASONS)), st.lists(st.sampled_from(NOISE)), st.booleans())
def test_the_reason_is_found_among_any_noise(before, reason, after, with_colours):
    output = "\n".join([*before, reason, *after])
    output = coloured(output) if with_colours else output
    assert error_line(output) == REASONS[reason]
    assert error_line(error_text(output)) == REASONS[reason]
    assert error_text(error_text(output)) == error_text(output)


@given(st.text(st.characters(codec="utf-8") | st.sampled_from('\n\r\x1b[31m "File line 1, in :')))
def test_any_output_has_at_most_one_line_of_it(output):
    assert "\n" not in error_line(output)


def test_a_traceback_counts_more_than_what_only_looks_like_an_error():
    assert error_line(f"{TRACEBACK}\nthe simulator could not be ended") == "RuntimeError: the engine fell off"
    assert error_line("error: one\nno news\nerror: two\ngoodbye") == "error: two"


def test_a_traceback_whose_beginning_was_cut_off_is_one():
    assert error_line(TRACEBACK[60:]) == "RuntimeError: the engine fell off"
    assert error_line(TRACEBACK[: TRACEBACK.index("RuntimeError: ")]) != "", "it died while it wrote that"


def test_the_place_of_a_crash_is_one_of_users_if_there_is_one():
    outside = CRASH.replace("/somewhere/corridor.py", pytest.__file__)
    within = CRASH.replace("/somewhere/corridor.py", st.__file__.replace("hypothesis", "x")).replace("line 7", "line 8")
    assert pytest.__file__ in error_line(outside)
    assert "line 8" in error_line(within)
    import json

    assert "gymnasium/core.py" in error_line(CRASH.replace("/somewhere/corridor.py", json.__file__))


def test_words_of_ours_are_the_reason_as_they_are():
    assert in_one_line("wall_hours: 3.1, allowed are 3\n") == "wall_hours: 3.1, allowed are 3"
    assert in_one_line(f"{TRACEBACK}\nlibpng warning: iCCP") == "RuntimeError: the engine fell off"
    assert in_one_line("hello\nworld") == in_one_line("") == ""
