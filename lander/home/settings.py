"""`lander.toml` of a home: what people set for it. What each key may be is checked by those who use it."""

import tomllib
from pathlib import Path
from typing import Any

from lander.home.layout import SETTINGS
from lander.protocol.errors import ConfigurationError


def settings_of(home: Path) -> dict[str, Any]:
    """The settings, not checked; empty without the file. Raises `ConfigurationError` if it cannot be read."""
    path = home / SETTINGS
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):  # a home that is none is refused where it is used
        return {}
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}", file=str(path)) from error
