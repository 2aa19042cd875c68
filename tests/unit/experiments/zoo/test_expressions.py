"""Python in the zoo's files is parsed, and never evaluated."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lander.experiments.zoo.expressions import parse_expression

LITERALS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
DATA = st.recursive(
    LITERALS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=8
)


@given(DATA)
def test_what_python_writes_is_read_back(data):
    assert parse_expression(repr(data)) == data


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("dict(net_arch=[64, 64])", {"net_arch": [64, 64]}),
        ("dict( a='future', b=4, )", {"a": "future", "b": 4}),
        ("dict(log_std_init=-2, net_arch=dict(pi=[8], vf=[]))", {"log_std_init": -2, "net_arch": {"pi": [8], "vf": []}}),
        ("{'norm_obs': True, 'norm_reward': False}", {"norm_obs": True, "norm_reward": False}),
        ("dict(activation_fn=nn.ReLU)", {"activation_fn": "torch.nn:ReLU"}),
        ("dict(optimizer_class=th.optim.RMSprop)", {"optimizer_class": "torch.optim:RMSprop"}),
        ("RMSpropTFLike", "stable_baselines3.common.sb2_compat.rmsprop_tf_like:RMSpropTFLike"),
        ("HerReplayBuffer", "HerReplayBuffer"),
        ("(1, 'episode')", [1, "episode"]),
    ],
)
def test_what_the_zoo_writes_becomes_plain_data(text, data):
    assert parse_expression(text) == data


def test_an_escape_that_is_none_is_read_as_python_does_and_warned_of_by_nobody():
    assert parse_expression(r"'\d'") == r"\d"


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('echo')",
        "(1).real",
        "dict(a=1, a=2)",
        "dict(a=open('/etc/passwd'))",
        "dict(**x)",
        "[x for x in y]",
        "nn.ReLU()",
        "dict(a=Unknown)",
        "lambda: 1",
        "1 if True else 2",
        "2 ** 64",
        "{1: 2}",
        "{**{}}",
        "b'bytes'",
        "f'{1}'",
        "",
        "dict(",
        "\0",
        "(" * 500 + ")" * 500,
        "[" * 90 + "]" * 90,
        "[" + "1, " * 3000 + "]",
    ],
)
def test_anything_else_is_refused(text):
    with pytest.raises(ValueError, match=r"found|nested|must be"):
        parse_expression(text)


@given(st.text())
def test_any_text_is_data_or_a_refusal(text):
    try:
        parse_expression(text)
    except ValueError as refusal:
        assert len(str(refusal)) < 300  # noqa: PT017 - either outcome is allowed
