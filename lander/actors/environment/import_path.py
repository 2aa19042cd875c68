"""Where modules are looked for that register environments (`module:EnvId`): where their experiment was submitted."""

import sys


def add_import_path(directory: str) -> None:
    """Let modules in this directory be imported, too; last of all, so that none shadows one that is installed."""
    if directory and directory not in sys.path:
        sys.path.append(directory)
