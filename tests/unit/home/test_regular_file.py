"""Which errors of a file are final: it is not there, or not what it should be."""

import errno
import os

import pytest

from lander.home.regular_file import is_not_there, open_regular


def _opened(path):
    with pytest.raises(OSError) as raised:  # noqa: PT011 - which one is what is tested
        open_regular(path)
    return raised.value


def test_a_file_that_is_not_there_or_no_regular_one_will_not_be(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "fifo")
    for name in ("missing", "file/below", "link", "fifo", ".", "n" * 300):
        assert is_not_there(_opened(tmp_path / name)), name


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.EIO, errno.ENOMEM, errno.ENOSPC, errno.ESTALE])
def test_any_other_error_may_pass(number):
    assert not is_not_there(OSError(number, os.strerror(number)))
