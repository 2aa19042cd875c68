"""Who may speak: every key that is known, and whose it is."""

from pathlib import Path

from lander.home import keys
from lander.supervisor.gate import Principal


class Principals:
    """The home's host and clients for good, and each attempt's trainer for as long as it counts.

    Raises `HomeError` where the home's keys cannot be had.
    """

    def __init__(self, home: Path, host: str) -> None:
        self.supervisor = keys.load_or_create(home, "supervisor")
        self.host = keys.load_or_create(home, "host")
        self._by_key = {
            self.host.public: Principal("host", name=host),
            keys.load_or_create(home, "client").public: Principal("client"),
        }
        self._trainers: dict[tuple[str, int], str] = {}

    def get(self, key: str) -> Principal | None:
        """Whose key it is, if anybody's."""
        return self._by_key.get(key)

    def admit(self, run: str, epoch: int) -> keys.KeyPair:
        """Have an attempt's trainer count; the same keys each time."""
        pair = keys.of_attempt(self.supervisor, run, epoch)
        self._by_key[pair.public] = Principal("trainer", run=run, epoch=epoch)
        self._trainers[run, epoch] = pair.public
        return pair

    def host_key(self, name: str) -> str | None:
        """The key of a host that may be told something."""
        found = (key for key, principal in self._by_key.items() if (principal.role, principal.name) == ("host", name))
        return next(found, None)

    def trainer(self, run: str, epoch: int) -> str | None:
        """The key of an attempt that counts."""
        return self._trainers.get((run, epoch))

    def revoke(self, run: str, epoch: int) -> str | None:
        """From now on the attempt does not count; returns the key that is nobody's now."""
        key = self._trainers.pop((run, epoch), None)
        if key is not None:
            del self._by_key[key]
        return key

    def __len__(self) -> int:
        return len(self._by_key)
