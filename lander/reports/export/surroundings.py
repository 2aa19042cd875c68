"""Environment variables, for libraries that have no other configuration."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def only(prefix: str, **variables: str) -> Iterator[None]:
    """Replace all variables that begin with `prefix` by these, and restore them afterwards.

    An export then does not depend on the user's shell, and sends nothing over the network.
    """
    before = {name: value for name, value in os.environ.items() if name.startswith(prefix)}
    _replace(prefix, variables)
    try:
        yield
    finally:
        _replace(prefix, before)


def _replace(prefix: str, variables: dict[str, str]) -> None:
    for name in [name for name in os.environ if name.startswith(prefix)]:
        del os.environ[name]
    os.environ.update(variables)
