"""Bytes ↔ messages: msgpack with every limit set.

A command is one frame, `[kind, fields]`. An event is stored as its kind and a body of its fields, and is sent in the same bytes
that are stored. Decoding raises only `WireError`, whatever the bytes; its text is short, whatever they contain.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, TypeVar

import msgpack
from pydantic import ValidationError

from lander.protocol.commands import COMMAND_TYPES, Command
from lander.protocol.errors import WireError
from lander.protocol.events import EVENT_TYPES, TRAINER_KINDS, EvaluationFinished, Event, Unreadable
from lander.protocol.model import Message
from lander.protocol.text import NAME_CHARACTERS, cut
from lander.protocol.upcasters import UPCASTERS

M = TypeVar("M", bound=Message)

MAX_FRAME: Final = 1 << 20
"""The size limit of one frame in bytes."""
MAX_MESSAGE: Final = MAX_FRAME + 33
"""The size limit of a socket in bytes: CURVE adds 33 to a frame before libzmq checks it (rfc.zeromq.org/spec/26)."""
MAX_EVENTS: Final = 4096
"""The limit of events in one `Append`."""
MAX_SHORT_ARRAY: Final = 256
"""The limit of elements of an array in a trainer's event, such as the pages of a checkpoint."""

_LIMITS: Final[Mapping[str, Any]] = {
    "raw": False,
    "use_list": False,
    "strict_map_key": True,
    "max_str_len": MAX_FRAME,
    "max_bin_len": MAX_FRAME,
    "max_array_len": 16_384,
    "max_map_len": 4096,
    "max_ext_len": 0,  # the timestamp extension would bypass any hook
}

_unpack_long: Final = partial(msgpack.unpackb, **_LIMITS)
_unpack_short: Final = partial(msgpack.unpackb, **{**_LIMITS, "max_array_len": MAX_SHORT_ARRAY})
"""For the most frequent events. Their arrays are short, so even nested array headers cost only a few megabytes of memory."""
_SHORT: Final = TRAINER_KINDS - {EvaluationFinished.kind}
"""The kinds of a trainer, without the one that lists episodes, whose number the user chooses."""


def encode(message: Message) -> bytes:
    """One message as one frame."""
    frame: bytes = msgpack.packb([message.kind, message.model_dump(exclude_defaults=True)])
    if len(frame) > MAX_FRAME:
        raise WireError(f"{message.kind} of {len(frame)} bytes is over the frame limit of {MAX_FRAME}")
    return frame


def decode(frame: bytes) -> Command:
    """The command in one frame; raises `WireError` for anything else."""
    return _message(_unpack_checked(frame), COMMAND_TYPES)


def decode_short(frame: bytes, types: Mapping[str, type[M]]) -> M:
    """The message of one of these types, whose arrays are short, in one frame; raises `WireError` for anything else."""
    return _message(_unpack(frame, _unpack_short), types)


def _message(unpacked: Any, types: Mapping[str, type[M]]) -> M:
    match unpacked:
        case (str(kind), dict(fields)) if kind in types:
            return _validate(types[kind], fields)
        case (str(kind), dict()):
            raise WireError(f"unknown kind of command: {kind[:64]!r}")
    raise WireError("a frame is [kind, fields]")


def encode_event(event: Event) -> bytes:
    """An event's body, as it is stored; its kind is kept beside it. Raises `WireError` if no reader would take it."""
    try:
        body: bytes = msgpack.packb(event.model_dump(exclude_defaults=True, warnings=False))
    except (ValueError, OverflowError, TypeError) as error:
        raise WireError(f"{event.kind}: cannot be written: {cut(str(error), NAME_CHARACTERS)}") from error
    decode_event(event.kind, body)
    return body


def read_event(kind: str, body: bytes) -> Event | Unreadable:
    """The stored event, or what takes its place if this version cannot read it."""
    try:
        return decode_event(kind, body)
    except WireError as error:
        return Unreadable(kind, str(error))


def decode_event(kind: str, body: bytes) -> Event:
    """The event with this kind and body, upcast to the current shape; raises `WireError` for anything else."""
    fields = _unpack(body, _unpack_short) if kind in _SHORT else _unpack_checked(body)
    if not isinstance(fields, dict):
        raise WireError(f"the body of {kind[:64]!r} is not a map")
    while kind in UPCASTERS:
        newer, upcast = UPCASTERS[kind]
        try:
            kind, fields = newer, upcast(fields)
        except Exception as error:  # an upcaster trusts the old shape; untrusted bytes may have any
            problem = cut(repr(error), NAME_CHARACTERS)
            raise WireError(f"the body of {kind[:64]!r} cannot be brought up to date: {problem}") from error
    if kind not in EVENT_TYPES:
        raise WireError(f"unknown kind of event: {kind[:64]!r}; was it written by a newer version?")
    return _validate(EVENT_TYPES[kind], fields)


def _unpack_checked(data: bytes) -> Any:
    """Unpack a body that may hold long arrays."""
    if len(data) <= MAX_FRAME and (b"\xdc" in data or b"\xdd" in data):
        _check_lengths(data)
    return _unpack(data, _unpack_long)


def _unpack(data: bytes, unpack: Callable[[bytes], Any]) -> Any:
    if len(data) > MAX_FRAME:
        raise WireError(f"{len(data)} bytes are over the frame limit of {MAX_FRAME}")
    try:
        return unpack(data)
    except Exception as error:  # untrusted bytes: msgpack raises ValueErrors, RecursionError, UnicodeDecodeError …
        raise WireError(f"not msgpack within limits: {cut(str(error), NAME_CHARACTERS)}") from error


def _check_lengths(data: bytes) -> None:
    """Raise `WireError` unless every array has as many elements as it declares.

    msgpack allocates an array at its declared length before it reads the first element, so one kilobyte of nested headers costs
    a hundred megabytes. Skipping over the bytes allocates nothing.
    """
    unpacker = msgpack.Unpacker(max_buffer_size=MAX_FRAME, read_size=len(data))
    unpacker.feed(data)
    try:
        unpacker.skip()
    except Exception as error:
        raise WireError(f"not msgpack within limits: {cut(str(error), NAME_CHARACTERS)}") from error


def _validate(message_type: type[M], fields: dict[str, Any]) -> M:
    try:
        validated: M = message_type.__pydantic_validator__.validate_python(fields)  # a third faster than model_validate
        return validated
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = cut(".".join(str(part) for part in first["loc"]), NAME_CHARACTERS)  # it may hold the name of an unknown field
        raise WireError(f"{message_type.kind}: {place}: {cut(first['msg'], 2 * NAME_CHARACTERS)}") from error
