"""The table of the coverage grows row by row, so that a measurement that is interrupted goes on."""

import pytest

from tests.field.coverage import Row, append, summary, written

TRAINED = Row("ppo", "CartPole-v1", "CartPole-v1", parses=True, builds=True, trains=True)
REFUSED = Row("her", "FetchPush-v1", "gymnasium_robotics:FetchPush-v1", parses=True, reason="needs mujoco_py")


def interrupted():
    yield TRAINED
    raise KeyboardInterrupt


def test_a_row_is_written_when_it_is_known(tmp_path):
    table = tmp_path / "build" / "coverage.csv"
    with pytest.raises(KeyboardInterrupt):
        append(table, interrupted())
    assert written(table) == [TRAINED]
    append(table, [REFUSED])
    assert written(table) == [TRAINED, REFUSED]


def test_the_summary_counts_stages_and_reasons(tmp_path):
    assert written(tmp_path / "none.csv") == []
    lines = summary([TRAINED, REFUSED]).splitlines()
    assert lines == ["of 2 entries: 2 parse, 1 build, 1 train", "   1  needs mujoco_py"]
