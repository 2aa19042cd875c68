"""What names files is said when they have arrived, in order, and not before."""

import threading

import pytest

from lander.actors.trainer import delivery as delivery_module
from lander.actors.trainer import file_requests
from lander.actors.trainer.delivery import Delivery, UndeliveredError
from lander.actors.trainer.file_requests import Requests, Waiting
from lander.home.artifacts import write_artifact
from lander.home.layout import artifact_path
from lander.protocol.events import CheckpointCommitted, ModelSaved, WarningRaised

NAME = "a" * 64


class Mailbox:
    """What is said, in order; `beat` is called at each sign of life."""

    def __init__(self):
        self.said = []
        self.beat = lambda: None

    def say(self, event):
        self.said.append(event)

    def heartbeat(self):
        self.beat()


@pytest.fixture
def mailbox():
    return Mailbox()


@pytest.fixture
def travelling(tmp_path, mailbox):
    return Delivery(tmp_path, mailbox, Requests(tmp_path))


def checkpoint(home, step, *pages):
    return CheckpointCommitted(
        step=step, episodes=0, digest=NAME, weights=NAME, sha256=write_artifact(home, f"{step}".encode()), pages=pages
    )


def model(which="final"):
    return ModelSaved(step=1, path="m.zip", sha256=NAME, which=which)


def carry_out(home, *, but=()):
    for request in Waiting(home).look():
        if not set(request.send) & set(but):
            request.done()


def test_at_home_everything_is_said_at_once(tmp_path, mailbox):
    at_home = Delivery(tmp_path, mailbox, None)
    saved = checkpoint(tmp_path, 1)
    at_home.say_checkpoint(saved)
    at_home.fetch([NAME])
    at_home.finish()
    assert mailbox.said == [saved]


def test_a_checkpoint_is_said_when_its_files_have_arrived(tmp_path, travelling, mailbox):
    saved = checkpoint(tmp_path, 1)
    travelling.say_checkpoint(saved)
    travelling.settle()
    assert mailbox.said == []
    (request,) = Waiting(tmp_path).look()
    assert request.send == {saved.sha256: artifact_path(tmp_path, saved.sha256)}
    carry_out(tmp_path)
    travelling.settle()
    assert mailbox.said == [saved]


def test_a_later_one_that_arrives_first_waits_for_the_earlier_one(tmp_path, travelling, mailbox):
    first, second = checkpoint(tmp_path, 1), checkpoint(tmp_path, 2)
    travelling.say_checkpoint(first)
    travelling.say_checkpoint(second)
    carry_out(tmp_path, but=[first.sha256])
    travelling.settle()
    assert mailbox.said == []
    carry_out(tmp_path)
    travelling.settle()
    assert mailbox.said == [first, second]


def test_a_page_is_sent_once_and_again_where_it_was_refused(tmp_path, travelling, mailbox):
    page = write_artifact(tmp_path, b"page")
    travelling.say_checkpoint(checkpoint(tmp_path, 1, page))
    (request,) = Waiting(tmp_path).look()
    request.refuse("damaged")
    travelling.settle()
    assert [type(event) for event in mailbox.said] == [WarningRaised]
    assert "CheckpointCommitted is not recorded, since its file cannot be sent: damaged" in mailbox.said[0].message
    for step, sent in ((2, True), (3, False)):
        travelling.say_checkpoint(checkpoint(tmp_path, step, page))
        (request,) = Waiting(tmp_path).look()
        assert (page in request.send) is sent
        request.done()
        travelling.settle()
    assert [event.step for event in mailbox.said[1:]] == [2, 3]


def test_a_final_model_that_cannot_be_sent_is_no_end(tmp_path, travelling):
    travelling.say(model("best"), {NAME: tmp_path / "m.zip"})
    for request in Waiting(tmp_path).look():
        request.refuse("damaged")
    travelling.finish()
    travelling.say(model("final"), {NAME: tmp_path / "m.zip"})
    for request in Waiting(tmp_path).look():
        request.refuse("damaged")
    with pytest.raises(UndeliveredError, match="damaged"):
        travelling.finish()


def test_the_end_waits_and_gives_signs_of_life(tmp_path, travelling, mailbox):
    saved = checkpoint(tmp_path, 1)
    travelling.say_checkpoint(saved)
    beats = iter(range(3))
    mailbox.beat = lambda: carry_out(tmp_path) if next(beats) == 2 else None
    travelling.finish()
    assert mailbox.said == [saved]
    assert next(beats, None) is None


def test_training_waits_only_when_much_is_on_its_way(tmp_path, travelling, mailbox, monkeypatch):
    monkeypatch.setattr(delivery_module, "MAX_UNDELIVERED", 2)
    mailbox.beat = lambda: carry_out(tmp_path)
    for step in (1, 2):
        travelling.say_checkpoint(checkpoint(tmp_path, step))
    assert mailbox.said == []
    travelling.say_checkpoint(checkpoint(tmp_path, 3))
    assert [event.step for event in mailbox.said] == [1, 2, 3]


def test_what_is_here_is_not_fetched_and_what_is_nowhere_is_missing(tmp_path, travelling, mailbox):
    here = write_artifact(tmp_path, b"here")
    travelling.fetch([here])

    def bring():
        for request in Waiting(tmp_path).look():
            assert list(request.fetch) == [NAME]
            request.refuse(f"{NAME} is not there")

    mailbox.beat = bring
    with pytest.raises(FileNotFoundError, match="is not there"):
        travelling.fetch([here, NAME])
    travelling.say_checkpoint(checkpoint(tmp_path, 1, here))
    (request,) = Waiting(tmp_path).look()
    assert here not in request.send


def test_a_request_is_seen_whole_or_not_at_all(tmp_path):
    requests, stop = Requests(tmp_path), threading.Event()

    def ask():
        for _ in range(200):
            requests.ask(send={NAME: tmp_path}, fetch=[NAME] * 50)
        stop.set()

    thread = threading.Thread(target=ask)
    thread.start()
    seen = 0
    while not stop.is_set() or seen < 200:
        for request in Waiting(tmp_path).look():
            assert len(request.fetch) == 50
            request.done()
            seen += 1
    thread.join()
    assert seen == 200


def test_what_dead_trainers_asked_is_forgotten(tmp_path):
    file_requests.clear(tmp_path)
    Requests(tmp_path).ask(fetch=[NAME])
    file_requests.clear(tmp_path)
    assert Waiting(tmp_path).look() == []
