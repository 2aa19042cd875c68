"""The messages of the transfer of files: the closed union of what a worker's machine and the home say about them.

A file is known by the SHA-256 of its content; no path ever travels. Both directions are the same conversation: one side offers,
and the side that receives asks for piece after piece, as much as it can take. So nobody is sent what they did not ask for.

Where files go by way of an object store, the side that receives answers `Offer` with `Ask` for whole files, and `Ask` is
answered with `Stored`. The home decides which way: it has a store or has none.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final, Union, get_args

from pydantic import Field

from lander.protocol.model import Count, Digest, Message, Text
from lander.protocol.wire import MAX_SHORT_ARRAY, decode_short

MAX_CHUNK: Final = 256 << 10
"""The most bytes of a file in one message."""
MAX_FILES: Final = MAX_SHORT_ARRAY
"""The most files that one message names."""
Files = Annotated[tuple[Digest, ...], Field(max_length=MAX_FILES)]
Length = Annotated[int, Field(ge=1, le=MAX_CHUNK)]


class Welcome(Message):
    """The home's first word on a new connection. What was asked on the one before is void: it is said again."""

    kind: ClassVar[str] = "Welcome"


class Offer(Message):
    """The sender has these files, with their sizes in bytes; the other side asks for those that it needs."""

    kind: ClassVar[str] = "Offer"
    files: Annotated[tuple[tuple[Digest, Count], ...], Field(max_length=MAX_FILES)]


class Have(Message):
    """These files are here, whole and durable."""

    kind: ClassVar[str] = "Have"
    sha256s: Files


class Want(Message):
    """Send this piece of a file that you offered."""

    kind: ClassVar[str] = "Want"
    sha256: Digest
    offset: Count
    length: Length


class Chunk(Message):
    """The piece of a file that was asked for."""

    kind: ClassVar[str] = "Chunk"
    sha256: Digest
    offset: Count
    data: Annotated[bytes, Field(min_length=1, max_length=MAX_CHUNK)]


class RefuseFile(Message):
    """What you sent as this file is not it; nothing of it is kept."""

    kind: ClassVar[str] = "RefuseFile"
    sha256: Digest
    detail: Text


class Ask(Message):
    """Offer me these files, if you have them. With `replace`, what is in the object store is not them: put them there anew."""

    kind: ClassVar[str] = "Ask"
    sha256s: Files
    replace: bool = False


class Absent(Message):
    """The sender does not have this file, or cannot read it; `detail` says why."""

    kind: ClassVar[str] = "Absent"
    sha256: Digest
    detail: Text = ""


class Stored(Message):
    """These files that you asked for are in the object store that both sides know, with their sizes in bytes."""

    kind: ClassVar[str] = "Stored"
    files: Annotated[tuple[tuple[Digest, Count], ...], Field(max_length=MAX_FILES)]


class Delayed(Message):
    """The sender cannot read this file, or put it into the object store or get it from there now; `detail` says why."""

    kind: ClassVar[str] = "Delayed"
    sha256: Digest
    detail: Text


TransferMessage = Union[Welcome, Offer, Have, Want, Chunk, RefuseFile, Ask, Absent, Stored, Delayed]  # noqa: UP007 - for get_args
TRANSFER_TYPES: Final[Mapping[str, type[TransferMessage]]] = {each.kind: each for each in get_args(TransferMessage)}


def decode_transfer(frame: bytes) -> TransferMessage:
    """The message in one frame; raises `WireError` for anything else."""
    return decode_short(frame, TRANSFER_TYPES)
