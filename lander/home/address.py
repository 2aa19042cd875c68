"""`supervisor.json`: the address of the running supervisor. After a crash the file remains, with the last address."""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from lander.home.durable_files import unfinished

ADDRESS_FILE: Final = "supervisor.json"


@dataclass(frozen=True, slots=True)
class Address:
    """A supervisor's endpoint for this machine, its process id and public key, and where it listens for other machines.

    `listen` is the interface and port, `advertise` what others are to connect to; both are empty without other machines.
    `lost_seconds` is the silence after which one of these may be given up; None if that was not said. `object_store` is the URL
    of the store through which their files go; empty: they go directly.
    """

    endpoint: str
    pid: int
    public_key: str
    listen: str = ""
    advertise: str = ""
    lost_seconds: float | None = None
    object_store: str = ""

    @property
    def port(self) -> int:
        """The port of the endpoint."""
        return int(self.endpoint.rpartition(":")[2])


def host_and_port(text: str) -> tuple[str, int] | None:
    """The two of `HOST:PORT`; None for anything else. The host is a name or an address of IPv4."""
    found = re.fullmatch(r"([A-Za-z0-9.-]{1,253}):([0-9]{1,5})", text)
    return (found[1], int(found[2])) if found is not None and int(found[2]) < 1 << 16 else None


def write(home: Path, address: Address) -> None:
    """Write the address atomically; raises `OSError` if there is no space for it."""
    with unfinished(home / ADDRESS_FILE) as file:
        file.write_text(json.dumps(asdict(address)) + "\n", "utf-8")
        file.replace(home / ADDRESS_FILE)


def read(home: Path) -> Address | None:
    """The address; None if the file is missing or invalid."""
    try:
        address = Address(**json.loads((home / ADDRESS_FILE).read_text("utf-8")))
        return address if address.port else None
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def remove(home: Path) -> None:
    """Remove the address."""
    (home / ADDRESS_FILE).unlink(missing_ok=True)
