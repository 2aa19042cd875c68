"""Fixtures with their invariants: whoever gets a supervisor leaves no process behind and an unbroken log."""

import os
import signal
from collections.abc import Iterator

import pytest

from lander.cli import progress
from lander.home.shared_cores import SHARE
from lander.store.log.reader import Reader
from tests.support.live_home import LiveHome, started

progress.BRIEF_SECONDS = 3600.0  # what is said of slow work must not depend on how busy this machine is
os.environ[SHARE] = "1"  # workers of tests that run at once stand for machines of their own
for number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(number) is signal.SIG_IGN:  # a background job ignores them, and so would every program of a test
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@pytest.fixture
def live_home(tmp_path) -> Iterator[LiveHome]:
    """A supervisor for one test."""
    with started(tmp_path / "home") as live_home:
        yield live_home


@pytest.fixture(scope="session")
def shared_home(tmp_path_factory) -> Iterator[LiveHome]:
    """A supervisor for every test that only submits experiments, under names of its own, and kills nothing but trainers.

    Each pytest worker has one, whose zygote imports torch once.
    """
    with started(tmp_path_factory.mktemp("shared") / "home") as live_home:
        yield live_home


@pytest.fixture(scope="session")
def restarted_home(tmp_path_factory) -> Iterator[LiveHome]:
    """One whose supervisor, host agent and zygote may be killed by tests that leave others running in their place."""
    with started(tmp_path_factory.mktemp("restarted") / "home") as live_home:
        yield live_home


@pytest.fixture(autouse=True)
def _nothing_goes_on_in_a_shared_home(request) -> Iterator[None]:
    """A test that failed half-way must not take the slots of those after it."""
    yield
    for name in {"shared_home", "restarted_home"} & set(request.fixturenames):
        live_home = request.getfixturevalue(name)
        with Reader(live_home.home) as reader:
            unfinished = {run.split("/")[0] for run in reader.unfinished()}
        if unfinished:
            live_home.start()  # should the test have failed while there was no supervisor
        for experiment in unfinished:
            live_home.stop(experiment)
            live_home.wait_ended(experiment)
