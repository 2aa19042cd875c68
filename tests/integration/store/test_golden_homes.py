"""Homes of released versions go on: what they left half finished ends in the bits it would have had without a break.

Also where every table of today says something else, and the installed libraries have other defaults.
"""

import asyncio

import pytest

from lander.app import client
from lander.store.log.reader import DATABASE, Reader
from lander.store.records.run_record import Record
from lander.store.writers.sqlite_store import SqliteEventStore
from tests import golden, hooks
from tests.support.bits import Bits
from tests.support.live_home import LiveHome

RUNS = ("half/ppo/0", "half/dqn/0")
OLDEST, NEWEST = 2, golden.VERSIONS[-1]
"""Of the schemas that have left anything half finished."""


@pytest.fixture(scope="module")
def undisturbed(shared_home, tmp_path_factory):
    """The same experiment from the beginning, by today's code and its own tables."""
    source = tmp_path_factory.mktemp("source")
    golden.unpack(3, source)
    asyncio.run(bring_up_to_date(source))
    with Reader(source) as reader:
        half = reader.experiment("half")
    shared_home.carry_out(half)
    return {run: Bits.of(shared_home.home, run) for run in RUNS}


def left_behind(version, directory):
    """The first checkpoint of each run in a home of that version; this is found out in another one than is tested."""
    golden.unpack(version, directory)
    asyncio.run(bring_up_to_date(directory))
    with Reader(directory) as reader:
        return {run: Record(reader, run).checkpoints()[0] for run in RUNS}


async def bring_up_to_date(home):
    store = await SqliteEventStore.open(home / DATABASE)
    await store.close()


@pytest.mark.parametrize(
    "altered",
    [pytest.param(False, marks=pytest.mark.long), True],  # what holds with everything altered holds without that, too
    ids=["today", "altered"],
)
@pytest.mark.parametrize(
    "version",
    [
        version if version in (OLDEST, NEWEST) else pytest.param(version, marks=pytest.mark.long)
        for version in golden.VERSIONS
        if version >= OLDEST
    ],
    ids="schema-{}".format,
)
def test_what_was_half_finished_ends_in_the_right_bits(version, altered, undisturbed, tmp_path, tmp_path_factory, monkeypatch):
    """Of the older schemas, `make test` leaves the run out that trains for five seconds; `make chaos` does not.

    That every log of those between is read as it was recorded, `tests/unit/store/test_golden_logs.py` shows.
    """
    runs = RUNS if version == NEWEST or not altered else RUNS[1:]
    if version >= 3:
        first = left_behind(version, tmp_path_factory.mktemp("left"))
        if any(first[run].digest != undisturbed[run].digests.get(first[run].step) for run in runs):
            pytest.skip("this machine computes other bits than the one that wrote the log")
    golden.unpack(version, tmp_path)
    if altered:
        hooks.install(monkeypatch, altered_tables="lander.supervisor", altered_defaults="lander.actors.host.zygote")
    live_home = LiveHome(tmp_path)
    live_home.start()
    try:
        for run in RUNS:
            client.operate(live_home.home, "ResumeTarget" if run in runs else "StopTarget", run)
        live_home.wait_ended("half")
        for run in runs:
            differences = Bits.of(live_home.home, run).differences(undisturbed[run])
            assert differences == (["evaluations"] if version == 2 else [])  # of which schema 2 knows nothing
            assert version < 3 or live_home.run(run)["resume"] == "exact"
    finally:
        live_home.close()
