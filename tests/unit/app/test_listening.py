"""What `up` asks of a supervisor that runs already: what it cannot change there, it says."""

import pytest

from lander.app import service
from lander.home.address import Address
from lander.protocol.commands import Accepted
from lander.protocol.errors import ConflictError

RUNS = Address("tcp://127.0.0.1:1", 1, "k", "0.0.0.0:7411", "head:7411", None, "")


@pytest.fixture
def up(tmp_path, monkeypatch):
    """`up(…)` where a supervisor runs already."""
    monkeypatch.setattr(service, "_ask_starting", lambda home, command, listening: (Accepted(detail="here"), False))
    monkeypatch.setattr(service, "running", lambda home: RUNS)
    return lambda *words: service.stay(tmp_path, service.Listening(*words))


@pytest.mark.parametrize("words", [(), ("0.0.0.0:7411",), ("0.0.0.0:7411", "head:7411")])
def test_what_it_does_already_is_no_conflict(up, words):
    assert up(*words) == ("here", False)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("0.0.0.0:1",), "listens on 0.0.0.0:7411; lander-ctl down first, then up --listen again"),
        (("0.0.0.0:7411", "10.0.0.1:7411"), "workers dial head:7411; lander-ctl down first, then up --advertise again"),
        (("0.0.0.0:7411", "", "", "s3://a/b"), "uses no object store; lander-ctl down first, then up --store again"),
    ],
)
def test_what_it_cannot_change_is_said(up, words, said):
    with pytest.raises(ConflictError, match=said):
        up(*words)
