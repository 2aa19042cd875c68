"""The wire: what is said arrives as it was said, and bytes that are no message can do no more than be refused."""

import contextlib

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lander.experiments.execution import execution_with
from lander.protocol import events as e
from lander.protocol.commands import COMMAND_TYPES, Ping, SubmitExperiment
from lander.protocol.errors import WireError
from lander.protocol.events import EVENT_TYPES
from lander.protocol.upcasters import UPCASTERS, Upcaster
from lander.protocol.wire import decode, decode_event, encode, encode_event
from tests.histories import experiment
from tests.messages import ANY_COMMAND, ANY_EVENT, COMMANDS, EVENTS

MB = 1_000_000
HOSTILE_KINDS = ["SubmitExperiment", "Append", "JoinHost", "StartTrainer"]


def told(message):
    """All that a message says, NaN included, in a form that can be compared."""
    return type(message), repr(message.model_dump())


def refused(frame):
    with pytest.raises(WireError) as caught:
        decode(frame)
    return str(caught.value)


# --- round trips ------------------------------------------------------------------------------------------------------


def test_every_kind_has_a_strategy():
    assert set(EVENTS) == set(EVENT_TYPES.values())
    assert set(COMMANDS) == set(COMMAND_TYPES.values())


@pytest.mark.parametrize("kind", COMMAND_TYPES)
def test_every_command_arrives_as_it_was_sent(kind):
    @given(COMMANDS[COMMAND_TYPES[kind]])
    @settings(max_examples=15, deadline=None)
    def check(command):
        assert told(decode(encode(command))) == told(command)

    check()


@pytest.mark.parametrize("kind", EVENT_TYPES)
def test_every_event_is_read_as_it_was_written(kind):
    @given(EVENTS[EVENT_TYPES[kind]])
    @settings(max_examples=15, deadline=None)
    def check(event):
        assert event.kind == kind
        assert told(decode_event(kind, encode_event(event))) == told(event)

    check()


def test_a_metric_that_is_not_a_number_stays_one():
    values = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}
    event = e.MetricsLogged(step=1, values=values)
    assert repr(decode_event(event.kind, encode_event(event)).values) == "{'nan': nan, 'inf': inf, '-inf': -inf}"


def test_a_measurement_is_a_number():
    body = msgpack.packb({"run": "a/b/0", "epoch": 1, "cpu_percent": float("nan"), "memory_mb": 1.0})
    sample = {"cpu_percent": 1.0, "memory_percent": 1.0, "memory_mb": 1.0, "disk_free_mb": 1.0}
    with pytest.raises(WireError, match="finite"):
        decode_event("ResourcesSampled", msgpack.packb(sample | {"trainers": (msgpack.unpackb(body),)}))


def test_defaults_take_no_room():
    assert encode(Ping()) == msgpack.packb(["Ping", {}])


# --- bytes that are no message ----------------------------------------------------------------------------------------


def never_more_than_refused(frame):
    """Negative control within: what is not refused must be a message that can be said again."""
    try:
        command = decode(frame)
    except WireError:
        return
    assert told(decode(encode(command))) == told(command)


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_no_bytes_raise_anything_but_a_wire_error(data):
    never_more_than_refused(data)
    for kind in ("StepsRecorded", "NoSuchKind"):
        try:
            decode_event(kind, data)
        except WireError:
            pass
        else:
            raise AssertionError(f"{data!r} was read as {kind}")


@given(ANY_COMMAND, st.data())
@settings(max_examples=200, deadline=None)
def test_no_damage_to_a_frame_raises_anything_but_a_wire_error(command, data):
    frame = bytearray(encode(command))
    for _ in range(data.draw(st.integers(1, 4))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    never_more_than_refused(bytes(frame))
    never_more_than_refused(bytes(frame[: data.draw(st.integers(0, len(frame)))]))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.binary(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(ANY_COMMAND | ANY_EVENT, ANYTHING, st.data())
@settings(max_examples=400, deadline=None)
def test_no_value_in_any_place_raises_anything_but_a_wire_error(message, value, data):
    fields = message.model_dump()
    place = fields
    while True:
        keys = list(place) if isinstance(place, dict) else []
        key = data.draw(st.sampled_from([*keys, "more"]))
        inner = place.get(key)
        if isinstance(inner, tuple | list) and inner and data.draw(st.booleans()):
            place[key] = [value, *inner[1:]]
            break
        if not isinstance(inner, dict) or data.draw(st.booleans()):
            place[key] = value
            break
        place = inner
    body = msgpack.packb(fields)
    with contextlib.suppress(WireError):
        decode_event(message.kind, body)
    never_more_than_refused(msgpack.packb([message.kind, fields]))


@pytest.mark.parametrize("kind", HOSTILE_KINDS)
@pytest.mark.parametrize("deeper", [b"\x91", b"\x81\xa1a", b"\x81\xa8manifest", b"\xdc\x00\x01"])
@pytest.mark.parametrize("depth", [100, 510, 900, 100_000])
def test_no_depth_does_harm(kind, deeper, depth):
    nest = deeper * depth + b"\xc0"
    fields = b"\x82\xa8manifest" + nest + b"\xaaexperiment" + nest
    refused(b"\x92" + msgpack.packb(kind) + fields)
    refused(nest)


def test_a_manifest_is_no_deeper_than_can_be_written_down_again():
    def submission(depth):
        manifest = {}
        for _ in range(depth):
            manifest = {"a": manifest}
        fields = {"experiment": experiment().model_dump(), "execution": execution_with().model_dump(), "manifest": manifest}
        return msgpack.packb(["SubmitExperiment", fields])

    command = decode(submission(10))
    assert isinstance(command, SubmitExperiment)
    encode(command)
    assert "manifest" in refused(submission(100))


@pytest.mark.parametrize(
    "data",
    [
        b"\xd7\xff" + bytes(8),  # the timestamp extension
        msgpack.packb(msgpack.ExtType(5, b"x")),
        b"\xc7\x00\x05",  # an extension without content
        msgpack.packb(["Ping", {1: 2}]),
        msgpack.packb(["Ping", {b"a": 2}]),
        msgpack.packb(["Ping", {}]) + b"\xc0",
        msgpack.packb(["Ping", [], {}]),
        msgpack.packb(["Ping"]),
        msgpack.packb({"Ping": {}}),
        msgpack.packb([b"Ping", {}]),
        msgpack.packb([None, {}]),
        b"\x92\xa4Ping",
        b"\x92\xa2\xff\xfe\x80",
        b"",
        b"\xc1",
    ],
)
def test_only_a_kind_and_its_fields_are_a_frame(data):
    refused(data)
    with pytest.raises(WireError):
        decode_event("RunCompleted", data)


@pytest.mark.parametrize("inside", [msgpack.ExtType(5, b"x"), msgpack.Timestamp(1), {1: 2}, {None: 2}, {2.5: 2}])
def test_extensions_and_odd_keys_are_refused_before_anybody_looks_at_them(inside):
    with pytest.raises(WireError, match="not msgpack within limits"):
        decode_event("WarningRaised", msgpack.packb({"message": inside}))
    assert "not msgpack within limits" in refused(msgpack.packb(["StopTarget", {"target": inside}]))


def test_unknown_kinds_are_named_but_not_at_length():
    assert refused(msgpack.packb(["Haunt", {}])) == "unknown kind of command: 'Haunt'"
    assert len(refused(msgpack.packb(["x" * 10_000, {}]))) < 120
    with pytest.raises(WireError, match=r"unknown kind of event: 'Haunted'; was it written by a newer version\?"):
        decode_event("Haunted", b"\x80")


def test_a_refusal_names_the_place():
    assert refused(msgpack.packb(["StopTarget", {"target": 1, "operator": "x"}])).startswith("StopTarget: target: ")


# --- yesterday's events -----------------------------------------------------------------------------------------------


def test_retired_kinds_are_brought_up_to_date_step_by_step(monkeypatch):
    monkeypatch.setitem(UPCASTERS, "Warned", Upcaster("Warned.2", lambda body: {"text": body["words"]}))
    monkeypatch.setitem(UPCASTERS, "Warned.2", Upcaster("WarningRaised", lambda body: {"message": body["text"]}))
    body = msgpack.packb({"words": "old"})
    assert decode_event("Warned", body) == e.WarningRaised(message="old")
    assert decode_event("Warned.2", msgpack.packb({"text": "newer"})) == e.WarningRaised(message="newer")
    with pytest.raises(WireError, match="cannot be brought up to date"):
        decode_event("Warned", b"\x80")


def test_an_upcaster_leaves_other_kinds_alone(monkeypatch):
    monkeypatch.setitem(UPCASTERS, "Warned", Upcaster("WarningRaised", lambda body: {"message": "upcast"}))
    assert decode_event("WarningRaised", msgpack.packb({"message": "today"})) == e.WarningRaised(message="today")
