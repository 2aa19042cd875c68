"""Makes the directory an experiment was submitted from a place to import environments from (`module:EnvId`)."""

import sys


def add_import_path(directory: str) -> None:
    """Append this directory to `sys.path`. It comes last, so that its modules do not shadow installed ones."""
    if directory and directory not in sys.path:
        sys.path.append(directory)
