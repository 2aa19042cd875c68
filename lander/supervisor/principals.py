"""Authorisation: every public key that the gate accepts, and its owner."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from lander.home import keys
from lander.supervisor.gate import Principal


class Principals:
    """The keys of the home's host and clients, which stay valid, those of enrolled hosts and of tokens, as the log has them,
    and of each trainer, valid while its attempt is current.

    Raises `HomeError` if the home's keys can be neither read nor created.
    """

    def __init__(self, home: Path, host: str) -> None:
        self.supervisor = keys.load_or_create(home, "supervisor")
        self.host = keys.load_or_create(home, "host")
        self._local = host
        self._by_key = {
            self.host.public: Principal("host", name=host),
            keys.load_or_create(home, "client").public: Principal("client"),
        }
        self._hosts: Mapping[str, str] = {}
        self._enrolled: dict[str, Principal] = {}
        self._tokens: dict[str, str] = {}
        self._trainers: dict[tuple[str, int], str] = {}
        self._barred: set[tuple[str, int]] = set()

    def get(self, key: str) -> Principal | None:
        """The owner of a key; None for an unknown key."""
        return self._by_key.get(key) or self._enrolled.get(key)

    def admit(self, run: str, epoch: int) -> keys.KeyPair:
        """Accept an attempt's trainer, unless it is barred; returns its key pair, the same pair each time."""
        pair = keys.of_attempt(self.supervisor, run, epoch)
        if (run, epoch) not in self._barred:
            self._by_key[pair.public] = Principal("trainer", run=run, epoch=epoch)
            self._trainers[run, epoch] = pair.public
        return pair

    def follow(self, hosts: Mapping[str, str], tokens: Iterable[str]) -> list[str]:
        """Accept these hosts, by name and key, and the holders of these tokens; returns the keys that are not accepted now."""
        for token in tokens:
            if token not in self._tokens:
                self._tokens[token] = keys.of_token(self.supervisor, token).public
        before = set(self._hosts.values())
        self._hosts = hosts
        self._enrolled = {self._tokens[token]: Principal("newcomer", name=token) for token in tokens}
        self._enrolled |= {key: Principal("host", name=name) for name, key in hosts.items()}
        return sorted(before - set(hosts.values()))

    def host_key(self, name: str) -> str | None:
        """The key under which a host receives messages; None for an unknown host."""
        return self.host.public if name == self._local else self._hosts.get(name)

    def trainer(self, run: str, epoch: int) -> str | None:
        """The key of a current attempt's trainer; None if the attempt is not current."""
        return self._trainers.get((run, epoch))

    def revoke(self, run: str, epoch: int) -> str | None:
        """Stop accepting an attempt's trainer, as the attempt is over; returns its key, None if it was not accepted."""
        self._barred.discard((run, epoch))
        return self._forget(run, epoch)

    def bar(self, run: str, epoch: int) -> str | None:
        """Stop accepting an attempt's trainer while the attempt lasts, also if it is admitted again; returns as `revoke`."""
        self._barred.add((run, epoch))
        return self._forget(run, epoch)

    def _forget(self, run: str, epoch: int) -> str | None:
        key = self._trainers.pop((run, epoch), None)
        if key is not None:
            del self._by_key[key]
        return key

    def __len__(self) -> int:
        return len(self._by_key)
