"""Whether workers of one machine may offer the same cores, which they do not unless they are told to."""

import os
from typing import Final

SHARE: Final = "LANDER_SHARE_CORES"
"""The environment variable which says that workers take no locks: each may offer cores that others offer, too."""


def are_shared() -> bool:
    """Whether this process, and what it starts, may offer cores that others offer."""
    return bool(os.environ.get(SHARE))
