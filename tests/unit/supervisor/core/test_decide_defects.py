"""What contradicts itself in the core is a defect, not a bad request. It ends the supervisor, unless a message met it."""

import asyncio
import contextlib
import signal

import pytest

from lander.experiments.execution import execution_with
from lander.protocol import commands as c
from lander.protocol.errors import NotFoundError, StoreError, UsageError
from lander.protocol.lifecycle import ImpossibleTransitionError
from lander.store.writers.memory_store import MemoryEventStore
from lander.supervisor import supervisor as shell
from lander.supervisor.core import decide as core
from lander.supervisor.core.decide import Decision, Tick, decide
from lander.supervisor.core.state import State
from lander.supervisor.core.timers import Timers
from tests.support.histories import HOST, experiment
from tests.support.peers import TIMEOUT_SECONDS

RUN = "x/baseline/0"
DEFECTS = [ImpossibleTransitionError, StoreError, KeyError]


def raising(error):
    def handler(*_, **__):
        raise error("why")

    return handler


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_is_raised(monkeypatch, defect):
    monkeypatch.setitem(core._HANDLERS, Tick, raising(defect))
    with pytest.raises(defect):
        decide(State(), Tick(), 1.0, Timers())


@pytest.mark.parametrize("mistake", [UsageError, NotFoundError])
def test_a_mistake_is_answered(monkeypatch, mistake):
    monkeypatch.setitem(core._HANDLERS, Tick, raising(mistake))
    assert decide(State(), Tick(), 1.0, Timers()).answer == c.Refused(error=mistake.code, detail="why")


@pytest.fixture
async def supervisor(tmp_path, monkeypatch):
    """One that hears nothing but what is put into its inbox; what it says is in `said`."""
    supervisor = shell.Supervisor(tmp_path, MemoryEventStore())
    supervisor.said = asyncio.Queue()
    supervisor._store.listen(supervisor._committed)
    monkeypatch.setattr(supervisor.gate, "send", lambda key, command: supervisor.said.put_nowait(command))
    monkeypatch.setattr(supervisor, "_receive", asyncio.Event().wait)
    yield supervisor
    supervisor.gate._context.term()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().remove_signal_handler(number)


@pytest.mark.parametrize("defect", DEFECTS)
async def test_a_defect_that_no_peer_met_ends_the_supervisor(supervisor, monkeypatch, defect):
    monkeypatch.setattr(shell, "decide", raising(defect))
    supervisor._inbox.put_nowait((Tick(), ""))
    with pytest.raises(defect):
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await supervisor.run()


@pytest.mark.parametrize("defective", [True, False])
async def test_an_exit_that_has_ended_nothing_is_not_noted(supervisor, monkeypatch, defective):
    """It is said again then, and not forgotten with a dead run shown as running for good."""

    def unrepeatable(state, message, now, timers, leaving):
        exited = isinstance(message, c.TrainerExited)
        return Decision(state, now, timers) if exited else decide(state, message, now, timers, leaving)

    if defective:
        monkeypatch.setattr(shell, "decide", unrepeatable)
    for message in (
        c.SubmitExperiment(experiment=experiment("x"), execution=execution_with(), manifest={}),
        c.JoinHost(name=HOST, pid=1, cpus=(0,), memory_mb=1.0),
        c.TrainerExited(run=RUN, epoch=1, signal="SIGKILL"),
        c.StopTarget(target="x", operator="me@here"),
    ):
        supervisor._inbox.put_nowait((message, ""))
    deciding = asyncio.create_task(supervisor._decide())
    said = []
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while said.count("Accepted") < 2:
            said.append((await supervisor.said.get()).kind)
    deciding.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await deciding
    assert ("ExitNoted" in said) == (not defective)
    assert (supervisor.state.attempt(RUN, 1) is None) == (not defective)
