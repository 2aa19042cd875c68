"""Files of the zoo are read as the zoo reads them, and never trusted."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lander.experiments.zoo.yaml_entries import MAX_NODES, parse_entries

FILE = """
base: &base   # anchors and merges are what the zoo's own files are made of
  n_timesteps: !!float 1e6
  policy: 'MlpPolicy'
  normalize: yes
  gamma: .99
Ant-v4:
  <<: *base
  gamma: 0.98
Both-v1:
  <<: [*base, {gamma: 1, tau: 2}]
  train_freq: [1, "episode"]
"""


def as_data(text):
    return {name: {key: each.value for key, each in entry.items()} for name, entry in parse_entries(text).items()}


def test_a_file_is_read_as_the_zoo_reads_it():
    assert as_data(FILE) == yaml.safe_load(FILE)


def test_each_setting_has_the_line_on_which_it_stands_merged_ones_included():
    lines = {key: each.line for key, each in parse_entries(FILE)["Ant-v4"].items()}
    assert lines == {"n_timesteps": 3, "policy": 4, "normalize": 5, "gamma": 9}


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False), st.text())
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=8
)


@given(st.dictionaries(st.text(), st.dictionaries(st.text(), VALUES, max_size=4), max_size=3))
def test_whatever_yaml_can_say_is_read_as_pyyaml_reads_it(data):
    text = yaml.safe_dump(data)
    assert as_data(text) == yaml.safe_load(text)


@given(st.text() | st.lists(st.sampled_from("a: &*<[]{}!-\n\"'0#|>"), max_size=40).map("".join))
def test_any_text_is_entries_or_a_refusal(text):
    try:
        parse_entries(text)
    except (ValueError, RecursionError) as refusal:
        assert "\n" not in str(refusal)  # noqa: PT017 - either outcome is allowed


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("a: 1", "line 1: found no mapping"),
        ("a:\n  b: 1\n  b: 2", "line 3: b: found twice"),
        ("a:\n  1: 2", "line 2: found the key 1"),
        ("a:\n  b: !!python/object/apply:os.system [echo]", "line 2: found"),
        ("a:\n  b: 2026-11-29", "line 2: found"),
        ("a:\n  b: !!int x", "line 2: found 'x', which is no int"),
        ("a:\n  b: {c: *d}", "line 2: not valid YAML"),
        ("a: {}\n---\nb: {}", "not valid YAML"),
        ("a: &a\n  b: *a", "nested too deeply"),
        ("a:\n  b: " + "[" * 30 + "]" * 30, "nested too deeply"),
    ],
)
def test_what_no_file_of_the_zoo_holds_is_refused_with_its_line(text, words):
    with pytest.raises(ValueError, match=r".*") as refused:
        parse_entries(text)
    assert words in str(refused.value)


@pytest.mark.parametrize("merging", [False, True])
def test_aliases_that_stand_for_millions_of_values_are_refused(merging):
    lines = ["l0: &l0 {k: [1, 2, 3]}"]
    for level in range(1, 18):
        inner = f"{{<<: [*l{level - 1}, *l{level - 1}]}}" if merging else f"{{a: *l{level - 1}, b: *l{level - 1}}}"
        lines.append(f"l{level}: &l{level} {inner}")
    with pytest.raises(ValueError, match=f"more than {MAX_NODES:,} values"):
        parse_entries("\n".join(lines))
