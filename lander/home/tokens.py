"""A token: one line of text with which a worker on another machine is let in once, or as often as its issuer wanted.

It has the token's id, the supervisor's public key, so that the worker knows whom it talks to, and a secret key that may do
nothing but enrol the worker's own. A checksum tells a token that was cut short from one that is refused.
"""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final, NamedTuple

from zmq.utils import z85

from lander.home import keys
from lander.protocol.errors import UsageError

PREFIX: Final = "lander1-"
MAX_CHARACTERS: Final = 1024
"""More than any token has."""
_ID_BYTES: Final = 8
_KEY_BYTES: Final = 32
_SUM_BYTES: Final = 4


class Token(NamedTuple):
    """A token's id (16 hexadecimal digits), the supervisor's public key, and the secret key of the token's holder (Z85)."""

    id: str
    server_key: str
    secret: str

    def text(self) -> str:
        """The token as one line."""
        content = bytes.fromhex(self.id) + z85.decode(self.server_key) + z85.decode(self.secret)
        return PREFIX + urlsafe_b64encode(content + _sum(content)).decode().rstrip("=")

    @property
    def keys(self) -> keys.KeyPair:
        """The key pair of the token's holder."""
        return keys.pair_of(self.secret)


def issued(supervisor: keys.KeyPair, token: str) -> Token:
    """The token of this id, for whoever may read the supervisor's secret."""
    return Token(token, supervisor.public, keys.of_token(supervisor, token).secret)


def parse(text: str) -> Token:
    """The token in a line of text; raises `UsageError` if it is none, or not a whole one."""
    line = text.strip()
    if not line.startswith(PREFIX) or len(line) > MAX_CHARACTERS:
        raise UsageError(
            f"this is no token; a token begins with {PREFIX}, and lander-ctl token prints one on the supervisor's machine"
        )
    try:
        code = line.removeprefix(PREFIX)
        content = urlsafe_b64decode(code + "=" * (-len(code) % 4))
    except ValueError:
        content = b""
    body, total = content[:-_SUM_BYTES], content[-_SUM_BYTES:]
    if len(body) != _ID_BYTES + 2 * _KEY_BYTES or total != _sum(body):
        raise UsageError("the token is not whole: it was cut short or changed on its way; copy its line again")
    server, secret = body[_ID_BYTES : _ID_BYTES + _KEY_BYTES], body[-_KEY_BYTES:]
    return Token(body[:_ID_BYTES].hex(), z85.encode(server).decode(), z85.encode(secret).decode())


def _sum(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()[:_SUM_BYTES]
