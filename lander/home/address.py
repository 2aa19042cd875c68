"""`supervisor.json`: where the running supervisor can be found. Left behind by a crash, it says where it *was*."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from lander.home.durable_files import unfinished

BEACON: Final = "supervisor.json"


@dataclass(frozen=True, slots=True)
class Beacon:
    """A supervisor's endpoint, process id and public key."""

    endpoint: str
    pid: int
    public_key: str

    @property
    def port(self) -> int:
        """The port of the endpoint."""
        return int(self.endpoint.rpartition(":")[2])


def light(home: Path, beacon: Beacon) -> None:
    """Write the beacon, whole or not at all; raises `OSError` where there is no room for it."""
    with unfinished(home / BEACON) as file:
        file.write_text(json.dumps(asdict(beacon)) + "\n", "utf-8")
        file.replace(home / BEACON)


def read(home: Path) -> Beacon | None:
    """The beacon, if there is one that can be read."""
    try:
        beacon = Beacon(**json.loads((home / BEACON).read_text("utf-8")))
        return beacon if beacon.port else None
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def extinguish(home: Path) -> None:
    """Remove the beacon."""
    (home / BEACON).unlink(missing_ok=True)
