"""Fixtures with their invariants: whoever gets a supervisor leaves no process behind and an unbroken log."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from lander.store.log import chain
from lander.store.log.reader import DATABASE, open_reader
from tests.lab import Lab


def _lab(home) -> Iterator[Lab]:
    lab = Lab(home)
    lab.start()
    try:
        yield lab
    finally:
        lab.close()
    with closing(open_reader(home / DATABASE)) as connection:
        chain.verify(connection)


@pytest.fixture
def lab(tmp_path) -> Iterator[Lab]:
    """A supervisor for one test."""
    yield from _lab(tmp_path / "home")


@pytest.fixture(scope="module")
def shared_lab(tmp_path_factory) -> Iterator[Lab]:
    """A supervisor for the tests of a module, whose zygote is warmed once."""
    yield from _lab(tmp_path_factory.mktemp("shared") / "home")
