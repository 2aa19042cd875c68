"""The launchers of a log in which many jobs have ended."""

from lander.protocol import events as e
from lander.store.log.event_store import batch_of
from lander.store.log.reader import Reader
from lander.store.records import launchers as launchers_module
from lander.store.records.launchers import launchers
from tests.support.written_homes import write_log

LAB = e.launcher_stream("lab")
JOBS = 200


def test_the_jobs_that_are_over_are_named_and_no_event_costs_more_for_them(tmp_path, monkeypatch):
    after, carried = launchers_module._after, []

    def count(record, event):
        carried.append(len(record.ended) + len(record.jobs))
        return after(record, event)

    monkeypatch.setattr(launchers_module, "_after", count)
    names = [f"lab-1-{job}" for job in range(JOBS)]
    for name in names:
        ended = e.WorkerJobEnded(job=name, detail="", failed=False)
        write_log(tmp_path, batch_of(LAB, e.WorkersLaunched(batch="lab-1", names=(name,), ids=("1",)), ended))
    with Reader(tmp_path) as reader:
        (record,) = launchers(reader)
    assert (record.ended, dict(record.jobs)) == (frozenset(names), {})
    assert (len(carried), max(carried)) == (2 * JOBS, 1)
