"""Where commands are tried: in a directory of the test's own."""

import pytest

from tests.support.live_home import LiveHome


@pytest.fixture
def nowhere_else(monkeypatch, tmp_path):
    """No test writes into the directory it was started in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LANDER_HOME", raising=False)


@pytest.fixture
def home(tmp_path):
    """A home that does not exist yet; whatever the test started there must be gone, or is brought down."""
    live_home = LiveHome(tmp_path / "home")
    yield live_home.home
    live_home.close()
