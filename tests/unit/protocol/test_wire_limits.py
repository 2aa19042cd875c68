"""The wire's limits: what decoding may cost, and which numbers it lets in."""

import tracemalloc

import msgpack
import pytest

from lander.protocol.commands import Append
from lander.protocol.errors import WireError
from lander.protocol.events import EvaluationFinished
from lander.protocol.experiment import MAX_EVAL_EPISODES
from lander.protocol.wire import MAX_FRAME, decode, decode_event, encode, encode_event

MB = 1_000_000


def refused(frame):
    with pytest.raises(WireError) as caught:
        decode(frame)
    return str(caught.value)


# --- what decoding may cost -------------------------------------------------------------------------------------------


def peak(frame, read):
    """Bytes allocated, at most, while reading a frame."""
    tracemalloc.start()
    try:
        with pytest.raises(WireError if read is decode else Exception):
            read(frame)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


HEADERS = b"\xdc\x3f\xff" * 1000


@pytest.mark.parametrize(
    "frame",
    [
        HEADERS,
        b"\xdd\x00\x00\x3f\xff" * 1000,
        HEADERS + bytes(70_000),
        b"\xdc\x3f\xff" * 24_000,
        b"\x94" + (b"\xdc\x3f\xff" + b"\x80" * 16_383) * 4,
        b"\xde\x0f\xff" * 24_000,
        b"\xdf\xff\xff\xff\xff" * 14_000,
        b"\xdd\xff\xff\xff\xff" * 14_000,
        b"\xc6\xff\xff\xff\xff" + bytes(70_000),
        b"\xdb\xff\xff\xff\xff" + bytes(70_000),
    ],
)
def test_a_small_frame_costs_little_memory_whatever_it_declares(frame):
    assert len(frame) < 75_000
    assert peak(frame, decode) < 8 * MB


def test_without_the_walk_a_small_frame_would_cost_much():
    limits = {"max_array_len": 16_384, "use_list": False}
    assert peak(HEADERS, lambda frame: msgpack.unpackb(frame, **limits)) > 40 * MB


def test_an_event_that_lists_episodes_costs_no_more():
    assert peak(HEADERS, lambda frame: decode_event("EvaluationFinished", frame)) < 8 * MB


def test_an_evaluation_may_have_as_many_episodes_as_can_be_asked_for():
    played = EvaluationFinished(step=1, first_seed=1, returns=(0.5,) * MAX_EVAL_EPISODES, lengths=(500,) * MAX_EVAL_EPISODES)
    body = encode_event(played)
    assert len(body) < MAX_FRAME / 4
    assert decode_event(played.kind, body) == played


def test_frames_over_the_limit_are_neither_made_nor_read():
    def append(size):
        return Append(run="a/b/0", epoch=1, first_seq=1, events=(("WarningRaised", 1, bytes(size)),))

    largest = append(MAX_FRAME - len(encode(append(70_000))) + 70_000)
    assert len(encode(largest)) == MAX_FRAME
    assert decode(encode(largest)) == largest
    with pytest.raises(WireError, match="over the frame limit"):
        encode(append(MAX_FRAME))
    assert "over the frame limit" in refused(bytes(MAX_FRAME + 1))


# --- numbers that the log can hold ------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [2**63, 2**64 - 1, -1])
@pytest.mark.parametrize(
    ("kind", "field"),
    [("EpisodeFinished", "last_step"), ("TrainingStarted", "pid"), ("ModelSaved", "step"), ("StepsRecorded", "first_step")],
)
def test_what_a_trainer_counts_fits_in_the_log(kind, field, number):
    fields = FULL[kind]
    decode_event(kind, msgpack.packb(fields))
    with pytest.raises(WireError, match=field):
        decode_event(kind, msgpack.packb(fields | {field: number}))


ARRAY = {"dtype": "|u1", "shape": (2, 3), "data": b""}
FULL = {
    "EpisodeFinished": {"env": 0, "first_step": 0, "last_step": 4, "length": 4, "episode_return": 1.0},
    "TrainingStarted": {"epoch": 1, "pid": 7, "n_envs": 1, "device": "cpu"},
    "ModelSaved": {"step": 1, "path": "p", "sha256": "s"},
    "StepsRecorded": {"first_step": 0, "actions": ARRAY, "rewards": ARRAY, "endings": ARRAY},
}


@pytest.mark.parametrize("shape", [(), (6,), (3, 2), (2, 3, 1), (2**62, 2**62), (2**64 - 1, 1), (-2, -3)])
@pytest.mark.parametrize("array", ["rewards", "endings", "actions"])
def test_steps_are_of_the_same_vector_steps_in_every_array(array, shape):
    if (array, shape) == ("actions", (2, 3, 1)):
        return  # an action may be a vector
    with pytest.raises(WireError, match="StepsRecorded"):
        decode_event("StepsRecorded", msgpack.packb(FULL["StepsRecorded"] | {array: ARRAY | {"shape": shape}}))


@pytest.mark.parametrize("letter", [("WarningRaised", 2**63, b""), ("WarningRaised", -1, b"")])
def test_what_a_trainer_dates_fits_in_the_log(letter):
    assert "events.0.1" in refused(msgpack.packb(["Append", {"run": "r", "epoch": 1, "first_seq": 1, "events": [letter]}]))


@pytest.mark.parametrize("first_seq", [0, -1, 2**64 - 1])
def test_events_are_numbered_from_one(first_seq):
    frame = msgpack.packb(["Append", {"run": "r", "epoch": 1, "first_seq": first_seq, "events": []}])
    assert "first_seq" in refused(frame)
