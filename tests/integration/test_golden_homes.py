"""Homes of released versions go on: what they left half finished ends in the bits it would have had without a break.

Also where every table of today says something else, and the installed libraries have other defaults.
"""

import pytest

from lander.app import client
from lander.store.log.reader import Reader
from lander.store.records.run_record import Record
from tests import golden, hooks
from tests.bits import Bits
from tests.lab import Lab

RUNS = ("half/ppo/0", "half/dqn/0")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The same experiment from the beginning, by today's code and its own tables."""
    lab = Lab(tmp_path_factory.mktemp("undisturbed"))
    source = tmp_path_factory.mktemp("source")
    golden.unpack(3, source)
    bring_up_to_date(source)
    with Reader(source) as reader:
        half = reader.experiment("half")
    lab.start()
    try:
        lab.carry_out(half)
        yield {run: Bits.of(lab.home, run) for run in RUNS}
    finally:
        lab.close()


def bring_up_to_date(home):
    client.start(home)
    client.shut_down(home)


@pytest.mark.parametrize("altered", [False, True], ids=["today", "altered"])
@pytest.mark.parametrize("version", golden.VERSIONS[1:], ids="schema-{}".format)
def test_what_was_half_finished_ends_in_the_right_bits(version, altered, undisturbed, tmp_path, monkeypatch):
    golden.unpack(version, tmp_path)
    if altered:
        hooks.install(monkeypatch, altered_tables="lander.supervisor", altered_defaults="lander.actors.host.zygote")
    lab = Lab(tmp_path)
    lab.start()
    try:
        client.operate(lab.home, "ResumeTarget", "half")
        lab.wait_ended("half")
        with Reader(lab.home) as reader:
            before = {run: {each.step: each.digest for each in Record(reader, run).checkpoints()} for run in RUNS}
        for run in RUNS:
            first = min(before[run])
            if version == 3 and before[run][first] != undisturbed[run].digests.get(first):
                pytest.skip("this machine computes other bits than the one that wrote the log")
            differences = Bits.of(lab.home, run).differences(undisturbed[run])
            assert differences == (["evaluations"] if version == 2 else [])  # of which schema 2 knows nothing
            assert version != 3 or lab.run(run)["resume"] == "exact"
    finally:
        lab.close()
