"""What two releases have in common."""

import pytest

from lander.protocol import versions


@pytest.mark.parametrize(
    ("oldest", "newest", "common"),
    [(1, 1, None), (1, 2, 2), (2, 2, 2), (1, 3, 3), (2, 9, 3), (3, 4, 3), (4, 5, None), (3, 2, None)],
)
def test_the_newest_common_version_is_spoken(monkeypatch, oldest, newest, common):
    monkeypatch.setattr(versions, "OLDEST", 2)
    monkeypatch.setattr(versions, "NEWEST", 3)
    assert versions.common(oldest, newest) == common


def test_a_refusal_names_both_releases_and_what_to_type():
    said = versions.refusal("9.0.0", 7, 8)
    assert "lander-ctl 9.0.0 and speaks protocol 7 to 8" in said
    assert f"pip install lander-ctl=={versions.release()}" in said
