"""Events whose kind was retired after they were stored: the records read them as before."""

import sqlite3

import pytest

from lander.protocol import events as e
from lander.protocol.upcasters import UPCASTERS, Upcaster
from lander.store.log.event_store import batch_of
from lander.store.log.reader import DATABASE, Reader
from lander.store.records.checkpoint_record import checkpoints_by_run
from lander.store.records.costs import costs
from lander.store.records.run_record import Record
from lander.store.records.usage_samples import samples
from tests.support.histories import HOST
from tests.support.written_homes import OTHER, RUN, attempt, checkpoint, episode, queued_experiment, steps, write_log

RETIRED = [
    e.TrainingStarted,
    e.StepsRecorded,
    e.EpisodeFinished,
    e.MetricsLogged,
    e.CheckpointCommitted,
    e.EvaluationFinished,
    e.ModelSaved,
    e.ResourcesSampled,
]


def written(home):
    """A home in which every event that the records look for by its kind is stored."""
    queued_experiment(home)
    words = [
        steps(0, 4),
        episode(4),
        e.MetricsLogged(step=4, values={"loss": 0.5}),
        e.EvaluationFinished(step=4, first_seed=1, returns=(1.0,), lengths=(4,)),
        e.ModelSaved(which="final", path="x.zip", step=4, sha256="0" * 64),
        checkpoint(home, 4),
    ]
    usage = e.TrainerUsage(run=RUN, epoch=1, cpu_percent=1.0, memory_mb=1.0)
    sample = e.ResourcesSampled(cpu_percent=1.0, memory_percent=1.0, memory_mb=1.0, disk_free_mb=1.0, trainers=(usage,))
    write_log(home, *attempt(1, *words), *attempt(1, run=OTHER), batch_of(e.host_stream(HOST), sample))


def read(home):
    """All that the records say."""
    with Reader(home) as reader:
        record = Record(reader, RUN)
        return (
            list(record.lineage.starts),
            list(record.batches()),
            record.episodes(),
            list(record.dated_metrics()),
            record.checkpoints(),
            record.evaluations(),
            record.models(),
            checkpoints_by_run(reader),
            costs(reader, "x"),
            list(samples(reader, "x")),
        )


def retire(home, kind, name):
    with sqlite3.connect(home / DATABASE) as connection:
        connection.execute("DROP TRIGGER events_are_not_changed")
        assert connection.execute("UPDATE events SET kind = ? WHERE kind = ?", (name, kind)).rowcount
    connection.close()


@pytest.mark.parametrize("event", RETIRED, ids=lambda event: event.__name__)
def test_what_is_stored_under_a_retired_kind_is_read_as_before(event, tmp_path, monkeypatch):
    written(tmp_path)
    before = read(tmp_path)
    assert all(before)
    retire(tmp_path, event.kind, "OfOldTimes")
    assert read(tmp_path) != before
    monkeypatch.setitem(UPCASTERS, "OfOldTimes", Upcaster(event.kind, lambda body: body))
    assert read(tmp_path) == before
