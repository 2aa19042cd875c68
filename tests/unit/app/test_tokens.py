"""Which address a token's command names, by examples."""

import pytest

from lander.app import tokens
from lander.protocol import events as e
from lander.protocol.errors import UsageError
from lander.store.log.event_store import batch_of
from tests.support.written_homes import write_log


@pytest.mark.parametrize(
    ("listen", "head"),
    [("0.0.0.0:7411", "10.0.0.5:7411"), ("10.0.0.7:7411", "10.0.0.7:7411"), ("head.lab:7411", "head.lab:7411")],
)
def test_the_command_of_a_token_names_an_address_that_others_can_dial(listen, head, monkeypatch):
    monkeypatch.setattr(tokens, "own_address", lambda: "10.0.0.5")
    assert tokens.dialled(listen) == head


@pytest.mark.parametrize(("head", "only"), [("127.0.0.1:7411", True), ("localhost:7411", True), ("10.0.0.5:7411", False)])
def test_a_head_on_the_loopback_interface_is_dialled_by_this_machine_alone(head, only):
    assert tokens.Issued(None, head).only_here is only


def test_who_revokes_a_token_by_its_name_is_told_the_ids(tmp_path):
    def issued(name, operator="me@here"):
        return e.TokenIssued(name=name, uses=1, expires_at=0, operator=operator)

    made = {"a" * 16: issued("gpu3"), "b" * 16: issued("", e.launcher_stream("lab")), "c" * 16: issued("")}
    write_log(tmp_path, *(batch_of(e.token_stream(token), event) for token, event in made.items()))
    with pytest.raises(UsageError) as refused:
        tokens.revoke(tmp_path, "gpu3")
    assert str(refused.value).endswith(f"; the last ones made here: {'a' * 16} (gpu3), {'c' * 16} (for any name)")
