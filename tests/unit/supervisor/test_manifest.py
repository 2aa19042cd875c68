"""The manifest: what a run was made with, as plain data."""

import subprocess
import sys

import msgpack
import pytest

from lander.supervisor.manifest import manifest


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"):
        monkeypatch.setenv(name, "somebody")
    (tmp_path / "file").write_text("one")
    for command in (["init", "-q"], ["add", "file"], ["commit", "-qm", "one"]):
        subprocess.run(["git", *command], check=True)
    return tmp_path


def test_manifest_says_with_what_and_where():
    found = manifest("demo.yaml", ["lander-ctl", "run", "demo.yaml"], ("H100",))
    assert found["source"] == "demo.yaml"
    assert found["argv"] == ["lander-ctl", "run", "demo.yaml"]
    assert set(found["versions"]) == {"python", "lander-ctl", "torch", "stable-baselines3", "gymnasium", "numpy"}
    assert found["versions"]["python"] == sys.version.split()[0]
    assert found["machine"]["gpus"] == ["H100"]
    assert found["machine"]["cpu"]
    assert found["machine"]["cores"] >= 1
    assert found["machine"]["memory_mb"] > 100
    assert msgpack.unpackb(msgpack.packb(found)) == found


def test_manifest_names_the_commit_and_whether_it_was_changed(repository):
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    assert manifest("", [], ())["git"] == {"commit": commit, "dirty": False}
    (repository / "file").write_text("two")
    assert manifest("", [], ())["git"] == {"commit": commit, "dirty": True}


def test_manifest_does_without_git(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert manifest("", [], ())["git"] is None
    monkeypatch.setenv("PATH", "")
    assert manifest("", [], ())["git"] is None
