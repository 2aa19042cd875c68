"""Tokens and the hosts they let in, by examples: who is let in, who is not, and what he is told."""

import pytest

from lander.protocol import commands as c
from lander.protocol import events as e
from lander.supervisor.core.messages import Enrolment
from tests.support.decision_driver import DecisionDriver
from tests.support.peers import new_keys

TOKEN = "0123456789abcdef"
KEY, OTHER = new_keys().public, new_keys().public


class TokenDriver(DecisionDriver):
    """A supervisor whose time is `now`."""

    def issue(self, token=TOKEN, **fields):
        return self.tell(c.IssueToken(**({"token": token, "name": "gpu", "seconds": 60.0, "operator": "me"} | fields)))

    def enrol(self, key=KEY, name="machine", token=TOKEN):
        return self.tell(Enrolment(token, key, name)).answer


@pytest.fixture
def driver():
    return TokenDriver()


def test_a_token_lets_in_once_and_the_same_key_is_answered_again(driver):
    assert driver.issue().answer == c.Accepted(subject=TOKEN)
    assert driver.enrol() == c.Accepted(subject="gpu")
    assert driver.state.host_keys == {"gpu": KEY}
    assert driver.enrol() == c.Accepted(subject="gpu")
    assert driver.last.events == []
    assert driver.enrol(OTHER).detail == f"token {TOKEN}: was used already; it let in gpu; lander-ctl token makes another"


def test_a_token_lets_in_as_many_as_it_is_for_each_under_a_name_of_its_own(driver):
    driver.issue(uses=3)
    keys = [new_keys().public for _ in range(4)]
    assert [driver.enrol(key).subject for key in keys[:3]] == ["gpu", "gpu-2", "gpu-3"]
    assert isinstance(driver.enrol(keys[3]), c.Refused)


def test_without_a_name_a_host_is_called_as_it_says_unless_that_is_taken(driver):
    driver.issue(name="", uses=3)
    assert [driver.enrol(key, name).subject for key, name in ((KEY, "a"), (OTHER, "a"))] == ["a", "a-2"]
    assert driver.enrol(new_keys().public, "local").subject == "local-2"


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (lambda driver: None, "not known here any more"),
        (lambda driver: (driver.issue(), driver.wait(61)), "has expired"),
        (lambda driver: (driver.issue(), driver.tell(c.RevokeToken(token=TOKEN, operator="me"))), "was revoked"),
        (lambda driver: (driver.issue(uses=2), driver.enrol(token=TOKEN), driver.issue("f" * 16, name="b")), ""),
    ],
    ids=["unknown", "expired", "revoked", "good"],
)
def test_a_token_that_does_not_let_in_is_refused_by_name(driver, prepare, words):
    driver.wait = lambda seconds: setattr(driver, "now", driver.now + seconds)
    prepare(driver)
    answer = driver.enrol(OTHER)
    if words:
        assert isinstance(answer, c.Refused)
        assert words in answer.detail
        assert TOKEN in answer.detail
        assert OTHER not in driver.state.host_keys.values()
    else:
        assert answer == c.Accepted(subject="gpu-2")


@pytest.mark.parametrize(
    ("name", "words"), [("gpu", "a host of this name is enrolled"), ("local", "the supervisor's own machine")]
)
def test_a_name_that_is_taken_is_refused_before_there_is_a_token(driver, name, words):
    driver.issue()
    driver.enrol()
    assert words in driver.issue("f" * 16, name=name).answer.detail
    assert "f" * 16 not in driver.state.tokens


def test_a_name_that_was_taken_meanwhile_is_refused(driver):
    driver.issue()
    driver.issue("f" * 16)
    driver.enrol()
    assert "a host of this name is enrolled" in driver.enrol(OTHER, token="f" * 16).detail


def test_a_host_with_another_token_keeps_its_name_until_it_is_revoked(driver):
    driver.issue()
    driver.issue("f" * 16, name="b")
    driver.enrol()
    assert driver.enrol(KEY, token="f" * 16) == c.Accepted(subject="gpu")
    assert driver.last.events == []
    driver.tell(c.RevokeHost(host="gpu", operator="me"))
    assert isinstance(driver.enrol(KEY), c.Refused)
    assert driver.enrol(KEY, token="f" * 16) == c.Accepted(subject="b")


def test_what_is_not_there_cannot_be_revoked(driver):
    assert driver.tell(c.RevokeToken(token=TOKEN, operator="me")).answer.error == "not-found"
    driver.issue()
    driver.enrol()
    assert driver.tell(c.RevokeToken(token=TOKEN, operator="me")).answer.detail == "it let in gpu"


def test_a_token_of_which_an_event_cannot_be_read_lets_nobody_in(driver):
    driver.issue()
    unreadable = e.Recorded(0, e.token_stream(TOKEN), e.SUPERVISOR, 2, 0, e.Unreadable("TokenRevoked", "unreadable"))
    driver.fold(unreadable)
    assert isinstance(driver.enrol(), c.Refused)


def test_a_host_of_which_an_event_cannot_be_read_has_no_key_any_more(driver):
    driver.issue()
    driver.enrol()
    driver.fold(e.Recorded(0, e.host_stream("gpu"), e.SUPERVISOR, 2, 0, e.Unreadable("HostRevoked", "unreadable")))
    assert driver.state.host_keys == {}


def test_a_host_that_was_revoked_is_not_let_in_by_the_same_token_but_by_another(driver):
    """A service that restarts its worker would undo the revocation."""
    driver.issue(uses=3)
    assert driver.enrol() == c.Accepted(subject="gpu")
    driver.tell(c.RevokeHost(host="gpu", operator="me"))
    assert driver.enrol().detail == f"token {TOKEN}: the host with this key was revoked; lander-ctl token makes another"
    assert driver.enrol(OTHER) == c.Accepted(subject="gpu")
    another = "f" * 16
    driver.issue(another, name="back")
    assert driver.enrol(token=another) == c.Accepted(subject="back")
