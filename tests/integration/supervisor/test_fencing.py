"""Who does not count is told so, counted, and forgotten; who cannot be understood is ended for a reason that can be read.

And a host that was given up for lost may come back.
"""

import asyncio

import pytest

from lander.actors.trainer.mailbox import FencedError
from lander.home.keys import KeyPair
from lander.protocol import commands as c
from lander.protocol import events as e
from lander.protocol.wire import MAX_EVENTS, encode_event
from lander.supervisor import intake
from lander.supervisor.core.decide import HostGone
from tests.support.in_process_supervisor import in_process_supervisor, in_thread
from tests.support.peers import until

A = "x/baseline/0"
WORD = encode_event(e.WarningRaised(message="a"))


@pytest.fixture
async def in_process(tmp_path):
    async with in_process_supervisor(tmp_path) as in_process:
        yield in_process


def append(first_seq=1, number=1, kind="WarningRaised", body=WORD):
    return c.Append(run=A, epoch=1, first_seq=first_seq, events=((kind, 1, body),) * number)


def keys_of(order):
    return KeyPair(order.public_key, order.secret_key)


async def exit_of(in_process, epoch=1, **how):
    await in_process.host.say(c.TrainerExited(run=A, epoch=epoch, **({"signal": "SIGKILL"} | how)))
    while not isinstance(noted := await in_process.host.hear(), c.ExitNoted):
        pass
    assert (noted.run, noted.epoch) == (A, epoch)


async def test_late_words_of_an_older_epoch_are_refused_and_counted(in_process):
    peer = in_process.peer(keys_of((await in_process.begin())[A]))
    assert await peer.ask(append()) == c.Acknowledged(seq=1)
    await exit_of(in_process)
    for number in range(3):
        assert await peer.ask(append(first_seq=2 + number)) == c.Fenced()
    assert in_process.supervisor.gate.refusals["fenced"] == 3
    assert len(in_process.stored(A)) == 1
    answer = await in_process.peer("client").ask(c.Ping())
    assert answer.detail == "turned away: 3 fenced"


@pytest.mark.parametrize(
    "said",
    [
        c.TrainerExited(run=A, epoch=1, signal="SIGKILL"),
        c.TrainerExited(run=A, epoch=1, lost=True),
        c.CannotTrain(run=A, epoch=1, lack="code", problem="lacks it", host="local"),
    ],
    ids=["exited", "lost", "unfit"],
)
async def test_only_the_host_that_holds_an_attempt_can_say_how_it_ended(in_process, said, caplog):
    await in_process.begin()
    gate, other = in_process.supervisor.gate, in_process.other_host("far")
    await other.say(said)
    over = c.TrainerExited(run="no/such/0", epoch=1, exit_code=0)
    assert await other.ask(over) == c.ExitNoted(run=over.run, epoch=1), "of what is over, the answer is always the same"
    assert in_process.supervisor.state.attempt(A, 1) is not None
    assert gate.refusals["not allowed"] == 1
    assert f"{said.kind} from far, which does not hold attempt 1 at {A}" in caplog.text
    await exit_of(in_process)
    assert in_process.supervisor.state.attempt(A, 1) is None


async def test_a_message_between_an_end_and_its_record_is_refused_too(in_process):
    """The key is still known, the attempt is not: what an older epoch says must not reach the log either way."""
    peer = in_process.peer(keys_of((await in_process.begin())[A]))
    assert await peer.ask(append()) == c.Acknowledged(seq=1)
    in_process.supervisor._fence.close_ended = lambda events: None
    await exit_of(in_process)
    assert await peer.ask(append(first_seq=2)) == c.Fenced()
    assert in_process.supervisor.gate.refusals["fenced"] == 1
    assert len(in_process.stored(A)) == 1


async def test_nothing_is_kept_of_attempts_that_are_over(in_process):
    orders = await in_process.begin(on_failure="skip", variants=("v",))
    peers = [in_process.peer(keys_of(order)) for order in orders.values()]
    for run, peer in zip(orders, peers, strict=True):
        await peer.ask(c.Append(run=run, epoch=1, first_seq=1, events=(("WarningRaised", 1, WORD),)))
    await exit_of(in_process)
    await in_process.host.say(c.JoinHost(name="local", pid=2, incarnation="other", cpus=(0, 1), memory_mb=1.0))
    await until(lambda: not in_process.supervisor.state.live)
    in_process.supervisor.gate.send(orders[A].public_key, c.Acknowledged(seq=1))  # as one that comes late would
    kept = in_process.supervisor.gate
    gone = {order.public_key for order in orders.values()}
    await until(lambda: len(in_process.supervisor.principals) == 2)
    assert not gone & (kept._unsent.keys() | kept._routes.keys() | kept._unanswered.keys())


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (append(kind="RunCompleted", body=b"\x80"), "a trainer may not say 'RunCompleted'"),
        (append(body=b"\x80"), "WarningRaised: message: Field required"),
        (append(body=b"\xc1"), "not msgpack"),
        (append(number=MAX_EVENTS + 1), f"{MAX_EVENTS + 1} events in one batch"),
    ],
    ids=["verdict", "fields", "bytes", "number"],
)
async def test_who_cannot_be_understood_is_told_so_and_so_is_the_log(in_process, command, problem):
    order = (await in_process.begin())[A]
    peer = in_process.peer(keys_of(order))
    answer = await peer.ask(command)
    assert isinstance(answer, c.Fenced)
    assert problem in answer.detail
    assert await peer.ask(append()) == c.Fenced(), "there is no way back"
    await until(lambda: in_process.stored(A, epoch=0)[-1][0] == "WarningRaised")
    assert problem.encode() in in_process.stored(A, epoch=0)[-1][1]
    assert in_process.stored(A) == []
    assert in_process.supervisor.gate.refusals["malformed"] == 1


async def test_a_revoked_key_stays_revoked_after_a_restart(in_process):
    order = (await in_process.begin())[A]
    peer = in_process.peer(keys_of(order))
    assert isinstance(await peer.ask(append(kind="RunCompleted", body=b"\x80")), c.Fenced)
    await until(lambda: in_process.stored(A, epoch=0)[-1][0] == "WarningRaised")
    await in_process.crash()
    await in_process.open()
    assert not await in_process.peer(keys_of(order)).handshake()
    assert in_process.stored(A) == []


async def test_nothing_is_received_while_too_much_waits_for_the_disk(in_process, monkeypatch):
    peer = in_process.peer(keys_of((await in_process.begin())[A]))
    assert await peer.ask(append()) == c.Acknowledged(seq=1)
    committed = asyncio.Event()
    transact = in_process.store._connection.transact

    async def transact_later(statements):
        await committed.wait()
        await transact(statements)

    monkeypatch.setattr(in_process.store._connection, "transact", transact_later)
    monkeypatch.setattr(intake, "MAX_WAITING", 10 * 1024)
    await peer.say(*(append(first_seq=2 + number) for number in range(40)))
    await until(lambda: in_process.supervisor._intake.congested)
    await asyncio.sleep(0.1)  # it would receive the rest now
    most = in_process.supervisor._intake._waiting
    committed.set()
    assert most < 20 * 1024
    while (await peer.hear()) != c.Acknowledged(seq=41):
        pass
    assert in_process.supervisor._intake._waiting == 0


async def test_a_batch_as_large_as_allowed_is_taken(in_process):
    peer = in_process.peer(keys_of((await in_process.begin())[A]))
    assert await peer.ask(append(number=MAX_EVENTS)) == c.Acknowledged(seq=MAX_EVENTS)


async def test_a_mailbox_that_is_not_understood_says_why_it_gives_up(in_process):
    order = (await in_process.begin())[A]
    with in_process.trainer(order) as mailbox:
        mailbox.say(e.RunCompleted())
        with pytest.raises(FencedError, match="attempt 1 said something that is not understood: a trainer may not say"):
            await in_thread(mailbox.flush)


async def test_a_host_that_was_given_up_for_lost_is_asked_who_it_is_when_it_is_heard_again(in_process):
    sample = e.ResourcesSampled(cpu_percent=1.0, memory_percent=1.0, memory_mb=1.0, disk_free_mb=1.0)
    order = (await in_process.begin(on_failure="retry"))[A]
    await in_process.host.say(c.ReportResources(sample=sample))
    in_process.supervisor._inbox.put_nowait((HostGone("local", "silent"), ""))
    await until(lambda: not in_process.supervisor.state.hosts["local"].online)
    await in_process.host.say(c.ReportResources(sample=sample))
    assert await in_process.host.hear() == c.Rejoin()
    await in_process.host.say(
        c.JoinHost(name="local", pid=1, cpus=(0, 1), memory_mb=1.0, trainers=(c.TrainerKey(run=A, epoch=order.order.epoch),))
    )
    ended = await in_process.host.hear()
    assert isinstance(ended, c.EndTrainer), "its attempt was given up with it"
    assert (ended.run, ended.epoch, ended.grace) == (A, 1, 0.0)
    assert in_process.supervisor.state.hosts["local"].online


async def test_an_agent_with_the_same_process_id_is_another_if_it_says_so(in_process):
    await in_process.begin(on_failure="retry")
    in_process.supervisor._local_host._incarnation = "ours"
    assert (
        await in_process.host.ask(c.JoinHost(name="local", pid=1, incarnation="theirs", cpus=(0,), memory_mb=1.0))
        == c.DismissHost()
    )
    await in_process.host.say(c.JoinHost(name="local", pid=1, incarnation="ours", cpus=(0, 1), memory_mb=1.0))
    await until(lambda: in_process.supervisor.state.hosts["local"].incarnation == "ours")
    assert not in_process.supervisor.state.live, "what the agent before it ran is lost"
