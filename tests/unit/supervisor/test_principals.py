"""Who may speak, and who can be told something: a key for each."""

from lander.supervisor.principals import Principals


def test_an_order_goes_to_the_host_it_names_and_to_no_other(tmp_path):
    principals = Principals(tmp_path, "local")
    assert principals.host_key("local") == principals.host.public
    assert principals.host_key("elsewhere") is None


def test_an_attempt_has_a_key_until_it_is_revoked(tmp_path):
    principals = Principals(tmp_path, "local")
    pair = principals.admit("x/baseline/0", 1)
    assert principals.trainer("x/baseline/0", 1) == pair.public
    assert principals.get(pair.public).run == "x/baseline/0"
    assert principals.revoke("x/baseline/0", 1) == pair.public
    assert (principals.trainer("x/baseline/0", 1), principals.get(pair.public)) == (None, None)
    assert principals.host_key("") is None, "a trainer is no host"


def test_a_barred_attempt_is_not_admitted_again_while_it_lasts(tmp_path):
    principals = Principals(tmp_path, "local")
    pair = principals.admit("x/baseline/0", 1)
    assert principals.bar("x/baseline/0", 1) == pair.public
    assert principals.admit("x/baseline/0", 1) == pair
    assert (principals.trainer("x/baseline/0", 1), principals.get(pair.public)) == (None, None)
    assert principals.revoke("x/baseline/0", 1) is None
    assert principals._barred == set()
