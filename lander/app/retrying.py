"""Try again what failed or was skipped: on the code that was captured, or on new code."""

from pathlib import Path

from lander.app import service
from lander.app.environment_code import capture_again, code_now, directories_of
from lander.protocol.commands import RetryTarget
from lander.store.log.reader import Reader


def retry(home: Path, target: str, *, new_code: bool) -> str:
    """Have a target tried again, with `new_code` on the code of its environments as it is now; returns what comes of it.

    On captured code that is no longer the code as it is now, that is said. Starts a supervisor if none runs. Raises
    `NotFoundError` for an unknown target, and `ConfigurationError` if there is no new code.
    """
    if new_code:
        code = capture_again(home, target)
        return service.go_on(home, RetryTarget.kind, target, code=code).detail
    name = target.partition("/")[0]
    with Reader(home) as reader:
        found = code_now(reader.experiment(name), directories_of(reader.execution(name)))
    return service.go_on(home, RetryTarget.kind, target, found=found).detail
