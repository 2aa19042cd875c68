"""How runs that came to nothing are tried again, in words: the same advice wherever a failure is shown."""

from collections.abc import Collection
from typing import Literal


def needs_new_code(causes: Collection[str | None]) -> bool:
    """Whether one of these causes is the code of an environment: what was captured of it would fail as it did."""
    return "environment_error" in causes


def how_to_retry(
    target: str, causes: Collection[str | None], them: Literal["it", "them"] = "them", *, captured: bool = True
) -> str:
    """The command that tries a target again whose runs ended of these causes, once that is mended, and what it does.

    `captured` is whether the code of its environments was captured.
    """
    if captured and needs_new_code(causes):
        return f"lander-ctl retry {target} --new-code begins {them} anew"
    return f"lander-ctl retry {target} tries {them} again"


def raise_limits(experiment: str, limits: Collection[str]) -> str:
    """What to change before runs go on that were ended because they exceeded these of an experiment's `resource_limits`."""
    fields = [f"resource_limits.{limit}" for limit in limits]
    command = f"lander-ctl run {experiment} {' '.join(f'{field}=N' for field in fields)}"
    return f"raise {' and '.join(fields)} in the experiment file, or by {command}"
