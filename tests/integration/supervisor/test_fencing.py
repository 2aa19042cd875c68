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
from lander.supervisor.core.decide import HostGone
from tests.support.in_process_supervisor import soon, staged
from tests.support.peers import PATIENCE

A = "x/baseline/0"
WORD = encode_event(e.WarningRaised(message="a"))


@pytest.fixture
async def stage(tmp_path):
    async with staged(tmp_path) as stage:
        yield stage


def append(first_seq=1, number=1, kind="WarningRaised", body=WORD):
    return c.Append(run=A, epoch=1, first_seq=first_seq, events=((kind, 1, body),) * number)


def keys_of(order):
    return KeyPair(order.public_key, order.secret_key)


async def until(condition):
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - the supervisor tells nobody what it has forgotten
            await asyncio.sleep(0.002)


async def exit_of(stage, epoch=1, **how):
    await stage.host.say(c.TrainerExited(run=A, epoch=epoch, **({"signal": "SIGKILL"} | how)))
    while not isinstance(noted := await stage.host.hear(), c.ExitNoted):
        pass
    assert (noted.run, noted.epoch) == (A, epoch)


async def test_late_words_of_an_older_epoch_are_refused_and_counted(stage):
    peer = stage.peer(keys_of((await stage.begin())[A]))
    assert await peer.ask(append()) == c.Acknowledged(seq=1)
    await exit_of(stage)
    for number in range(3):
        assert await peer.ask(append(first_seq=2 + number)) == c.Fenced()
    assert stage.supervisor.gate.refusals["fenced"] == 3
    assert len(stage.stored(A)) == 1
    answer = await stage.peer("client").ask(c.Ping())
    assert answer.detail == "turned away: 3 fenced"


async def test_a_message_between_an_end_and_its_record_is_refused_too(stage):
    """The key is still known, the attempt is not: what an older epoch says must not reach the log either way."""
    peer = stage.peer(keys_of((await stage.begin())[A]))
    assert await peer.ask(append()) == c.Acknowledged(seq=1)
    stage.supervisor._revoke = lambda run, epoch: None
    await exit_of(stage)
    assert await peer.ask(append(first_seq=2)) == c.Fenced()
    assert stage.supervisor.gate.refusals["fenced"] == 1
    assert len(stage.stored(A)) == 1


async def test_nothing_is_kept_of_attempts_that_are_over(stage):
    orders = await stage.begin(on_failure="skip", variants=("v",))
    peers = [stage.peer(keys_of(order)) for order in orders.values()]
    for run, peer in zip(orders, peers, strict=True):
        await peer.ask(c.Append(run=run, epoch=1, first_seq=1, events=(("WarningRaised", 1, WORD),)))
    await exit_of(stage)
    await stage.host.say(c.JoinHost(name="local", pid=2, incarnation="other", cpus=(0, 1), memory_mb=1.0))
    await until(lambda: not stage.supervisor.state.live)
    stage.supervisor.gate.send(orders[A].public_key, c.Acknowledged(seq=1))  # as one that comes late would
    kept = stage.supervisor.gate
    gone = {order.public_key for order in orders.values()}
    await until(lambda: len(stage.supervisor.principals) == 2)
    assert not gone & (kept._unsent.keys() | kept._routes.keys() | kept._questions.keys())


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
async def test_who_cannot_be_understood_is_told_so_and_so_is_the_log(stage, command, problem):
    order = (await stage.begin())[A]
    peer = stage.peer(keys_of(order))
    answer = await peer.ask(command)
    assert isinstance(answer, c.Fenced)
    assert problem in answer.detail
    assert await peer.ask(append()) == c.Fenced(), "there is no way back"
    await until(lambda: stage.stored(A, epoch=0)[-1][0] == "WarningRaised")
    assert problem.encode() in stage.stored(A, epoch=0)[-1][1]
    assert stage.stored(A) == []
    assert stage.supervisor.gate.refusals["malformed"] == 1


async def test_a_batch_as_large_as_allowed_is_taken(stage):
    peer = stage.peer(keys_of((await stage.begin())[A]))
    assert await peer.ask(append(number=MAX_EVENTS)) == c.Acknowledged(seq=MAX_EVENTS)


async def test_a_mailbox_that_is_not_understood_says_why_it_gives_up(stage):
    order = (await stage.begin())[A]
    with stage.trainer(order) as mailbox:
        mailbox.say(e.RunCompleted())
        with pytest.raises(FencedError, match="attempt 1 said something that is not understood: a trainer may not say"):
            await soon(mailbox.flush)


async def test_a_host_that_was_given_up_for_lost_is_asked_who_it_is_when_it_is_heard_again(stage):
    sample = e.ResourcesSampled(cpu_percent=1.0, memory_percent=1.0, memory_mb=1.0, disk_free_mb=1.0)
    order = (await stage.begin(on_failure="retry"))[A]
    await stage.host.say(c.ReportResources(sample=sample))
    stage.supervisor._inbox.put_nowait((HostGone("local", "silent"), ""))
    await until(lambda: not stage.supervisor.state.hosts["local"].online)
    await stage.host.say(c.ReportResources(sample=sample))
    assert await stage.host.hear() == c.Rejoin()
    await stage.host.say(
        c.JoinHost(name="local", pid=1, cpus=(0, 1), memory_mb=1.0, trainers=(c.TrainerKey(run=A, epoch=order.order.epoch),))
    )
    ended = await stage.host.hear()
    assert isinstance(ended, c.EndTrainer), "its attempt was given up with it"
    assert (ended.run, ended.epoch, ended.grace) == (A, 1, 0.0)
    assert stage.supervisor.state.hosts["local"].online


async def test_an_agent_with_the_same_process_id_is_another_if_it_says_so(stage):
    await stage.begin(on_failure="retry")
    stage.supervisor._local_host._incarnation = "ours"
    assert (
        await stage.host.ask(c.JoinHost(name="local", pid=1, incarnation="theirs", cpus=(0,), memory_mb=1.0)) == c.DismissHost()
    )
    await stage.host.say(c.JoinHost(name="local", pid=1, incarnation="ours", cpus=(0, 1), memory_mb=1.0))
    await until(lambda: stage.supervisor.state.hosts["local"].incarnation == "ours")
    assert not stage.supervisor.state.live, "what the agent before it ran is lost"
