"""Following an experiment: what is said where the supervisor ends before it, and what is left alone then."""

import pytest

from lander.app import client, conduct, service
from lander.app.interruption import Interruption
from lander.home import address
from lander.protocol import events as e
from lander.protocol.commands import Accepted
from lander.store.log.event_store import batch_of
from tests.support.written_homes import OTHER, RUN, queued_experiment, write_log


def followed(home):
    """What the following of `x` ends with."""
    with pytest.raises(conduct.UnsupervisedError) as ended:
        conduct._follow(home, "x", lambda standing: None, Interruption(), conduct._Output(), joined=False)
    return str(ended.value)


def test_a_supervisor_that_was_ended_on_purpose_is_not_called_gone(tmp_path):
    queued_experiment(tmp_path)
    assert followed(tmp_path) == (
        "x: the supervisor was ended by lander-ctl down or a signal, and 2 of 2 runs with it;"
        " lander-ctl run x goes on from the last checkpoints"
    )
    write_log(tmp_path, batch_of(RUN, e.RunPaused(reason="operator")), batch_of(OTHER, e.RunStopped(reason="operator")))
    assert followed(tmp_path) == "x: 1 of 2 runs is paused, and the supervisor has ended; lander-ctl run x goes on"


def test_a_supervisor_that_crashed_is_gone(tmp_path):
    queued_experiment(tmp_path)
    address.write(tmp_path, address.Address("tcp://127.0.0.1:1", 1, ""))
    assert followed(tmp_path) == (
        f"x: the supervisor is gone, see {tmp_path / 'supervisor.log'};"
        " lander-ctl up carries on, lander-ctl down ends what is left"
    )


def test_the_supervisor_that_comes_after_it_is_left_alone(tmp_path, monkeypatch):
    """Whoever started that one cares for the experiment now."""
    wanted = type("Wanted", (), {"experiment": queued_experiment(tmp_path)})
    asked = []
    monkeypatch.setattr(conduct, "submit", lambda *what: (Accepted(subject="x"), True))
    monkeypatch.setattr(client, "stop", lambda *what: asked.append("stop"))
    monkeypatch.setattr(service, "let_go", lambda home: asked.append("let go"))
    with pytest.raises(conduct.UnsupervisedError):
        conduct.conduct(wanted, tmp_path, lambda standing: None)
    assert asked == []
