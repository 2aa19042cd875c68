"""From a trainer's mailbox into the store: every event exactly once and in order, whatever is lost on the way."""

import asyncio
import inspect
import threading
import time
from types import SimpleNamespace

import pytest
import zmq

from lander.actors.trainer import mailbox as mailbox_module
from lander.actors.trainer.mailbox import FencedError, Mailbox
from lander.home.keys import KeyPair
from lander.protocol import commands as c
from lander.protocol import events as e
from lander.protocol.wire import encode_event
from tests.support.in_process_supervisor import in_process_supervisor, in_thread
from tests.support.peers import TIMEOUT_SECONDS

A, B = "x/baseline/0", "x/v/0"


@pytest.fixture
async def in_process(tmp_path):
    async with in_process_supervisor(tmp_path) as in_process:
        yield in_process


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Silence counts as loss after a moment, so that a test need not wait for it."""
    monkeypatch.setattr(mailbox_module, "RESEND_SECONDS", 0.05)


def warnings(first, last):
    return [e.WarningRaised(message=str(number)) for number in range(first, last + 1)]


def bodies(events):
    return [(event.kind, encode_event(event)) for event in events]


def speak(mailbox, events, every=7):
    for number, event in enumerate(events):
        mailbox.say(event)
        if number % every == 0:
            mailbox.exchange()


def until(condition):
    while not condition():
        time.sleep(0.001)


def lose(monkeypatch, owner, name, lost):
    """Have a method of `owner` not happen where `lost(count, *arguments)`; returns how often that was, as a list."""
    real = getattr(owner, name)
    calls, losses = [], []

    def lossy(*arguments):
        calls.append(1)
        if lost(len(calls), *arguments):
            losses.append(1)
            return asyncio.sleep(0) if inspect.iscoroutinefunction(real) else None
        return real(*arguments)

    monkeypatch.setattr(owner, name, lossy)
    return losses


# --- exactly once, in order -------------------------------------------------------------------------------------------


async def test_what_is_settled_is_stored_once_and_in_order(in_process):
    orders = await in_process.begin()
    said = {}
    for run, order in orders.items():
        with in_process.trainer(order) as mailbox:
            said[run] = warnings(1, 300)
            await in_thread(speak, mailbox, said[run])
            await in_thread(mailbox.flush)
            assert in_process.stored(run) == bodies(said[run])
    assert in_process.supervisor.gate.refused == 0


async def test_whoever_has_nothing_to_say_can_show_that_it_is_at_work(in_process, monkeypatch):
    """By an evaluation that lasts, for instance: the watchdog hears of progress, and the log of nothing."""
    order = (await in_process.begin())[A]
    heard = []
    monkeypatch.setattr(in_process.supervisor._watching, "progressed", lambda *who: heard.append(who[:2]))
    with in_process.trainer(order) as mailbox:
        await in_thread(speak, mailbox, warnings(1, 3))
        await in_thread(mailbox.flush)
        await in_thread(mailbox.exchange)
        before = len(heard)
        await in_thread(mailbox.heartbeat)
        await in_thread(until, lambda: len(heard) > before)
        await in_thread(speak, mailbox, warnings(4, 5))
        await in_thread(mailbox.flush)
    assert set(heard) == {(A, order.order.epoch)}
    assert in_process.stored(A) == bodies(warnings(1, 5))


def test_it_is_shown_now_and_then_however_often_it_could_be(monkeypatch):
    class Socket:
        """Takes everything, and has nothing to hand on."""

        sent = 0

        def send(self, *_):
            self.sent += 1

        def recv(self, *_):
            raise zmq.Again

    now, socket = [100.0], Socket()
    monkeypatch.setattr(mailbox_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    mailbox = Mailbox(socket, A, 1)
    for _ in range(1000):
        mailbox.heartbeat()
        now[0] += mailbox_module.HEARTBEAT_SECONDS / 100
    assert socket.sent == 10


async def test_lost_acknowledgements_lose_and_double_nothing(in_process, monkeypatch):
    order = (await in_process.begin())[A]
    losses = lose(
        monkeypatch,
        in_process.supervisor.gate,
        "send",
        lambda count, key, command: isinstance(command, c.Acknowledged) and count % 3 != 0,
    )
    with in_process.trainer(order) as mailbox:
        await in_thread(speak, mailbox, warnings(1, 200))
        await in_thread(mailbox.flush)
    assert losses, "nothing was lost: this proved nothing"
    assert in_process.stored(A) == bodies(warnings(1, 200))


async def test_lost_events_are_sent_again_from_where_they_are_missing(in_process, monkeypatch):
    """As soon as what follows them shows the gap, long before the silence would."""
    monkeypatch.setattr(mailbox_module, "RESEND_SECONDS", 1e9)
    monkeypatch.setattr(mailbox_module, "MAX_EVENTS", 10)
    order = (await in_process.begin())[A]
    resends = []
    real = in_process.supervisor.gate.send
    monkeypatch.setattr(in_process.supervisor.gate, "send", lambda key, command: (resends.append(command), real(key, command)))
    losses = lose(monkeypatch, in_process.supervisor, "_append", lambda count, *_: count in (1, 2, 5, 6, 9))
    with in_process.trainer(order) as mailbox:
        await in_thread(speak, mailbox, warnings(1, 200))
        await in_thread(mailbox.flush)
    assert len(losses) == 5
    assert any(isinstance(each, c.Acknowledged) and each.resend for each in resends), "no gap was ever noticed"
    assert in_process.stored(A) == bodies(warnings(1, 200))


async def test_a_mailbox_that_sent_nothing_again_would_lose(in_process, monkeypatch):
    """Negative control for the two tests above."""
    monkeypatch.setattr(mailbox_module, "RESEND_SECONDS", 1e9)
    order = (await in_process.begin())[A]
    losses = lose(monkeypatch, in_process.supervisor, "_append", lambda count, *_: count == 1)
    with in_process.trainer(order) as mailbox:
        for event in warnings(1, 5):
            mailbox.say(event)
        await in_thread(until, lambda: mailbox.exchange() or losses)
        await in_process.peer("client").ask(c.Ping())
        mailbox.exchange()
        assert in_process.stored(A) == []
        monkeypatch.setattr(mailbox_module, "RESEND_SECONDS", 0.0)
        await in_thread(mailbox.flush)
    assert in_process.stored(A) == bodies(warnings(1, 5))


@pytest.mark.parametrize("crashes", [1, 3])
async def test_a_supervisor_that_crashes_and_returns_misses_nothing(in_process, crashes):
    order = (await in_process.begin())[A]
    with in_process.trainer(order) as mailbox:
        for number in range(crashes):
            first = number * 100 + 1
            await in_thread(speak, mailbox, warnings(first, first + 49))
            await in_process.crash()
            speak(mailbox, warnings(first + 50, first + 99))
            await in_process.open()
        await in_thread(mailbox.flush)
    assert in_process.stored(A) == bodies(warnings(1, crashes * 100))
    assert in_process.supervisor.state.runs[A].attempt.epoch == 1


async def test_what_does_not_fit_into_one_frame_travels_in_several(in_process):
    order = (await in_process.begin())[A]
    events = [e.WarningRaised(message=str(number) + "x" * 200_000) for number in range(12)] + warnings(1, 9000)
    with in_process.trainer(order) as mailbox:
        await in_thread(speak, mailbox, events, 10_000)
        await in_thread(mailbox.flush)
    assert in_process.stored(A) == bodies(events)


async def test_while_the_disk_is_full_nothing_piles_up_and_afterwards_everything_arrives(in_process, monkeypatch):
    order = (await in_process.begin())[A]
    turned_away = asyncio.Semaphore(0)
    real = in_process.supervisor._append

    async def append(*arguments):
        await real(*arguments)
        turned_away.release()

    monkeypatch.setattr(in_process.supervisor, "_append", append)
    in_process.store.full = True
    with in_process.trainer(order) as mailbox:
        speak(mailbox, warnings(1, 50))
        settling = asyncio.create_task(in_thread(mailbox.flush))
        async with asyncio.timeout(TIMEOUT_SECONDS):
            for _ in range(5):
                await turned_away.acquire()
        assert not in_process.store._gathering.appends
        assert not in_process.store._sealed
        assert in_process.stored(A) == []
        in_process.store.full = False
        await settling
    assert in_process.stored(A) == bodies(warnings(1, 50))


# --- waiting ----------------------------------------------------------------------------------------------------------


class Watched:
    """A socket that tells how often it was waited for."""

    def __init__(self, socket):
        self._socket = socket
        self.waits = threading.Semaphore(0)

    def __getattr__(self, name):
        return getattr(self._socket, name)

    def poll(self, timeout):
        self.waits.release()
        return self._socket.poll(min(timeout, 20))


async def test_an_outbox_over_its_bound_makes_training_wait_until_it_is_taken(in_process, monkeypatch):
    monkeypatch.setattr(mailbox_module, "MAX_OUTBOX_BYTES", 2000)
    order = (await in_process.begin())[A]
    await in_process.crash()
    with in_process.trainer(order) as mailbox:
        mailbox._socket = watched = Watched(mailbox._socket)
        for event in warnings(1, 500):
            mailbox.say(event)
        training = asyncio.create_task(in_thread(mailbox.exchange))
        for _ in range(5):
            assert await in_thread(watched.waits.acquire, True, TIMEOUT_SECONDS / 2), "nobody waits"
        assert not training.done()
        await in_process.open()
        await training
        assert mailbox._bytes <= 2000
        await in_thread(mailbox.flush)
    assert in_process.stored(A) == bodies(warnings(1, 500))


async def test_an_outbox_under_its_bound_does_not(in_process):
    """Negative control: with nobody there to take it, training goes on."""
    order = (await in_process.begin())[A]
    await in_process.crash()
    with in_process.trainer(order) as mailbox:
        mailbox._socket = watched = Watched(mailbox._socket)
        await in_thread(speak, mailbox, warnings(1, 500))
        assert not watched.waits.acquire(blocking=False)
    await in_process.open()


async def test_silence_counts_from_the_first_word_that_is_not_answered(in_process, monkeypatch):
    """A trainer that had nothing to say for long must not take its own silence for the supervisor's."""
    monkeypatch.setattr(mailbox_module, "RESEND_SECONDS", 60.0)
    order = (await in_process.begin())[A]
    with in_process.trainer(order) as mailbox:
        sent = []
        real = mailbox._socket
        mailbox._socket = Watched(real)
        mailbox._socket.send = lambda frame, flags: (real.send(frame, flags), sent.append(frame))
        mailbox._heard_at = time.monotonic() - 1000.0
        mailbox.say(*warnings(1, 1))
        await in_thread(mailbox.flush)
        assert len(sent) == 1
    assert in_process.stored(A) == bodies(warnings(1, 1))


# --- who may say what -------------------------------------------------------------------------------------------------


def append(run=A, epoch=1, first_seq=1, kind="WarningRaised", body=b"\x81\xa7message\xa1a"):
    return c.Append(run=run, epoch=epoch, first_seq=first_seq, events=((kind, 1, body),))


@pytest.mark.parametrize(
    "command",
    [
        append(run=B),
        append(run="y/baseline/0"),
        append(epoch=2),
        append(epoch=0),
    ],
    ids=["run", "stranger", "later", "zero"],
)
async def test_a_trainer_speaks_for_its_own_run_and_epoch_and_for_nothing_else(in_process, command):
    order = (await in_process.begin())[A]
    before = in_process.store.projections.position
    peer = in_process.peer(KeyPair(order.public_key, order.secret_key))
    await peer.say(command)
    await peer.say(append())  # control: this it may say
    assert await peer.hear() == c.Acknowledged(seq=1)
    assert in_process.supervisor.gate.refused == 1
    assert in_process.store.projections.position == before + 1
    assert in_process.stored(A) == [("WarningRaised", b"\x81\xa7message\xa1a")]


async def test_who_was_superseded_is_told_so_and_recorded_no_more(in_process):
    old = (await in_process.begin(on_failure="retry"))[A]
    with in_process.trainer(old) as mailbox:
        mailbox.say(*warnings(1, 1))
        await in_thread(mailbox.flush)
        await in_process.host.say(c.JoinHost(name="local", pid=2, cpus=(0, 1), memory_mb=1.0))
        await in_thread(until, lambda: in_process.supervisor.state.attempt(A, 1) is None)
        mailbox.say(*warnings(2, 2))
        with pytest.raises(FencedError, match="attempt 1 was superseded"):
            await in_thread(mailbox.flush)
    assert in_process.stored(A) == bodies(warnings(1, 1))


async def test_a_word_to_stop_reaches_the_mailbox(in_process):
    order = (await in_process.begin())[A]
    with in_process.trainer(order) as mailbox:
        mailbox.say(*warnings(1, 1))
        await in_thread(mailbox.flush)
        assert not mailbox.stop_requested
        await in_process.peer("client").ask(c.StopTarget(target=A, operator="me"))
        while not mailbox.stop_requested:
            await in_thread(mailbox._wait)
