"""What every event store promises; the one that forgets and the one on disk pass the same tests."""

import asyncio
import contextlib
import tempfile
from dataclasses import astuple
from pathlib import Path

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lander.protocol import events as e
from lander.protocol.errors import WireError
from lander.protocol.wire import MAX_FRAME, encode_event
from lander.store.log.event_store import Batch, SequenceGapError, batch_of
from lander.store.log.reader import open_reader
from lander.store.writers.memory_store import MemoryEventStore
from lander.store.writers.sqlite_store import SqliteEventStore
from tests.support.histories import experiment, histories, submitted

RUN = "x/baseline/0"


@contextlib.asynccontextmanager
async def opened(kind, directory):
    store = MemoryEventStore() if kind == "memory" else await SqliteEventStore.open(Path(directory) / "events.db")
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture(params=["memory", "sqlite"])
async def store(request, tmp_path):
    """A store with one experiment in it, three events long; checked for order and gaps when the test ends."""
    async with opened(request.param, tmp_path) as store:
        heard = []
        store.listen(heard.extend)
        wanted = experiment("x")
        await store.append(batch_of("x", submitted(wanted)), *(batch_of(run.id, e.RunQueued()) for run in wanted.runs))
        yield store
        await store.append()
        assert [event.position for event in heard] == list(range(1, len(heard) + 1))
        for stream, producer in {(event.stream, event.producer) for event in heard}:
            numbers = [event.seq for event in heard if (event.stream, event.producer) == (stream, producer)]
            assert numbers == list(range(1, len(numbers) + 1))


@pytest.fixture
def heard(store):
    """What the store's listeners are told from now on."""
    events = []
    store.listen(events.extend)
    return events


def warnings(first, last, producer=1, stream=RUN, numbered=True):
    """The warnings `first` … `last`, as a trainer numbers them."""
    entries = [e.NewEvent("WarningRaised", at, encode_event(e.WarningRaised(message=str(at)))) for at in range(first, last + 1)]
    return Batch(stream, producer, first if numbered else None, entries)


def messages(heard):
    return [event.event.message for event in heard]


# --- places -----------------------------------------------------------------------------------------------------------


async def test_events_stand_in_the_order_in_which_they_were_appended(store, heard):
    appends = [store.append(warnings(number, number, numbered=False)) for number in range(20)]
    assert await asyncio.gather(*appends) == [[number] for number in range(1, 21)]
    assert messages(heard) == [str(number) for number in range(20)]
    assert [event.position for event in heard] == list(range(4, 24))


async def test_every_batch_is_told_its_producers_last_number(store, heard):
    assert await store.append(warnings(1, 3), warnings(1, 2, producer=2), warnings(7, 8, numbered=False)) == [5, 2, 5]
    assert [(event.producer, event.seq) for event in heard] == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (1, 4), (1, 5)]


async def test_events_without_numbers_are_numbered_on(store, heard):
    assert await store.append(warnings(1, 2)) == [2]
    assert await store.append(warnings(3, 4, numbered=False)) == [4]
    assert await store.append(warnings(5, 5)) == [5]
    assert [event.seq for event in heard] == [1, 2, 3, 4, 5]


async def test_an_event_keeps_its_time_stream_and_producer(store, heard):
    await store.append(Batch(RUN, 3, 1, warnings(77, 77).events))
    assert heard == [e.Recorded(4, RUN, 3, 1, 77, e.WarningRaised(message="77"))]


async def test_producers_and_streams_are_numbered_apart(store):
    other = warnings(1, 4, stream="x/v/0")
    assert await store.append(warnings(1, 1), warnings(1, 2, producer=2), other) == [1, 2, 4]


# --- each event once --------------------------------------------------------------------------------------------------


async def test_a_repeated_batch_is_taken_once_and_acknowledged_again(store, heard):
    for _ in range(3):
        assert await store.append(warnings(1, 4)) == [4]
    assert messages(heard) == ["1", "2", "3", "4"]


@pytest.mark.parametrize(("again", "last"), [((3, 6), 6), ((1, 6), 6), ((2, 3), 4), ((5, 6), 6), ((4, 4), 4)])
async def test_of_an_overlapping_batch_the_new_part_is_taken(store, heard, again, last):
    await store.append(warnings(1, 4))
    assert await store.append(warnings(*again)) == [last]
    assert messages(heard) == [str(number) for number in range(1, last + 1)]


async def test_an_empty_batch_asks_for_the_last_number(store, heard):
    assert await store.append(Batch(RUN, 1, 1, [])) == [0]
    await store.append(warnings(1, 2))
    assert await store.append(Batch(RUN, 1, 3, []), Batch(RUN, 1, None, [])) == [2, 2]
    assert len(heard) == 2


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(0, 6)), max_size=25), st.sampled_from(["memory", "sqlite"]))
@settings(max_examples=40, deadline=None)
def test_whatever_is_sent_again_every_event_is_taken_once_and_in_order(sends, kind):
    async def check():
        with tempfile.TemporaryDirectory() as directory:
            async with opened(kind, directory) as store:
                events = []
                store.listen(events.extend)
                last = 0
                futures = [(first, first + size - 1, store.append(warnings(first, first + size - 1))) for first, size in sends]
                for first, end, future in futures:
                    if first > last + 1:
                        with pytest.raises(SequenceGapError) as gap:
                            await future
                        assert gap.value.last_seq == last
                    else:
                        last = max(last, end)
                        assert await future == [last]
                assert messages(events) == [str(number) for number in range(1, last + 1)]

    asyncio.run(check())


# --- all or nothing ---------------------------------------------------------------------------------------------------


async def test_a_gap_is_refused_and_says_what_is_there(store, heard):
    await store.append(warnings(1, 2))
    with pytest.raises(SequenceGapError, match="producer 1 left out events after its number 2") as gap:
        await store.append(warnings(4, 5))
    assert gap.value.last_seq == 2
    assert messages(heard) == ["1", "2"]
    assert await store.append(warnings(3, 5)) == [5]


async def test_the_number_that_a_gap_tells_is_durable_by_then(store, heard):
    """It is sent to the trainer, which forgets everything up to it."""
    first, gap = store.append(warnings(1, 2)), store.append(warnings(9, 9))
    durable_then = []
    gap.add_done_callback(lambda _: durable_then.extend(messages(heard)))
    with pytest.raises(SequenceGapError) as refusal:
        await gap
    await first
    await asyncio.sleep(0)  # the callback's turn
    assert refusal.value.last_seq == 2
    assert durable_then == ["1", "2"]


async def test_a_gap_in_one_batch_refuses_the_whole_group(store, heard):
    with pytest.raises(SequenceGapError):
        await store.append(warnings(1, 2), warnings(1, 1, producer=2), warnings(5, 5, producer=3))
    assert heard == []
    assert await store.append(warnings(1, 1, producer=2)) == [1]
    assert [(event.position, event.seq) for event in heard] == [(4, 1)]


async def test_a_refused_group_does_not_hold_up_its_neighbours(store, heard):
    first, gap, last = store.append(warnings(1, 1)), store.append(warnings(9, 9)), store.append(warnings(2, 2))
    results = await asyncio.gather(first, gap, last, return_exceptions=True)
    assert [results[0], results[2]] == [[1], [2]]
    assert isinstance(results[1], SequenceGapError)
    assert messages(heard) == ["1", "2"]


# --- listeners and readers --------------------------------------------------------------------------------------------


async def test_listeners_hear_every_event_before_its_sender_does(store):
    futures = []
    heard = []

    def listener(recorded):
        # What is told is in order, and nobody waiting for it has been told yet.
        assert not any(future.done() for future, last in futures if last >= recorded[0].position)
        heard.extend(event.position for event in recorded)

    store.listen(listener)
    position = 3
    for size in (1, 3, 2):
        position += size
        future = store.append(warnings(1, size, stream=f"x/{size}/0"))
        futures.append((future, position))
    await asyncio.gather(*(future for future, _ in futures))
    assert heard == list(range(4, position + 1))


async def test_consequential_events_are_all_but_telemetry(store, heard):
    sample = e.ResourcesSampled(cpu_percent=1.0, memory_percent=1.0, memory_mb=1.0, disk_free_mb=1.0)
    await store.append(
        warnings(1, 2), batch_of("host:local", sample), batch_of(RUN, e.MetricsLogged(step=1, values={}), producer=1)
    )
    await store.append(warnings(4, 4))
    assert [event.position for event in store.consequential()] == [1, 2, 3, 4, 5, 8]
    assert list(store.consequential())[3:] == [heard[0], heard[1], heard[4]]


async def test_listeners_are_not_called_about_nothing(store):
    await store.append(warnings(1, 2))
    calls = []
    store.listen(calls.append)
    await store.append(warnings(1, 2))
    await store.append()
    assert calls == []


async def test_reading_does_not_hold_up_writing(store):
    events = store.consequential()
    next(events)
    assert await store.append(warnings(1, 1)) == [1]
    assert len(list(events)) in (2, 3)


# --- the two against each other ---------------------------------------------------------------------------------------


def projected(projections):
    tables = (projections.rows.experiments, projections.rows.progress, projections.rows.resources)
    return [sorted(astuple(row) for row in table.values()) for table in tables], projections.position


@given(histories())
@settings(max_examples=20, deadline=None)
def test_both_stores_say_the_same_of_the_same_history(history):
    async def check():
        with tempfile.TemporaryDirectory() as directory:
            async with opened("memory", directory) as memory, opened("sqlite", directory) as disk:
                told = [[], []]
                for store, events in zip((memory, disk), told, strict=True):
                    store.listen(events.extend)
                    results = await asyncio.gather(*[store.append(*group) for group in history])
                    events.append(results)
                assert repr(told[0]) == repr(told[1])
                assert projected(memory.projections) == projected(disk.projections)
                consequential = [event for event in memory.events if event.event.kind not in e.TELEMETRY_KINDS]
                assert repr(list(memory.consequential())) == repr(list(disk.consequential())) == repr(consequential)
            with contextlib.closing(open_reader(Path(directory) / "events.db")) as reader:
                check_tables(reader, memory)

    asyncio.run(check())


def check_tables(reader, memory):
    """What is on disk is what the memory says, and of the episodes those that count."""
    rows, position = projected(memory.projections)
    for table, expected in zip(("experiments", "progress", "resources"), rows, strict=True):
        cursor = reader.execute(f"SELECT * FROM {table}")
        names = [column[0] for column in cursor.description]
        row_type = type(next(iter(getattr(memory.projections.rows, table).values()), None))
        order = [names.index(field) for field in getattr(row_type, "__dataclass_fields__", ())]
        assert sorted(tuple(row[index] for index in order) for row in cursor) == expected
    assert reader.execute("SELECT position FROM bookmark").fetchall() == [(position,)]
    numbers = dict(reader.execute("SELECT run, id FROM progress"))
    counted = {}
    for event in memory.events:
        counted.setdefault(event.stream, Counted()).hear(event)
    stored = reader.execute('SELECT run, number, "return" FROM episodes ORDER BY run, number').fetchall()
    episodes = sorted((numbers[run], n, v) for run, words in counted.items() for n, (_, v) in words.episodes.items())
    # SQLite keeps not-a-number as NULL, and minus zero as zero
    assert repr(stored) == repr([(run, n, None if v != v else v + 0.0) for run, n, v in episodes])
    stored = reader.execute("SELECT run, step, position FROM checkpoints ORDER BY run, step").fetchall()
    assert stored == sorted(
        (numbers[run], step, at) for run, words in counted.items() for step, at in words.checkpoints.items()
    )


class Counted:
    """What counts of a run's words: those of the last attempt that began to train, and what led up to where it began."""

    def __init__(self):
        self.attempt = self.last = 0
        self.episodes = {}
        self.checkpoints = {}

    def hear(self, recorded):
        event = recorded.event
        if isinstance(event, e.TrainingStarted) and recorded.producer > self.attempt:
            self.attempt, self.last = recorded.producer, event.from_episode
            kept = {n: (step, v) for n, (step, v) in self.episodes.items() if n <= self.last and step <= event.from_step}
            self.episodes = kept
            self.checkpoints = {step: at for step, at in self.checkpoints.items() if 0 < step <= event.from_step}
            if event.from_step == 0:
                self.checkpoints = {}
        elif recorded.producer != self.attempt:
            return
        elif isinstance(event, e.EpisodeFinished):
            self.last += 1
            self.episodes[self.last] = (event.last_step, event.episode_return)
        elif isinstance(event, e.CheckpointCommitted):
            self.checkpoints[event.step] = recorded.position


# --- the door ---------------------------------------------------------------------------------------------------------

UNREADABLE = {
    "over the limit": ("WarningRaised", msgpack.packb({"message": "x" * MAX_FRAME})),
    "no msgpack": ("WarningRaised", b"\xc1"),
    "too long an array": ("EvaluationFinished", msgpack.packb({"returns": [0.0] * 20_000})),
    "too large a map": ("MetricsLogged", msgpack.packb({"step": 1, "values": {str(each): 0.0 for each in range(5000)}})),
    "an unknown field": ("WarningRaised", msgpack.packb({"message": "a", "K" * 1000: 1})),
    "a number over the limit": ("ModelSaved", msgpack.packb({"step": 2**63, "path": "p", "sha256": "s"})),
    "an unknown kind": ("Haunted", b"\x80"),
}


@pytest.mark.parametrize(("kind", "body"), UNREADABLE.values(), ids=UNREADABLE)
async def test_nothing_is_appended_that_cannot_be_read_back(store, heard, kind, body):
    before = warnings(1, 2)
    with pytest.raises(WireError) as refused:
        store.append(before, Batch(RUN, 2, 1, [*before.events, e.NewEvent(kind, 1, body)]))
    assert len(str(refused.value)) < 1000
    assert await store.append(warnings(1, 1)) == [1]
    assert messages(heard) == ["1"], "a part of what was refused was taken"


@pytest.mark.parametrize(
    "event",
    [
        e.RunFailed(cause="x" * MAX_FRAME),
        e.RunQueued().model_copy(update={"reason": 5}),
        e.AttemptStarted(epoch=2**64, host="local", cpu=0),
        e.MetricsLogged(step=1, values={str(each): 0.0 for each in range(5000)}),
        e.RunFailed(cause="\ud800"),
    ],
    ids=lambda event: event.kind,
)
def test_a_producer_is_told_before_it_sends_what_no_store_takes(event):
    with pytest.raises(WireError, match=event.kind.split(".")[0] + "|not msgpack|limit"):
        batch_of(RUN, event)


async def test_listeners_are_told_what_readers_will_read(store, heard):
    long = e.WarningRaised.model_construct(message="x" * 100_000)
    await store.append(batch_of(RUN, long))
    assert [len(message) for message in messages(heard)] == [8000]
