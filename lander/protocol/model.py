"""The shape every fact and every request shares: frozen, strict, closed."""

from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from lander.protocol.plain import MAX_INTEGER

Count = Annotated[int, Field(ge=0, le=MAX_INTEGER)]
"""From 0; no larger than SQLite can hold, since what a trainer says must not be able to stop the writer."""
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 in hex; also the name of a file in `artifacts/`, so nothing else may pass for one."""


class Model(BaseModel):
    """A value that is said once and never changed.

    Strict, because what arrives was written by a program of ours: a string where an integer belongs is a defect and not
    something to coerce. Floats may be NaN or infinite here, since a measured loss can be; what a user *asks* for may not.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Message(Model):
    """Something that can be said; `kind` is its literal, versioned name on the wire and in the log.

    A kind is never derived from a class name or a module path: renaming code must not orphan what was recorded.
    """

    kind: ClassVar[str]
