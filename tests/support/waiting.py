"""Waiting for what another process does, which nothing tells."""

import time

WAIT_SECONDS = 400.0
"""For what a loaded machine may take; only a failure takes as long."""


def wait(condition, what, seconds=WAIT_SECONDS):
    """What the condition returns once it is true; fails when it is not within so many seconds."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.1)
    return found
