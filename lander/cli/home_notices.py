"""Why what is shown of a home may be out of date, or nothing goes on: the same words in every command that shows that."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lander.cli.options import CommandSettings

_LISTEN: Final = "lander-ctl down, then lander-ctl up --listen ADDRESS:PORT --advertise HOST:PORT"


def home_notices(settings: CommandSettings, *, under_way: bool) -> list[str]:
    """That the disk is full, that no supervisor runs although something that is shown is `under_way`, or may be otherwise by
    now, and that one runs which listens for no workers although there are some."""
    from lander.home.lock import is_full, is_locked

    full = f"lander-ctl: {settings.home}: no space left on the disk: trainers wait, and go on when there is room"
    carry_on = "lander-ctl up carries on"
    alone = f"lander-ctl: no supervisor is running: this is how things stood; {carry_on}"
    lines = [full] * is_full(settings.home)
    if under_way and not is_locked(settings.home):
        return [*lines, alone]
    return lines + ([f"lander-ctl: {words}"] if under_way and (words := workers_shut_out(settings.home)) else [])


def workers_shut_out(home: Path) -> str:
    """That the supervisor of a home does not listen for the workers that it has on other machines; empty if that is not so."""
    from lander.home import address
    from lander.home.lock import is_locked

    here = address.read(home)
    if here is None or here.listen or not is_locked(home):
        return ""
    from lander.app.host_table import workers

    names = workers(home)
    return f"{_workers(names)} cannot connect, since the supervisor does not listen for them: {_LISTEN}" if names else ""


def _workers(names: Sequence[str]) -> str:
    from lander.protocol.text import cut

    return f"{len(names)} worker{'s' if len(names) != 1 else ''} of other machines ({cut(', '.join(names), 60)})"
