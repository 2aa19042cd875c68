"""Is my variant better than the baseline? Supervised, fully recorded reinforcement-learning experiments.

    from lander import run

    result = run("examples/demo.yaml", seeds=range(5))
    print(result)

Importing this is light: what a name needs is imported when the name is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from lander.api.experiments import fork as fork
    from lander.api.experiments import report as report
    from lander.api.experiments import run as run
    from lander.api.experiments import validate as validate
    from lander.api.figures import Figure as Figure
    from lander.api.figures import Figures as Figures
    from lander.api.findings import Findings as Findings
    from lander.api.record_keeping import archive as archive
    from lander.api.record_keeping import hypothesis as hypothesis
    from lander.api.record_keeping import list_experiments as list_experiments
    from lander.api.record_keeping import note as note
    from lander.api.record_keeping import tag as tag
    from lander.api.record_keeping import unarchive as unarchive
    from lander.api.results import ArmOutcome as ArmOutcome
    from lander.api.results import Result as Result
    from lander.api.results import RunOutcome as RunOutcome
    from lander.api.targets import export as export
    from lander.api.targets import pause as pause
    from lander.api.targets import resume as resume
    from lander.api.targets import retry as retry
    from lander.api.targets import skip as skip
    from lander.api.targets import stop as stop
    from lander.experiments.specification import ExperimentSpec as Experiment
    from lander.protocol.errors import ConfigurationError as ConfigurationError
    from lander.protocol.errors import LanderError as LanderError
    from lander.protocol.errors import NotFoundError as NotFoundError

__all__ = [
    "ArmOutcome",
    "ConfigurationError",
    "Experiment",
    "Figure",
    "Figures",
    "Findings",
    "LanderError",
    "NotFoundError",
    "Result",
    "RunOutcome",
    "archive",
    "export",
    "fork",
    "hypothesis",
    "list_experiments",
    "note",
    "pause",
    "report",
    "resume",
    "retry",
    "run",
    "skip",
    "stop",
    "tag",
    "unarchive",
    "validate",
]

_HOMES: Final = {
    "ArmOutcome": "lander.api.results",
    "ConfigurationError": "lander.protocol.errors",
    "Experiment": "lander.experiments.specification",
    "Figure": "lander.api.figures",
    "Figures": "lander.api.figures",
    "Findings": "lander.api.findings",
    "LanderError": "lander.protocol.errors",
    "NotFoundError": "lander.protocol.errors",
    "Result": "lander.api.results",
    "RunOutcome": "lander.api.results",
    "archive": "lander.api.record_keeping",
    "export": "lander.api.targets",
    "fork": "lander.api.experiments",
    "hypothesis": "lander.api.record_keeping",
    "list_experiments": "lander.api.record_keeping",
    "note": "lander.api.record_keeping",
    "pause": "lander.api.targets",
    "report": "lander.api.experiments",
    "resume": "lander.api.targets",
    "retry": "lander.api.targets",
    "run": "lander.api.experiments",
    "skip": "lander.api.targets",
    "stop": "lander.api.targets",
    "tag": "lander.api.record_keeping",
    "unarchive": "lander.api.record_keeping",
    "validate": "lander.api.experiments",
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
