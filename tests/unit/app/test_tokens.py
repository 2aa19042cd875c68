"""Which address a token's command names, by examples."""

import pytest

from lander.app import tokens


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
