"""Whether the object store that somebody names can be used by this machine, before a supervisor begins to use it."""

import asyncio
import os
from pathlib import Path

from lander.home import keys
from lander.protocol.errors import UsageError
from lander.transfer.object_store import ObjectStore, ObjectStoreError


def prove_store(home: Path, url: str) -> None:
    """Write, read, list and delete an object; raises `UsageError` with the store's own words if one of these fails."""
    store = ObjectStore(url, keys.load_or_create(home, "supervisor").public)
    try:
        asyncio.run(store.prove())
    except ObjectStoreError as error:
        raise UsageError(f"--store {error}{_without_key(url)}") from error


def _without_key(url: str) -> str:
    """A store of S3 without a key asks the machine for a role, and its error then speaks of that address."""
    lacks_key = url.startswith("s3:") and not os.environ.get("AWS_ACCESS_KEY_ID")
    return "; AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set, and ~/.aws is not read" if lacks_key else ""
