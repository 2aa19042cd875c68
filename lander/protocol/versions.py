"""Which versions of the protocol between processes this release speaks, and what two of different releases tell each other.

All processes of one machine are of one release. A worker on another machine may be of another one, and says `Hello` first.
"""

from typing import Final

OLDEST: Final = 1
NEWEST: Final = 1
"""Raise it when a command changes its meaning or gets a field that the release before refuses; keep the one before spoken.

`tests/golden` has the frames of each version that releases speak.
"""


def release() -> str:
    """The version of this package, as installed."""
    from importlib.metadata import version

    return version("lander-ctl")


def common(oldest: int, newest: int) -> int | None:
    """The newest version that a peer which speaks these and this release have in common; None if there is none."""
    found = min(newest, NEWEST)
    return found if found >= max(oldest, OLDEST) else None


def refusal(their_release: str, oldest: int, newest: int) -> str:
    """What a peer is told with which there is no version in common."""
    return (
        f"the worker is lander-ctl {their_release} and speaks protocol {_spoken(oldest, newest)},"
        f" the supervisor is lander-ctl {release()} and speaks {_spoken(OLDEST, NEWEST)}:"
        f" pip install lander-ctl=={release()} on the worker's machine"
    )


def _spoken(oldest: int, newest: int) -> str:
    return str(newest) if oldest == newest else f"{oldest} to {newest}"
