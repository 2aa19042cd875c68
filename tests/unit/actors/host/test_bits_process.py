"""Computing the bits of a machine in a process of its own, where that fails."""

import pytest

from lander.actors.host import bits_process
from lander.actors.host.bounded_process import Ending
from lander.protocol.errors import LanderError, TooSlowError


@pytest.mark.parametrize(
    ("ending", "why"),
    [
        (
            Ending(exceeded="time"),
            "were not computed: it took more than 60 seconds, perhaps because other programs keep this machine busy",
        ),
        (Ending(exceeded="memory"), "fail here: it took more memory than it may"),
        (Ending(), "fail here: it said nothing"),
    ],
)
def test_a_failure_says_why(ending, why, monkeypatch):
    monkeypatch.setattr(bits_process, "run_bounded", lambda *args: ending)
    with pytest.raises(LanderError) as raised:
        bits_process.compute_bits()
    assert str(raised.value).endswith(why)
    assert isinstance(raised.value, TooSlowError) == (ending.exceeded == "time")
