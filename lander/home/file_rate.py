"""`file_rate` in `lander.toml` of a home: the most bytes per second that travel between it and all workers together."""

import re
from pathlib import Path
from typing import Final

from lander.home.layout import SETTINGS
from lander.home.settings import settings_of
from lander.protocol.errors import ConfigurationError
from lander.protocol.text import named

_UNITS: Final = {"kB/s": 10**3, "MB/s": 10**6, "GB/s": 10**9}
_FORM: Final = re.compile(rf"([0-9]{{1,9}}(?:\.[0-9]{{1,9}})?) ?({'|'.join(_UNITS)})", re.ASCII)


def file_rate(home: Path) -> int | None:
    """Bytes per second; None if the home sets no cap. Raises `ConfigurationError`."""
    return checked_rate(settings_of(home).get("file_rate"), str(home / SETTINGS))


def checked_rate(value: object, source: str) -> int | None:
    """The rate that this value says; None for none. Raises `ConfigurationError`."""
    if value is None:
        return None
    found = _FORM.fullmatch(value) if isinstance(value, str) else None
    rate = int(float(found[1]) * _UNITS[found[2]]) if found is not None else 0
    if rate < _UNITS["kB/s"]:
        raise ConfigurationError(
            f"{source}: file_rate: {named(str(value))}: is no rate of at least 1 kB/s, such as 500 kB/s, 20 MB/s or 1.5 GB/s",
            file=source,
        )
    return rate
