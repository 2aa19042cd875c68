"""Starting several jobs at once, where some can be refused and the others are started."""

import asyncio
from collections.abc import Awaitable, Mapping

from lander.supervisor.launchers.launcher import LauncherError


async def refusals(starts: Mapping[str, Awaitable[None]]) -> Mapping[str, str]:
    """Carry out the starts of jobs, by name; returns which were refused, and in which words.

    Raises `LauncherError` if all were, and whatever else one of them raises.
    """
    outcomes = await asyncio.gather(*starts.values(), return_exceptions=True)
    failures = {name: each for name, each in zip(starts, outcomes, strict=True) if isinstance(each, BaseException)}
    defects = [each for each in failures.values() if not isinstance(each, LauncherError)]
    if defects or len(failures) == len(starts):
        raise [*defects, *failures.values()][0]
    return {name: str(each) for name, each in failures.items()}
