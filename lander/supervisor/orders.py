"""Effects of decisions, carried out: orders to a host and to the trainer of an attempt, calls to engines, erasures."""

from collections.abc import Callable, Iterable
from functools import partial

from lander.protocol import commands as c
from lander.supervisor.containment import contained
from lander.supervisor.core.effects import (
    AskEngine,
    CancelWorker,
    Effect,
    EndAttempt,
    EngineEffect,
    EraseExperiment,
    LaunchWorkers,
    Order,
    RequestCheckpoint,
    StartAttempt,
)
from lander.supervisor.erasing import Erasing
from lander.supervisor.gate import Gate
from lander.supervisor.principals import Principals


def carry_out(
    effects: Iterable[Effect],
    gate: Gate,
    principals: Principals,
    erasing: Erasing,
    call: Callable[[EngineEffect], None],
    key: str,
) -> None:
    """Carry out the effects of a decision; one that fails does not keep the others from it.

    `call` makes a call to an engine. `key` is that of whoever asked, who is told when an experiment is erased.
    """
    for effect in effects:
        if isinstance(effect, EraseExperiment):
            erasing.add(effect.experiment, partial(gate.send, key))
            continue
        if isinstance(effect, LaunchWorkers | AskEngine | CancelWorker):
            call(effect)
            continue
        with contained(gate, effect.run, effect):
            _order(effect, gate, principals)


def _order(effect: Order, gate: Gate, principals: Principals) -> None:
    """Send what an order says. An order to a host or trainer that is not known is dropped: it will be decided again."""

    def to_host(name: str, command: c.Command) -> None:
        _send(gate, principals.host_key(name), command)

    def to_trainer(command: c.Command) -> None:
        _send(gate, principals.trainer(effect.run, effect.epoch), command)

    match effect:
        case StartAttempt():
            pair = principals.admit(effect.run, effect.epoch)
            to_host(effect.host, c.StartTrainer(order=effect.order, public_key=pair.public, secret_key=pair.secret))
        case EndAttempt(run=run, epoch=epoch, grace=grace, traceback=traceback):
            to_trainer(c.StopTraining())
            to_host(effect.host, c.EndTrainer(run=run, epoch=epoch, grace=grace, traceback=traceback))
        case RequestCheckpoint():
            to_trainer(c.TakeCheckpoint())


def _send(gate: Gate, key: str | None, command: c.Command) -> None:
    if key is not None:
        gate.send(key, command)
