"""How an experiment is carried out where nobody says otherwise."""

from typing import Any

from lander.protocol.events import Execution


def execution_with(**given: Any) -> Execution:
    """How to carry an experiment out: in parallel and watched, but for what is given; raises pydantic's `ValidationError`."""
    return Execution.model_validate({"mode": "parallel", "monitoring": True, **given})
