"""Whether the object store that somebody names can be used by this machine, before a supervisor begins to use it."""

import asyncio
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
        raise UsageError(f"--store {error}") from error
