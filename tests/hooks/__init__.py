"""What a test may have done in the processes of a home: to look into them, or to spoil them.

Python imports `sitecustomize` at every start where this directory is on its path; that imports what `LANDER_TEST_HOOKS` names,
as `MODULE@PROGRAM`, into the processes that run that program. The product itself knows nothing of it.
"""

import os
from pathlib import Path

HOOKS = "LANDER_TEST_HOOKS"
KEPT_BITS = "LANDER_TEST_BITS"
KILLED_ATTEMPTS = 7
"""Attempts that `kill_during_checkpoint` ends: as many as there are calls in a checkpoint that needs a new directory."""
_HERE = Path(__file__).parent


def install(monkeypatch, **hooks):
    """Have every process started from now on import a module of this directory: `module="lander.program"`, or several."""
    path = [str(_HERE), str(_HERE.parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
    named = [(module, program) for module, programs in hooks.items() for program in programs.split()]
    monkeypatch.setenv(HOOKS, " ".join(f"{module}@{program}" for module, program in named))
