"""A file that arrives in pieces is there whole and durable, or not at all, and goes on where it ended."""

import hashlib
import os
from pathlib import Path

import pytest

from lander.home import durable_files
from lander.home.artifacts import read_artifact
from lander.home.layout import artifact_path
from lander.home.partial_artifact import PartialArtifact, has_artifact, read_piece

CONTENT = os.urandom(100_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def test_it_goes_on_where_it_ended(tmp_path):
    first = PartialArtifact(tmp_path, SHA256)
    first.append(CONTENT[:60_000])
    first.close()
    assert not has_artifact(tmp_path, SHA256)
    second = PartialArtifact(tmp_path, SHA256)
    assert (second.offset, second.resumed, first.resumed) == (60_000, True, False)
    second.append(CONTENT[60_000:])
    assert second.finish()
    assert has_artifact(tmp_path, SHA256, len(CONTENT))
    assert read_artifact(tmp_path, SHA256) == CONTENT
    assert not second.partial.exists()


def test_other_content_is_not_published_and_nothing_of_it_is_left(tmp_path):
    partial = PartialArtifact(tmp_path, SHA256)
    partial.append(CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]))
    assert not partial.finish()
    assert list(partial.path.parent.iterdir()) == []


def test_it_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    made = []
    flush, replace = durable_files.flush, Path.replace
    partial = PartialArtifact(tmp_path, SHA256)
    partial.append(CONTENT)
    monkeypatch.setattr(durable_files, "flush", lambda path: (made.append(path.name), flush(path)))
    monkeypatch.setattr(Path, "replace", lambda path, to: (made.append("replace"), replace(path, to)))
    assert partial.finish()
    assert made == [partial.partial.name, "replace", SHA256[:2]]


def test_only_one_process_at_a_time_writes_it(tmp_path):
    first = PartialArtifact(tmp_path, SHA256)
    with pytest.raises(BlockingIOError):
        PartialArtifact(tmp_path, SHA256)
    first.close()
    first.close()
    PartialArtifact(tmp_path, SHA256).close()


def test_a_link_in_its_place_is_not_followed(tmp_path):
    place = PartialArtifact(tmp_path, SHA256)
    place.close()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"keep")
    place.partial.unlink()
    place.partial.symlink_to(elsewhere)
    with pytest.raises(OSError, match="symbolic"):
        PartialArtifact(tmp_path, SHA256)
    place.path.symlink_to(elsewhere)
    assert not has_artifact(tmp_path, SHA256)
    with pytest.raises(OSError, match="symbolic"):
        read_piece(place.path, 0, 1)
    assert elsewhere.read_bytes() == b"keep"


def test_a_file_that_ends_too_soon_is_not_read(tmp_path):
    path = artifact_path(tmp_path, SHA256)
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    assert read_piece(path, 99_999, 1) == CONTENT[-1:]
    with pytest.raises(OSError, match="ends before byte 100001"):
        read_piece(path, 99_999, 2)
