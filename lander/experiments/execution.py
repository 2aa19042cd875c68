"""The default execution of an experiment."""

from typing import Any

from lander.protocol.events import Execution


def execution_with(**given: Any) -> Execution:
    """The execution with the given values, parallel and monitored by default; raises pydantic's `ValidationError`."""
    return Execution.model_validate({"mode": "parallel", "monitoring": True, **given})
