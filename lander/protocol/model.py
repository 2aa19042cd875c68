"""The base of all events, commands and values: frozen, strict, closed."""

from functools import partial
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from lander.protocol.plain import MAX_INTEGER
from lander.protocol.text import NAME_CHARACTERS, cut, cut_start

Count = Annotated[int, Field(ge=0, le=MAX_INTEGER)]
"""From 0, up to the largest integer of SQLite: a number sent by a trainer must not be able to stop the writer."""
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 in hex. It is also a file name in `artifacts/`, so no other text may pass validation."""

BitsClass = Annotated[str, Field(pattern=r"^([0-9a-f]{12})?$")]
"""What a machine computes, as a short digest: machines of one class compute the same bits. Empty: it was not compared."""

CurveKey = Annotated[str, Field(pattern=r"^[0-9a-zA-Z.:+=^!/*?&<>()\[\]{}@%$#-]{40}$")]
"""A public key of CURVE in Z85 (rfc.zeromq.org/spec/32)."""

GpuShare = Annotated[int, Field(ge=1, le=99)]
"""A part of a GPU in hundredths, so that shares add up exactly. A whole GPU is no share."""

ShortText = Annotated[str, AfterValidator(partial(cut, most=NAME_CHARACTERS))]
"""Text from outside that is cut to a name's length when a value is made of it."""
Text = Annotated[str, AfterValidator(cut)]
"""The same, to a message's length."""
EndOfText = Annotated[str, AfterValidator(cut_start)]
"""The same for a text whose end matters."""


class Model(BaseModel):
    """An immutable value.

    Validation is strict, because our own programs write the input: a string in place of an integer is a defect and must not be
    coerced. Floats may be NaN or infinite here, since a measured loss can be. Numbers that a user writes may not.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Message(Model):
    """An event or a command; `kind` is its literal, versioned name on the wire and in the log.

    A kind is never derived from a class name or a module path, so that renaming code does not orphan recorded events.
    """

    kind: ClassVar[str]
