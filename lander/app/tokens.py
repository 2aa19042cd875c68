"""Tokens for workers on other machines: issue one, revoke one."""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from lander.app.client import connected, operator, running
from lander.app.launchers import own_address
from lander.home import address, keys, tokens
from lander.protocol.commands import IssueToken, RevokeToken
from lander.protocol.errors import ConflictError, NotFoundError, UsageError
from lander.store.log.reader import Reader
from lander.store.records.issued_tokens import issued_tokens

_SHOWN: Final = 5
LISTEN: Final = "lander-ctl up --listen 0.0.0.0:7411 --advertise HOST:7411"


@dataclass(frozen=True, slots=True)
class Issued:
    """A token, and the HOST:PORT at which its holder finds the supervisor."""

    token: tokens.Token
    head: str

    @property
    def only_here(self) -> bool:
        """Whether nothing but this machine can dial the head."""
        return self.head.startswith("127.") or self.head.startswith("localhost:")


def issue(home: Path, *, name: str, seconds: float, uses: int) -> Issued:
    """Have the home's supervisor accept a new token; raises `ConflictError` if it listens for no other machine."""
    try:
        command = IssueToken(token=secrets.token_hex(8), name=name, uses=uses, seconds=seconds, operator=operator())
    except ValidationError as error:
        raise UsageError(
            f"--name {name}: a host's name is letters, digits, . _ -, at most 64, and begins with none of . _ -"
        ) from error
    if running(home) is None:
        raise NotFoundError(f"{home}: no supervisor is running; start one with {LISTEN}")
    with connected(home) as client:
        here = address.read(home)
        if here is None or not here.listen:
            raise ConflictError(f"{home}: its supervisor listens for no other machine; lander-ctl down, then {LISTEN}")
        client.ask(command)
    return Issued(tokens.issued(keys.load(home, "supervisor"), command.token), here.advertise or dialled(here.listen))


def dialled(listen: str) -> str:
    """What others dial where nothing is advertised: where every address of this machine listens, one of these."""
    address, _, port = listen.rpartition(":")
    return f"{own_address()}:{port}" if address == "0.0.0.0" else listen


def revoke(home: Path, token: str) -> str:
    """Have a token let nobody in any more; returns whom it has let in, in words."""
    try:
        command = RevokeToken(token=token, operator=operator())
    except ValidationError as error:
        raise UsageError(f"--revoke {token}: the id of a token is 16 hexadecimal digits{_known(home)}") from error
    with connected(home) as client:
        return client.ask(command).detail


def _known(home: Path) -> str:
    """The last tokens that people have made here, each with the name that it gives."""
    with Reader(home) as reader:
        found = issued_tokens(reader)[-_SHOWN:]
    named = [f"{token} ({name or 'for any name'})" for token, name in found]
    return f"; the last ones made here: {', '.join(named)}" if named else ""
