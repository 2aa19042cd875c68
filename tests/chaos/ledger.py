"""What trainers said and what was acknowledged to them, written outside of them; and whether the log agrees."""

import hashlib
import os
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from lander.store.log.reader import Reader

LEDGER = "LANDER_TEST_LEDGER"
"""The environment variable that names the file."""


def digest(kind: str, at: int, body: bytes) -> str:
    """Of an event, as it was put into the outbox and as it lies in the log."""
    return hashlib.sha256(b"%b %d %b" % (kind.encode(), at, body)).hexdigest()[:16]


@dataclass
class _Account:
    """One attempt's."""

    said: list[str] = field(default_factory=list)
    acknowledged: int = 0


@dataclass
class Audit:
    """What was found; `problems` in words, none where the log holds what it should."""

    acknowledged: int = 0
    stored: int = 0
    producers: int = 0
    problems: list[str] = field(default_factory=list)


def audit(home: Path) -> Audit:
    """Compare the ledger with the log: nothing acknowledged is missing, and nothing is there twice, or in another order."""
    accounts, stored, result = _accounts(), _stored(home), Audit()
    for key in sorted(accounts.keys() | stored.keys()):
        account, found = accounts[key], stored[key]
        result.producers += 1
        result.acknowledged += account.acknowledged
        result.stored += len(found)
        result.problems += [f"{key}: {problem}" for problem in _problems(account, found)]
    return result


def _problems(account: _Account, found: list[tuple[int, str]]) -> list[str]:
    problems = []
    if [seq for seq, _ in found] != list(range(1, len(found) + 1)):
        problems.append("its numbers in the log are not 1, 2, 3 …")
    if len(found) < account.acknowledged:
        problems.append(f"{account.acknowledged} events were acknowledged, {len(found)} are in the log: lost")
    if [event for _, event in found] != account.said[: len(found)]:
        problems.append("what is in the log is not what it said, in that order")
    return problems


def _accounts() -> dict[tuple[str, int], _Account]:
    accounts: dict[tuple[str, int], _Account] = defaultdict(_Account)
    path = Path(os.environ[LEDGER])
    for line in path.read_text().splitlines() if path.exists() else ():
        what, run, epoch, seq, *event = line.split()
        account = accounts[run, int(epoch)]
        if what == "said":
            account.said += event
            assert len(account.said) == int(seq)
        else:
            account.acknowledged = int(seq)
    return accounts


def _stored(home: Path) -> dict[tuple[str, int], list[tuple[int, str]]]:
    """What trainers have in the log, in its order."""
    stored: dict[tuple[str, int], list[tuple[int, str]]] = defaultdict(list)
    with Reader(home) as reader:
        for event in reader.events():
            if event.producer > 0:
                stored[event.stream, event.producer].append((event.seq, digest(event.kind, event.at, event.body)))
    return stored
