"""Reading a token from a file: it is as good as a key until it is used, so nobody else may be able to read it."""

import os
import sys
from pathlib import Path

from lander.home.keys import check_private
from lander.home.regular_file import open_regular
from lander.home.tokens import MAX_CHARACTERS, Token, parse
from lander.protocol.errors import UsageError


def read_token(file: str) -> Token:
    """The token in a file, or on standard input (`-`); raises `UsageError` if others can read the file, or it has no token."""
    if file == "-":
        return parse(sys.stdin.readline(MAX_CHARACTERS + 2))
    try:
        with open_regular(Path(file)) as opened:
            check_private(Path(file), os.fstat(opened.fileno()), "600", "token")
            content = opened.read(MAX_CHARACTERS + 2)
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror}") from error
    return parse(content.decode("ascii", "replace"))
