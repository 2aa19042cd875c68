"""More seeds for an experiment that has been carried out: `lander-ctl run --experiment-id ID --seeds +N`."""

import json

import pytest

from tests.support.command_line import TINY, written
from tests.support.command_line import lander as command
from tests.support.live_home import started


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    """A home in which two runs were carried out, and then four more; and what the second command said."""
    directory = tmp_path_factory.mktemp("more")
    home = directory / "results"
    with started(home):
        yield directory, home, *_grown(directory, home)


def _grown(directory, home):
    assert command(home, "run", written(directory / "tiny.json", TINY), "--quiet")[0] == 0
    before = json.loads(command(home, "status", "--json")[1])["position"]
    return before, command(home, "run", "--experiment-id", "tiny", "--seeds", "+2")


def test_the_next_seeds_of_every_arm_are_trained_and_nothing_that_was_done_is_done_again(grown):
    _, home, _, (code, output, errors) = grown
    assert (code, errors) == (0, "lander-ctl: tiny: 4 more runs\n")
    assert "3 of 3" in output
    (found,) = json.loads(command(home, "status", "--json")[1])["experiments"]
    states = {run["id"].split("/", 1)[1]: (run["state"], run["attempt"], run["step"]) for run in found["runs"]}
    assert states == {f"{arm}/{seed}": ("completed", 1, 256) for seed in (0, 1, 2) for arm in ("baseline", "fast")}


def test_the_log_still_holds_together_and_knows_how_it_stood_before(grown):
    _, home, before, _ = grown
    assert command(home, "check")[0] == 0
    (past,) = json.loads(command(home, "status", "--json", "--at", before)[1])["experiments"]
    assert [run["id"] for run in past["runs"]] == ["tiny/baseline/0", "tiny/fast/0"]
