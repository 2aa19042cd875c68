"""Files that events name: the home has them, and models get their names."""

import hashlib
import os
import shutil
import threading

import pytest

from lander.home.artifacts import write_artifact
from lander.home.layout import artifact_path
from lander.protocol.commands import Append
from lander.protocol.errors import WireError
from lander.protocol.events import CheckpointCommitted, Event, ModelSaved, WarningRaised
from lander.protocol.wire import encode_event
from lander.supervisor import named_files
from lander.supervisor.named_files import settle_files

MODEL = "experiments/e/models/fast-0-final.zip"
STATISTICS = "experiments/e/models/fast-0-vecnormalize.pkl"


def batch(*events: Event) -> Append:
    return Append(run="e/fast/0", epoch=1, first_seq=1, events=tuple((each.kind, 1, encode_event(each)) for each in events))


def saved(sha256, path=MODEL, statistics=None):
    return ModelSaved(step=1, path=path, sha256=sha256, statistics=statistics)


def checkpoint(sha256, *pages):
    return CheckpointCommitted(step=1, episodes=0, digest=sha256, weights=sha256, sha256=sha256, pages=pages)


async def test_a_model_that_arrived_by_content_gets_its_name_and_stays_there_by_content(tmp_path):
    model, statistics = write_artifact(tmp_path, b"model"), write_artifact(tmp_path, b"statistics")
    for _ in range(2):
        await settle_files(tmp_path, batch(WarningRaised(message="w"), saved(model, statistics=statistics)))
        assert (tmp_path / MODEL).read_bytes() == b"model"
        assert (tmp_path / STATISTICS).read_bytes() == b"statistics"
    assert (tmp_path / MODEL).samefile(artifact_path(tmp_path, model))


async def test_the_model_of_another_attempt_gives_its_name_away(tmp_path):
    for content in (b"one", b"two", b"one"):
        await settle_files(tmp_path, batch(saved(write_artifact(tmp_path, content))))
        assert (tmp_path / MODEL).read_bytes() == content


async def test_a_model_saved_at_home_can_be_had_by_content(tmp_path):
    (tmp_path / MODEL).parent.mkdir(parents=True)
    (tmp_path / MODEL).write_bytes(b"model")
    name = hashlib.sha256(b"model").hexdigest()
    await settle_files(tmp_path, batch(saved(name)))
    assert artifact_path(tmp_path, name).read_bytes() == b"model"


async def test_a_model_that_was_saved_again_meanwhile_is_not_taken_for_the_one_before(tmp_path):
    (tmp_path / MODEL).parent.mkdir(parents=True)
    (tmp_path / MODEL).write_bytes(b"the next one")
    name = hashlib.sha256(b"model").hexdigest()
    await settle_files(tmp_path, batch(saved(name)))
    assert not artifact_path(tmp_path, name).exists()


async def test_where_a_file_cannot_have_two_names_it_is_copied(tmp_path, monkeypatch):
    def no_links(*_):
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", no_links)
    await settle_files(tmp_path, batch(saved(write_artifact(tmp_path, b"model"))))
    assert (tmp_path / MODEL).read_bytes() == b"model"


@pytest.mark.parametrize(
    "path", ["../../etc/passwd", "/etc/passwd", "events.db", "experiments/e/models/fast-1-final.zip", MODEL.replace("e/", "f/")]
)
async def test_a_trainer_names_no_file_but_its_runs(tmp_path, path):
    model = write_artifact(tmp_path, b"model")
    with pytest.raises(WireError, match="lies at"):
        await settle_files(tmp_path, batch(saved(model, path)))
    assert not (tmp_path / "experiments").exists()


async def test_what_the_home_has_not_got_is_not_recorded(tmp_path):
    state, page = write_artifact(tmp_path, b"state"), write_artifact(tmp_path, b"page")
    await settle_files(tmp_path, batch(checkpoint(state, page)))
    shutil.rmtree(artifact_path(tmp_path, page).parent)
    with pytest.raises(WireError, match="which is not here"):
        await settle_files(tmp_path, batch(checkpoint(state, page)))
    with pytest.raises(WireError, match="is not here"):
        await settle_files(tmp_path, batch(saved("a" * 64)))


async def test_a_large_model_is_read_outside_the_loop(tmp_path, monkeypatch):
    (tmp_path / MODEL).parent.mkdir(parents=True)
    (tmp_path / MODEL).write_bytes(b"model")
    loop, seen = threading.get_ident(), []
    monkeypatch.setattr(named_files, "sha256_of", lambda path: seen.append(threading.get_ident()))
    await settle_files(tmp_path, batch(saved(hashlib.sha256(b"model").hexdigest())))
    assert len(seen) == 1
    assert loop not in seen
