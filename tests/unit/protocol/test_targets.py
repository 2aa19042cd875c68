"""What is suggested for a target that there is not."""

import pytest

from lander.protocol.targets import nearest, targets_of

ARMS = [f"{name}/{arm}" for name in ("small", "small-2", "large") for arm in ("baseline", "variant")]
RUNS = [f"{arm}/{seed}" for arm in ARMS for seed in range(3)]
KNOWN = targets_of(RUNS)


def test_every_level_of_a_run_is_a_target():
    assert targets_of(RUNS[:2]) == ["small", "small/baseline", "small/baseline/0", "small/baseline/1"]


@pytest.mark.parametrize(
    ("target", "near"),
    [
        ("smal", ["small", "small-2"]),
        ("Large", ["large"]),
        ("small/v", ["small/variant"]),
        ("small/varient", ["small/variant"]),
        ("smal/varient", ["small/variant", "small-2/variant", "large/variant"]),
        ("small/variant/7", ["small/variant/0", "small/variant/1", "small/variant/2"]),
        ("small/zzz", ["small/baseline", "small/variant"]),
        ("small/", ["small", "small-2"]),
        ("small/zzz/yyy/xxx", ["small"]),
        ("variant", ["small/variant", "small-2/variant", "large/variant"]),
        ("", []),
        ("nothing", []),
    ],
)
def test_what_is_suggested_is_of_the_same_kind_the_closest_first_and_at_most_three(target, near):
    assert nearest(target, KNOWN) == near


def test_where_only_experiments_can_be_meant_the_one_that_it_is_a_part_of_is_suggested():
    assert nearest("small-2/variant/0", ["small", "small-2", "large"]) == ["small-2"]
