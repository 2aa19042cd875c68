"""What may be said about files: nothing that is a path, and nothing that is large."""

import msgpack
import pytest

from lander.protocol.errors import WireError
from lander.protocol.transfer import MAX_CHUNK, MAX_FILES, TRANSFER_TYPES, Chunk, Offer, Want, decode_transfer
from lander.protocol.wire import encode

NAME = "ab" * 32


def test_messages_survive_the_wire():
    for message in (Offer(files=((NAME, 0), (NAME, 5))), Want(sha256=NAME, offset=0, length=MAX_CHUNK)):
        assert decode_transfer(encode(message)) == message
    chunk = Chunk(sha256=NAME, offset=0, data=b"\xdd" * MAX_CHUNK)
    assert decode_transfer(encode(chunk)) == chunk


@pytest.mark.parametrize("name", ["../../etc/passwd", "/" + NAME[1:], NAME + "\n", NAME.upper(), NAME[:-1], ""])
@pytest.mark.parametrize("kind", ["Offer", "Have", "Want", "Chunk", "RefuseFile", "Ask", "Absent", "Stored", "Delayed"])
def test_a_name_is_the_sha256_of_the_content_and_nothing_else(kind, name):
    fields = {
        "Offer": {"files": [[name, 1]]},
        "Have": {"sha256s": [name]},
        "Ask": {"sha256s": [name]},
        "Want": {"sha256": name, "offset": 0, "length": 1},
        "Chunk": {"sha256": name, "offset": 0, "data": b"x"},
        "RefuseFile": {"sha256": name, "detail": ""},
        "Absent": {"sha256": name},
        "Stored": {"files": [[name, 1]]},
        "Delayed": {"sha256": name, "detail": ""},
    }[kind]
    with pytest.raises(WireError, match="pattern"):
        decode_transfer(msgpack.packb([kind, fields]))
    good = {key: NAME if value == name else value for key, value in fields.items()}
    good |= {"files": [[NAME, 1]]} if "files" in fields else {"sha256s": [NAME]} if "sha256s" in fields else {}
    assert decode_transfer(msgpack.packb([kind, good])).kind == kind


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("Chunk", {"sha256": NAME, "offset": 0, "data": b"x" * (MAX_CHUNK + 1)}),
        ("Chunk", {"sha256": NAME, "offset": 0, "data": b""}),
        ("Chunk", {"sha256": NAME, "offset": -1, "data": b"x"}),
        ("Want", {"sha256": NAME, "offset": 0, "length": MAX_CHUNK + 1}),
        ("Want", {"sha256": NAME, "offset": 1 << 63, "length": 1}),
        ("Ask", {"sha256s": [NAME] * (MAX_FILES + 1)}),
        ("Offer", {"files": [[NAME, -1]]}),
        ("Stored", {"files": [[NAME, 1]] * (MAX_FILES + 1)}),
        ("ShutDown", {}),
    ],
)
def test_sizes_are_bounded_and_commands_are_none_of_it(kind, fields):
    with pytest.raises(WireError):
        decode_transfer(msgpack.packb([kind, fields]))


def test_each_kind_is_its_own_name():
    assert all(kind == each.__name__ for kind, each in TRANSFER_TYPES.items())
