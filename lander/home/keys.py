"""CURVE keys: a process is identified on the wire by the key it holds.

The home stores three secrets, one line each: the supervisor's, the local host agent's, and the local clients'. A secret counts
only if nobody else can have read or replaced it: it and its directory belong to the user of this process, and to nobody else. A
trainer's key is derived from the supervisor's secret, the run and the epoch. So it is not stored, and a restarted supervisor
can derive it again.
"""

import hashlib
import hmac
import os
import stat
from pathlib import Path
from typing import Final, NamedTuple

import zmq
from zmq.utils import z85

from lander.home.durable_files import make_private, write_private
from lander.home.lock import exclusive
from lander.protocol.errors import HomeError

_MAX_BYTES: Final = 256


class KeyPair(NamedTuple):
    """A CURVE key pair, both halves Z85-encoded."""

    public: str
    secret: str


def load_or_create(home: Path, name: str) -> KeyPair:
    """The key pair stored in the home under this name; created at the first call.

    Raises `HomeError` if it cannot be written, is damaged, belongs to another user, or is open to others.
    """
    directory = home / "keys"
    path = directory / f"{name}.key"
    try:
        make_private(home)
        make_private(directory)
        check_private(directory, directory.stat(), "700")
        with exclusive(directory):  # a key that another process is about to use must stay
            if not os.path.lexists(path):
                write_private(path, zmq.curve_keypair()[1] + b"\n")
    except OSError as error:
        raise HomeError(f"{path}: cannot be written: {error.strerror}") from error
    return load(home, name)


def stored(home: Path) -> list[str]:
    """The names of the keys that are stored in the home; raises `HomeError` if that cannot be seen."""
    try:
        names = (path.name for path in (home / "keys").iterdir())
        return sorted(name.removesuffix(".key") for name in names if name.endswith(".key") and not name.startswith("."))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise HomeError(f"{home / 'keys'}: cannot be read: {error.strerror}") from error


def load(home: Path, name: str) -> KeyPair:
    """The key pair stored in the home under this name; raises `HomeError` as `load_or_create` does."""
    path = home / "keys" / f"{name}.key"
    try:
        check_private(path.parent, path.parent.stat(), "700")
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise HomeError(f"{path}: not a file, so not a secret key; remove it to have a new one made")
            check_private(path, found, "600")
            secret = file.read(_MAX_BYTES).strip()
    except OSError as error:
        raise HomeError(f"{path}: cannot be read: {error.strerror}") from error
    return _pair(secret, path)


def check_private(path: Path, found: os.stat_result, mode: str, what: str = "secret") -> None:
    """Raise `HomeError` unless what is `found` at this path belongs to this user alone; `mode` is what it should have."""
    if found.st_uid != os.geteuid():
        raise HomeError(
            f"{path}: belongs to user {found.st_uid}, who can read this {what}, and not to user {os.geteuid()}, who runs this;"
            " run as its owner, or choose another --home"
        )
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise HomeError(f"{path}: others may read this {what} (mode {stat.S_IMODE(found.st_mode):04o}); run chmod {mode} on it")


def of_attempt(supervisor: KeyPair, run: str, epoch: int) -> KeyPair:
    """The key pair of one attempt: HMAC-SHA256 under the supervisor's secret, used as a Curve25519 secret key."""
    return _derived(supervisor, f"{run}\n{epoch}")


def of_token(supervisor: KeyPair, token: str) -> KeyPair:
    """The key pair of whoever holds a token: derived as `of_attempt`, in a domain of its own, since no run is called so."""
    return _derived(supervisor, f"token\n{token}")


def _derived(supervisor: KeyPair, what: str) -> KeyPair:
    secret = hmac.digest(supervisor.secret.encode(), what.encode(), hashlib.sha256)
    return _pair(z85.encode(secret), None)


def pair_of(secret: str) -> KeyPair:
    """The key pair with this secret half (Z85); raises `HomeError` if it is none."""
    return _pair(secret.encode(), None)


def _pair(secret: bytes, path: Path | None) -> KeyPair:
    try:
        return KeyPair(zmq.curve_public(secret).decode(), secret.decode())
    except (ValueError, zmq.ZMQError, UnicodeDecodeError) as error:
        raise HomeError(f"{path}: not a CURVE secret key; remove the file to have a new one made") from error
