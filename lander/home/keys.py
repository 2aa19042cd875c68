"""CURVE keys: a process is identified on the wire by the key it holds.

The home stores three secrets, one line each, readable only by their owner: the supervisor's, the local host agent's, and the
local clients'. A trainer's key is derived from the supervisor's secret, the run and the epoch. So it is not stored, and a
restarted supervisor can derive it again.
"""

import hashlib
import hmac
import os
import stat
from pathlib import Path
from typing import NamedTuple

import zmq
from zmq.utils import z85

from lander.protocol.errors import HomeError


class KeyPair(NamedTuple):
    """A CURVE key pair, both halves Z85-encoded."""

    public: str
    secret: str


def load_or_create(home: Path, name: str) -> KeyPair:
    """The key pair stored in the home under this name; created at the first call.

    Raises `HomeError` if it cannot be written, is damaged, or is readable by others.
    """
    directory = home / "keys"
    path = directory / f"{name}.key"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return load(home, name)
        with os.fdopen(descriptor, "wb") as file:
            file.write(zmq.curve_keypair()[1] + b"\n")
    except OSError as error:
        raise HomeError(f"{path}: cannot be written: {error.strerror}") from error
    return load(home, name)


def load(home: Path, name: str) -> KeyPair:
    """The key pair stored in the home under this name; raises `HomeError` as `load_or_create` does."""
    path = home / "keys" / f"{name}.key"
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        secret = path.read_bytes().strip()
    except OSError as error:
        raise HomeError(f"{path}: cannot be read: {error.strerror}") from error
    if mode & 0o077:
        raise HomeError(f"{path}: others may read this secret key (mode {mode:04o}); run chmod 600 on it")
    return _pair(secret, path)


def of_attempt(supervisor: KeyPair, run: str, epoch: int) -> KeyPair:
    """The key pair of one attempt: HMAC-SHA256 under the supervisor's secret, used as a Curve25519 secret key."""
    secret = hmac.digest(supervisor.secret.encode(), f"{run}\n{epoch}".encode(), hashlib.sha256)
    return _pair(z85.encode(secret), None)


def _pair(secret: bytes, path: Path | None) -> KeyPair:
    try:
        return KeyPair(zmq.curve_public(secret).decode(), secret.decode())
    except (ValueError, zmq.ZMQError, UnicodeDecodeError) as error:
        raise HomeError(f"{path}: not a CURVE secret key; remove the file to have a new one made") from error
