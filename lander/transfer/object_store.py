"""The client of an object store, through which files can travel: S3, Google Cloud Storage, Azure, or a directory.

An object is named by the SHA-256 of its content, under a prefix that belongs to one home. It is complete or absent: a store
shows an upload when all of it has arrived. Credentials come from the environment or from the machine's own role; a URL with any
in it is refused.
"""

import asyncio
import hashlib
import re
from collections.abc import AsyncGenerator, Awaitable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import unquote, urlsplit

from lander.protocol.errors import LanderError, UsageError
from lander.protocol.text import cut, named, one_line

if TYPE_CHECKING:
    import obstore

T = TypeVar("T")
PIECE: Final = 5 << 20
"""The bytes of a request, the least that S3 allows. Where one fails, it alone is sent again."""
MAX_PIECES: Final = 9_000
"""S3 allows 10 000."""
AT_A_TIME: Final = 2
"""Pieces of a file that are sent at a time."""
PIECE_SECONDS: Final = 300.0
"""How long a request that carries a piece may take, since a link may be slow."""
ANSWER_SECONDS: Final = 30.0
"""How long any other request may take; and after so long, whether the store still answers is asked beside a piece."""
SMALL: Final = 1 << 16
"""An object of so many bytes is no piece: no link takes long for it."""
RETRY_SECONDS: Final = 10.0
"""How long a request that fails is repeated before that is said."""
MAX_WORDS: Final = 400
_PROBE: Final = "probe"
_SCHEMES: Final = ("s3", "gs", "az", "file")
_FORM: Final = "s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX or file:///DIRECTORY"
_EXTRA: Final = "an object store needs one more library: pip install 'lander-ctl[s3]'"


class ObjectStoreError(LanderError):
    """The store cannot be used now; the text has its own words."""


def check_url(url: str, source: str) -> str:
    """A URL that names an object store; raises `UsageError`, which names its source, for any other. No secret is repeated."""
    parts = urlsplit(url)
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise UsageError(f"{source}: has more than a bucket and a prefix; credentials come from the environment")
    where = parts.path.strip("/") if parts.scheme == "file" else parts.netloc
    if parts.scheme not in _SCHEMES or not where or (parts.scheme == "file" and parts.netloc):
        raise UsageError(f"{source}: {named(url)} is no object store; one is {_FORM}")
    return url


class ObjectStore:
    """The objects of one home, which is known by its supervisor's public key. Opened when it is first used.

    Every call raises `ObjectStoreError` if the store does not do what it is asked.
    """

    def __init__(self, url: str, server_key: str) -> None:
        self._url = url
        self._prefix = hashlib.sha256(server_key.encode()).hexdigest()[:16]
        self._opened: Any = None
        self._quick: Any = None
        """The same store for requests that carry no piece."""

    @property
    def url(self) -> str:
        """Where the store is."""
        return self._url

    async def put(self, name: str, file: IO[bytes], size: int) -> None:
        """Store what is read from a file as an object, in place of what was there."""
        with self._errors() as obstore:
            piece = max(PIECE, -(-size // MAX_PIECES))
            if size <= SMALL:
                await obstore.put_async(self._quick, self._key(name), file)
            else:
                how = {"chunk_size": piece, "max_concurrency": AT_A_TIME}
                await self._unless_silent(obstore.put_async(self._opened, self._key(name), file, **how))

    async def size(self, name: str) -> int | None:
        """The size of an object in bytes; None if there is none."""
        with self._errors() as obstore:
            try:
                return int((await obstore.head_async(self._quick, self._key(name)))["size"])
            except FileNotFoundError:
                return None

    async def read(self, name: str, offset: int = 0) -> AsyncGenerator[bytes, None]:
        """The content of an object from a byte on, in pieces; a server that does not give parts gives an error."""
        with self._errors() as obstore:
            options = {"range": {"offset": offset}} if offset else None
            found = await self._unless_silent(obstore.get_async(self._opened, self._key(name), options=options))
            pieces = aiter(found.stream(min_chunk_size=PIECE))
            while (piece := await self._unless_silent(anext(pieces, None))) is not None:
                yield bytes(piece)

    async def delete(self, name: str) -> None:
        """Delete an object; nothing happens if there is none."""
        with self._errors() as obstore, suppress(FileNotFoundError):
            await obstore.delete_async(self._quick, self._key(name))

    async def names(self) -> set[str]:
        """All objects of this home."""
        with self._errors() as obstore:
            found: set[str] = set()
            async for each in obstore.list(self._quick, self._prefix):
                found |= {str(one["path"]).rpartition("/")[2] for one in each}
            return found

    async def prove(self) -> None:
        """Write, read and delete an object, so that a wrong name, key or right is found before it matters."""
        from io import BytesIO

        await self.put(_PROBE, BytesIO(_PROBE.encode()), len(_PROBE))
        if b"".join([piece async for piece in self.read(_PROBE)]) != _PROBE.encode():
            raise ObjectStoreError(f"{self._url}: gives back something else than what was put")
        await self.names()
        await self.delete(_PROBE)

    async def _unless_silent(self, carried: Awaitable[T]) -> T:
        """What a request that carries a piece returns, however slowly; raises `ObjectStoreError` once the store is silent.

        What has arrived of a piece cannot be seen from here, so the store is asked something else.
        """
        task = asyncio.ensure_future(carried)
        try:
            while not (await asyncio.wait({task}, timeout=ANSWER_SECONDS))[0]:
                await self.size(_PROBE)
            return task.result()
        finally:
            task.cancel()

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}"

    @contextmanager
    def _errors(self) -> "Iterator[obstore]":  # type: ignore[valid-type]  # a module is no type
        """Have the store open, and say its errors in one line that has no secret."""
        try:
            import obstore
            from obstore.exceptions import BaseError
        except ImportError as error:
            raise ObjectStoreError(f"{self._url}: {_EXTRA}") from error
        try:
            _check_directory(self._url)
            if self._opened is None:
                self._opened, self._quick = (_opened(self._url, seconds) for seconds in (PIECE_SECONDS, ANSWER_SECONDS))
            yield obstore
        except (BaseError, OSError, ValueError) as error:
            raise ObjectStoreError(f"{self._url}: {_words(str(error))}") from error


def _check_directory(url: str) -> None:
    """A directory that is missing is not made: it is not mounted (any more), and would fill this machine's own disk."""
    if url.startswith("file:") and not Path(unquote(urlsplit(url).path)).is_dir():
        raise FileNotFoundError("there is no such directory; make it, or mount it, first")


def _opened(url: str, seconds: float) -> Any:
    from obstore.store import LocalStore, from_url

    if url.startswith("file:"):
        return LocalStore.from_url(url)
    return from_url(
        url,
        client_options={
            "timeout": timedelta(seconds=seconds),
            "allow_http": True,  # only an endpoint of one's own has it
        },
        retry_config={
            "max_retries": 10,
            "retry_timeout": timedelta(seconds=RETRY_SECONDS),
            "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=3), "base": 2},
        },
    )


def _words(said: str) -> str:
    """What a store says, in one line, without what may be secret: signatures in queries, and keys in an answer."""
    plain = " ".join(said.partition("\n\nDebug source")[0].split())
    code, message = (re.search(f"<{name}>(.*?)</{name}>", plain) for name in ("Code", "Message"))
    answer = ": ".join(found[1] for found in (code, message) if found is not None)
    beginning = re.sub(r"\?\S*", "", plain.partition("<")[0])
    return cut(one_line(beginning + answer), MAX_WORDS)
