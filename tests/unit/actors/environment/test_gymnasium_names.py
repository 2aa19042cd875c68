"""The names of Gymnasium's environments are read from its source, and are those that it registers."""

import subprocess
import sys
from importlib import metadata

from lander.actors.environment import gymnasium_names
from lander.actors.environment.gymnasium_names import is_surely_unknown, known_names, unknown_name

PRINT = "import gymnasium; print(*gymnasium.registry, sep='\\n')"


def test_the_names_are_those_that_are_registered(monkeypatch):
    registered = subprocess.run([sys.executable, "-P", "-c", PRINT], capture_output=True, text=True, check=True).stdout.split()
    plugins = metadata.entry_points(group="gymnasium.envs")
    assert set(registered) <= known_names() or plugins
    assert {name for name in known_names() if "-v" in name} <= set(registered)
    assert "CartPole" in known_names(), "the latest version of it"
    monkeypatch.delitem(sys.modules, "gymnasium")
    monkeypatch.setattr(gymnasium_names.metadata, "entry_points", lambda group: ())
    assert not any(map(is_surely_unknown, (*registered, "CartPole", "module:CartPol-v1")))
    assert is_surely_unknown("CartPol-v1")


def test_nothing_is_sure_where_plugins_are_or_more_may_be_registered(monkeypatch):
    assert not is_surely_unknown("CartPol-v1"), "Gymnasium is imported here"
    monkeypatch.delitem(sys.modules, "gymnasium")
    monkeypatch.setattr(gymnasium_names.metadata, "entry_points", lambda group: ("a plugin",))
    assert not is_surely_unknown("CartPol-v1")


def test_names_that_are_computed_make_nothing_sure(monkeypatch, tmp_path):
    (tmp_path / "gymnasium" / "envs").mkdir(parents=True)
    (tmp_path / "gymnasium" / "__init__.py").write_text("")
    source = tmp_path / "gymnasium" / "envs" / "__init__.py"
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "gymnasium")
    for text, known in (
        ('register(id="A-v0", x=1)\nregister("B-v1")', {"A-v0", "A", "B-v1", "B"}),
        ('register(id="A-v0")\nregister(id=f"B-v{1}")', None),
        ("", None),
    ):
        source.write_text(text)
        known_names.cache_clear()
        try:
            assert known_names() == known
        finally:
            known_names.cache_clear()


def test_the_nearest_names_are_named():
    assert unknown_name("CartPol-v1", ["CartPole-v1", "Taxi-v4"]).endswith("does not have; did you mean CartPole-v1?")
    assert unknown_name("qqq", ["Taxi-v4"]).endswith("; write MODULE:ENV_ID for one that another package registers")
    assert "pip install ale-py, and write ale_py:ALE/Pong-v5" in unknown_name("ALE/Pong-v5", [])
