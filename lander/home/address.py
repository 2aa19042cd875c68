"""`supervisor.json`: where the running supervisor can be found. Left behind by a crash, it says where it *was*."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from lander.home.durable_files import unfinished

BEACON: Final = "supervisor.json"


@dataclass(frozen=True, slots=True)
class Address:
    """A supervisor's endpoint, process id and public key."""

    endpoint: str
    pid: int
    public_key: str

    @property
    def port(self) -> int:
        """The port of the endpoint."""
        return int(self.endpoint.rpartition(":")[2])


def write(home: Path, address: Address) -> None:
    """Write the address, whole or not at all; raises `OSError` where there is no room for it."""
    with unfinished(home / BEACON) as file:
        file.write_text(json.dumps(asdict(address)) + "\n", "utf-8")
        file.replace(home / BEACON)


def read(home: Path) -> Address | None:
    """The address, if there is one that can be read."""
    try:
        address = Address(**json.loads((home / BEACON).read_text("utf-8")))
        return address if address.port else None
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def remove(home: Path) -> None:
    """Remove the address."""
    (home / BEACON).unlink(missing_ok=True)
