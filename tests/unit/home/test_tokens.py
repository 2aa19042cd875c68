"""A token as one line of text: whole, or refused by name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lander.home import keys, tokens
from lander.protocol.errors import UsageError
from tests.support.peers import new_keys

SUPERVISOR = new_keys()
ID = "0123456789abcdef"


def test_a_token_has_the_supervisors_public_key_and_a_secret_of_its_own():
    token = tokens.parse(tokens.issued(SUPERVISOR, ID).text())
    assert token == tokens.issued(SUPERVISOR, ID)
    assert (token.id, token.server_key) == (ID, SUPERVISOR.public)
    assert token.keys == keys.of_token(SUPERVISOR, ID)
    assert SUPERVISOR.secret not in (token.secret, token.keys.public)


def test_tokens_of_other_ids_and_other_supervisors_have_other_secrets():
    pairs = [keys.of_token(SUPERVISOR, ID), keys.of_token(SUPERVISOR, "f" * 16), keys.of_token(new_keys(), ID)]
    assert len({*pairs, keys.of_attempt(SUPERVISOR, "token/a/0", 1)}) == 4


@pytest.mark.parametrize("text", ["", "x", "lander2-abc", "ssh-rsa AAAA", "lander1-" + "A" * 5000])
def test_what_is_no_token_is_said_to_be_none(text):
    with pytest.raises(UsageError, match="this is no token"):
        tokens.parse(text)


@given(st.data())
def test_a_token_that_was_cut_short_or_changed_is_said_not_to_be_whole(data):
    text = tokens.issued(SUPERVISOR, ID).text()
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    place = data.draw(st.integers(len(tokens.PREFIX), len(text) - 2))  # the last one has bits to spare
    other = data.draw(st.sampled_from(letters.replace(text[place], "")))
    for changed in (text[:place], text[:place] + other + text[place + 1 :]):
        with pytest.raises(UsageError, match="not whole"):
            tokens.parse(changed)
