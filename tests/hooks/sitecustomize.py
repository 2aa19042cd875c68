"""Imported by Python itself at its start; see the package."""

import importlib
import os
import sys

for hook in os.environ.get("LANDER_TEST_HOOKS", "").split():
    module, _, program = hook.partition("@")
    if program in sys.orig_argv:
        importlib.import_module(module)
