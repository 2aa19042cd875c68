"""Is my variant better than the baseline? Supervised, fully recorded reinforcement-learning experiments.

    from lander import run

    result = run("examples/demo.yaml", seeds=range(5))
    print(result)

Importing this is light: what a name needs is imported when the name is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from lander.api import ArmOutcome as ArmOutcome
    from lander.api import Result as Result
    from lander.api import RunOutcome as RunOutcome
    from lander.api import export as export
    from lander.api import fork as fork
    from lander.api import pause as pause
    from lander.api import report as report
    from lander.api import resume as resume
    from lander.api import retry as retry
    from lander.api import run as run
    from lander.api import skip as skip
    from lander.api import stop as stop
    from lander.api import validate as validate
    from lander.protocol.errors import ConfigurationError as ConfigurationError
    from lander.protocol.errors import LanderError as LanderError
    from lander.protocol.errors import NotFoundError as NotFoundError
    from lander.protocol.experiment import Experiment as Experiment
    from lander.reports.findings import Findings as Findings

__all__ = [
    "ArmOutcome",
    "ConfigurationError",
    "Experiment",
    "Findings",
    "LanderError",
    "NotFoundError",
    "Result",
    "RunOutcome",
    "export",
    "fork",
    "pause",
    "report",
    "resume",
    "retry",
    "run",
    "skip",
    "stop",
    "validate",
]

_HOMES: Final = {
    "ArmOutcome": "lander.api",
    "ConfigurationError": "lander.protocol.errors",
    "Experiment": "lander.protocol.experiment",
    "Findings": "lander.reports.findings",
    "LanderError": "lander.protocol.errors",
    "NotFoundError": "lander.protocol.errors",
    "Result": "lander.api",
    "RunOutcome": "lander.api",
    "export": "lander.api",
    "fork": "lander.api",
    "pause": "lander.api",
    "report": "lander.api",
    "resume": "lander.api",
    "retry": "lander.api",
    "run": "lander.api",
    "skip": "lander.api",
    "stop": "lander.api",
    "validate": "lander.api",
}
_NAMES: Final = {"Experiment": "ExperimentSpec"}
"""What is called otherwise where it stands: there, an `Experiment` is what is recorded."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), _NAMES.get(name, name))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
