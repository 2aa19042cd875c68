"""The advice on how to try again what came to nothing."""

from lander.protocol.retrying import how_to_retry


def test_what_an_environment_ended_is_begun_anew_on_new_code_also_beside_other_causes():
    assert how_to_retry("x/fast/0", ["environment_error"], "it") == "lander-ctl retry x/fast/0 --new-code begins it anew"
    assert how_to_retry("x", ["crashed", "environment_error"]) == "lander-ctl retry x --new-code begins them anew"
    assert how_to_retry("x", ["crashed", None]) == "lander-ctl retry x tries them again"
    assert how_to_retry("x", ["environment_error"], captured=False) == "lander-ctl retry x tries them again"
