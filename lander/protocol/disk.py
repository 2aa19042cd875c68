"""Room on a disk: how much a run needs on its host to begin, and which errors say that there is none."""

import errno
from typing import Final

MIN_FREE_MB: Final = 64.0
"""Less has no room for captured code, a log and a first checkpoint, for which a run that has begun would wait."""
NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
"""The error numbers of a disk without room, or of a user who may use no more of it."""
