"""Frames that releases have put on the wire are understood, each of them and every field: N talks with N-1."""

import msgpack
import pytest

from lander.protocol import versions
from lander.protocol.commands import COMMAND_TYPES, TrainerOrder
from lander.protocol.events import EVENT_TYPES, TRAINER_KINDS, ResourcesSampled, TrainerUsage
from lander.protocol.transfer import TRANSFER_TYPES, decode_transfer
from lander.protocol.wire import decode, decode_event
from tests.golden import frames

SPOKEN = range(versions.OLDEST, versions.NEWEST + 1)


def unpacked(version):
    """Each recorded frame: its bytes, its kind and its fields."""
    for conversation, said in frames.recorded(version).items():
        for frame in said:
            kind, fields = msgpack.unpackb(frame, use_list=False)
            yield conversation, frame, kind, fields


def includes(understood, said):
    """Whether all that was said is in what was understood, where a newer release may know more fields."""
    if isinstance(said, dict):
        return isinstance(understood, dict) and all(includes(understood.get(name), value) for name, value in said.items())
    if isinstance(said, tuple):
        return len(understood) == len(said) and all(map(includes, understood, said))
    return understood == said


def test_the_release_before_is_spoken():
    assert max(1, versions.NEWEST - 1) >= versions.OLDEST


@pytest.mark.parametrize("version", SPOKEN)
def test_each_frame_is_understood_as_it_was_meant(version):
    for conversation, frame, kind, fields in unpacked(version):
        message = (decode_transfer if conversation == "about files" else decode)(frame)
        assert message.kind == kind
        assert includes(message.model_dump(), fields), kind
        for event, _, body in fields.get("events", ()):
            assert includes(decode_event(event, body).model_dump(), msgpack.unpackb(body, use_list=False)), event


def said_by(version):
    """The fields that were said of each kind of message, event and value."""
    found = {}
    for _, _, kind, fields in unpacked(version):
        found.setdefault(kind, set()).update(fields)
        for event, _, body in fields.get("events", ()):
            found.setdefault(event, set()).update(msgpack.unpackb(body))
        for name, value in fields.items():
            if isinstance(value, dict):
                found.setdefault(name, set()).update(value)
    return found


def test_all_that_a_worker_says_and_is_told_now_is_recorded():
    """If not: raise `versions.NEWEST` unless no release speaks it yet, and record `frames-N.json`."""
    said = said_by(versions.NEWEST)
    types = COMMAND_TYPES | TRANSFER_TYPES | EVENT_TYPES
    wanted = {kind: types[kind] for kind in frames.KINDS | TRAINER_KINDS}
    wanted |= {"order": TrainerOrder, "sample": ResourcesSampled}
    assert wanted.keys() <= said.keys()
    assert [(kind, missing) for kind, each in wanted.items() if (missing := each.model_fields.keys() - said[kind])] == []
    (used,) = (fields["sample"]["trainers"] for _, _, _, fields in unpacked(versions.NEWEST) if "sample" in fields)
    assert used[0].keys() == TrainerUsage.model_fields.keys()
