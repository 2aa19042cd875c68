"""Environment variables, for libraries that are configured by them alone."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def only(prefix: str, **variables: str) -> Iterator[None]:
    """Of the variables that begin with `prefix`, only these inside; afterwards all are as they were.

    So what is exported does not depend on how a shell is set up, and nothing is sent anywhere.
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
