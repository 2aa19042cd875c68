"""How much room a run needs on the disk of its host to begin: what a host looks at, and what a supervisor is told."""

from typing import Final

MIN_FREE_MB: Final = 64.0
"""Less has no room for captured code, a log and a first checkpoint, for which a run that has begun would wait."""
