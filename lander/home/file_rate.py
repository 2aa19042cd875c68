"""`file_rate` in `lander.toml` of a home: the most bytes per second that travel between it and all workers together."""

import re
import tomllib
from pathlib import Path
from typing import Final

from lander.home.layout import SETTINGS
from lander.protocol.errors import ConfigurationError
from lander.protocol.text import named

_UNITS: Final = {"kB/s": 10**3, "MB/s": 10**6, "GB/s": 10**9}
_FORM: Final = re.compile(rf"([0-9]{{1,9}}(?:\.[0-9]{{1,9}})?) ?({'|'.join(_UNITS)})", re.ASCII)


def file_rate(home: Path) -> int | None:
    """Bytes per second; None if the home sets no cap. Raises `ConfigurationError`."""
    path = home / SETTINGS
    try:
        return checked_rate(tomllib.loads(path.read_text("utf-8")).get("file_rate"), str(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}", file=str(path)) from error


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
