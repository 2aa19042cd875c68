"""No message may end the supervisor, or leave behind a log that cannot be read: whoever sends it, and whatever is in it."""

import msgpack
import pytest

from lander.experiments.execution import execution_with
from lander.home.keys import KeyPair
from lander.protocol import commands as c
from lander.protocol import events as e
from lander.protocol.wire import MAX_FRAME, encode
from lander.supervisor.core.decision import Decision
from lander.supervisor.core.timers import Timers
from tests.support.histories import experiment
from tests.support.in_process_supervisor import in_process_supervisor
from tests.support.peers import until

A = "x/baseline/0"
ARMS = 17
KWARGS_BYTES = 61_000


@pytest.fixture
async def in_process(tmp_path):
    async with in_process_supervisor(tmp_path) as in_process:
        yield in_process


async def serves(in_process):
    """The supervisor answers a client that connects now, and another supervisor can open the same log."""
    assert isinstance(await in_process.peer("client").ask(c.Ping()), c.Accepted)
    await in_process.crash()
    await in_process.open()
    assert isinstance(await in_process.peer("client").ask(c.Ping()), c.Accepted)


def large_submission(frame_bytes):
    """A submission of many arms with much data each, whose frame has exactly this size."""

    def of(hypothesis):
        kwargs = {"text": "x" * KWARGS_BYTES}
        wanted = experiment(
            hypothesis=hypothesis, environment_kwargs=kwargs, variants=[f"v{number}" for number in range(1, ARMS)]
        )
        return c.SubmitExperiment(experiment=wanted, execution=execution_with(), manifest={})

    short = of("?" * 1000)
    size = len(msgpack.packb([short.kind, short.model_dump(exclude_defaults=True)]))
    return of("?" * (1000 + frame_bytes - size))


async def test_a_submission_that_would_be_too_large_an_event_is_refused(in_process):
    command = large_submission(MAX_FRAME - 1)
    assert len(encode(command)) == MAX_FRAME - 1
    answer = await in_process.peer("client").ask(command)
    assert isinstance(answer, c.Refused)
    assert answer.error == "configuration"
    assert "use fewer arms" in answer.detail
    assert in_process.stored("x", epoch=0) == []
    await serves(in_process)


async def test_an_event_that_cannot_be_read_fences_its_trainer_and_nothing_else(in_process):
    """The name of an unknown field comes back in the reason, which is recorded and answered, and must fit there."""
    order = (await in_process.begin())[A]
    trainer = in_process.peer(KeyPair(order.public_key, order.secret_key))
    body = msgpack.packb({"message": "a", "K" * (MAX_FRAME - 200): 1})
    answer = await trainer.ask(c.Append(run=A, epoch=1, first_seq=1, events=(("WarningRaised", 1, body),)))
    assert isinstance(answer, c.Fenced)
    assert len(answer.detail) < 2000
    assert in_process.stored(A) == []
    await serves(in_process)


async def test_a_frame_whose_refusal_would_be_too_large_ends_nothing(in_process):
    peer = in_process.peer("client")
    await peer.say_frames(msgpack.packb(["Ping", {"K" * 1_048_546: 1}]))
    answer = await peer.hear()
    assert isinstance(answer, c.Refused)
    assert len(answer.detail) < 2000
    await serves(in_process)


async def test_what_one_message_meets_does_not_end_the_service_of_the_others(in_process, monkeypatch, caplog):
    """Whatever defect it is, and wherever: where a message is dispatched, decided on, or its consequences are carried out."""

    def defect(*args, **kwargs):
        raise RuntimeError("a defect " + "x" * MAX_FRAME)

    gate = in_process.supervisor.gate
    peer = in_process.peer("client")
    for place, command in {
        "leaving.Leaving.asked_to": c.ShutDown(only_if_idle=True),
        "supervisor.decide": c.StopTarget(target="x", operator="me"),
        "gate.Gate._decode": c.Ping(),
    }.items():
        with monkeypatch.context() as patch:
            patch.setattr(f"lander.supervisor.{place}", defect)
            await peer.say(command)
            if place == "gate.Gate._decode":
                await until(lambda: gate.refusals["malformed"])
            else:
                answer = await peer.hear()
                assert answer.error == "error"
                assert answer.detail.startswith("RuntimeError: a defect")
    await serves(in_process)


async def test_what_would_be_too_large_an_event_is_refused_in_plain_words(in_process, monkeypatch):
    too_large = Decision(in_process.supervisor.state, 0.0, Timers(), events=[("x", e.RunFailed(cause="x" * MAX_FRAME))])
    with monkeypatch.context() as patch:
        patch.setattr("lander.supervisor.supervisor.decide", lambda *args, **kwargs: too_large)
        answer = await in_process.peer("client").ask(c.StopTarget(target="x", operator="me"))
    assert answer.error == "usage"
    assert answer.detail.startswith("cannot be recorded: ")
    assert in_process.stored("x", epoch=0) == []
    await serves(in_process)
