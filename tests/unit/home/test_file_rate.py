"""The cap of the rate at which files travel, as people write it."""

import pytest

from lander.home.file_rate import file_rate
from lander.protocol.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("", None),
        ('file_rate = "500 kB/s"', 500_000),
        ('file_rate = "20MB/s"', 20_000_000),
        ('file_rate = "1.5 GB/s"', 1_500_000_000),
    ],
)
def test_a_rate_has_a_unit(tmp_path, text, rate):
    assert file_rate(tmp_path) is None
    (tmp_path / "lander.toml").write_text(text)
    assert file_rate(tmp_path) == rate


@pytest.mark.parametrize("value", ["20", '"20"', '"0 MB/s"', '"20 Mbit/s"', '"-1 MB/s"', '"1e3 MB/s"', '"20 mb/s"', '""'])
def test_what_is_no_rate_is_refused_with_the_file_and_the_key(tmp_path, value):
    (tmp_path / "lander.toml").write_text(f"file_rate = {value}")
    with pytest.raises(ConfigurationError, match=f"^{tmp_path}/lander.toml: file_rate: .* such as 500 kB/s, 20 MB/s"):
        file_rate(tmp_path)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "lander.toml").write_text("file_rate =")
    with pytest.raises(ConfigurationError, match=r"lander.toml: cannot be read"):
        file_rate(tmp_path)
