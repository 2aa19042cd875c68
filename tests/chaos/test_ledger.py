"""That the campaign would notice: what a ledger finds out, and that a seed is a schedule."""

from itertools import islice

import pytest

from lander.protocol import events as e
from lander.protocol.wire import encode_event
from lander.store.log.event_store import batch_of
from lander.store.log.reader import DATABASE
from lander.store.writers.sqlite_store import SqliteEventStore
from tests.chaos.ledger import LEDGER, audit, digest
from tests.chaos.schedule import SHARES, schedule

RUN = "x/baseline/0"


async def audited(home, monkeypatch, words, stored, acknowledged):
    """An audit of one attempt that said `words`, of which `stored` are in the log and so many were acknowledged."""
    batch = batch_of(RUN, *(e.WarningRaised(message=word) for word in stored), at=7)._replace(producer=1)
    store = await SqliteEventStore.open(home / DATABASE)
    await store.append(batch)
    await store.close()
    kind = e.WarningRaised.kind
    digests = [digest(kind, 7, encode_event(e.WarningRaised(message=word))) for word in words]
    lines = [f"said {RUN} 1 {number} {event}" for number, event in enumerate(digests, start=1)]
    (home / "ledger").write_text("\n".join([*lines, f"acknowledged {RUN} 1 {acknowledged}"]))
    monkeypatch.setenv(LEDGER, str(home / "ledger"))
    return audit(home)


@pytest.mark.parametrize(
    ("stored", "problem"),
    [
        ("abcd", None),
        ("abc", None),  # more than was acknowledged may be missing
        ("a", "lost"),
        ("aabc", "not what it said"),
        ("acb", "not what it said"),
        ("axc", "not what it said"),
    ],
)
async def test_what_is_lost_doubled_reordered_or_changed_is_found(tmp_path, monkeypatch, stored, problem):
    found = await audited(tmp_path, monkeypatch, words="abcd", stored=stored, acknowledged=2)
    assert (found.acknowledged, found.stored) == (2, len(stored))
    assert [problem in line for line in found.problems] == ([True] if problem else []), found.problems


def test_a_seed_is_a_schedule():
    strikes = list(islice(schedule(5), 500))
    assert strikes == list(islice(schedule(5), 500))
    assert strikes != list(islice(schedule(6), 500))
    assert {strike.role for strike in strikes} == SHARES.keys()
