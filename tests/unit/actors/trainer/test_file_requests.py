"""The requests that wait: in the order in which they were made, and each read once however often it is looked."""

import pytest

from lander.actors.trainer import file_requests
from lander.actors.trainer.file_requests import Requests, Waiting

NAME = "0" * 64


@pytest.fixture
def reads(monkeypatch):
    """The names of the files that were read."""
    reads, read = [], file_requests._read

    def count(file):
        reads.append(file.name)
        return read(file)

    monkeypatch.setattr(file_requests, "_read", count)
    return reads


def test_a_request_is_read_once_however_often_it_is_looked(tmp_path, reads):
    waiting, requests = Waiting(tmp_path), Requests(tmp_path)
    assert waiting.look() == []
    asked = [requests.ask(send={NAME: tmp_path / "model"}) for _ in range(20)]
    for _ in range(50):
        assert [each.file for each in waiting.look()] == asked
    assert reads == [each.name for each in asked]
    waiting.look()[3].done()
    later = requests.ask(fetch=[NAME])
    assert [each.file for each in waiting.look()] == [*asked[:3], *asked[4:], later]
    assert len(reads) == 21


def test_another_file_of_the_same_name_is_read_anew(tmp_path, reads):
    waiting = Waiting(tmp_path)
    first = Requests(tmp_path).ask(fetch=[NAME])
    assert waiting.look()[0].fetch == (NAME,)
    other = Requests(tmp_path).ask(fetch=["1" * 64])
    other.replace(first)
    assert [each.fetch for each in waiting.look()] == [("1" * 64,)]
    assert len(reads) == 2


def test_a_request_that_goes_while_it_is_looked_waits_no_more(tmp_path, monkeypatch):
    waiting, file = Waiting(tmp_path), Requests(tmp_path).ask(fetch=[NAME])
    there = [(file.name, file.stat().st_ino)]
    file.unlink()
    monkeypatch.setattr(waiting, "_there", lambda: there)
    assert waiting.look() == []
