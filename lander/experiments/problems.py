"""The problems of an experiment as lines: file, field as the user wrote it, the value found, the values allowed."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from pydantic import ValidationError

from lander.experiments.allowed import Allowed
from lander.experiments.elsewhere import elsewhere
from lander.experiments.hyperparameters import accepted
from lander.experiments.overrides import as_hyperparameter
from lander.experiments.specification import EXPERIMENT_KEYS, ArmSpec, ExperimentSpec, HostsSpec, ResourceLimitsSpec
from lander.experiments.spellings import ARM_KEYS, SPELLINGS, Location, WrittenExperiment
from lander.protocol.errors import ConfigurationError
from lander.protocol.refusals import did_you_mean, shown

MAX_LINES: Final = 20  # of one message
MAX_LINE_LENGTH: Final = 1_000


def configuration_error(source: str, problems: Iterable[str]) -> ConfigurationError:
    """An error with one line for each distinct problem, up to `MAX_LINES`."""
    lines: dict[str, None] = {}
    for problem in problems:
        if len(lines) == MAX_LINES:
            lines[f"{source}: and more"] = None
            break
        lines[_printable(f"{source}: {problem}")] = None
    return ConfigurationError("\n".join(lines))


def _printable(line: str) -> str:
    """One line that any terminal can show, because a key in a file may contain control characters."""
    short = line if len(line) <= MAX_LINE_LENGTH else line[:MAX_LINE_LENGTH] + "…"
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in short)


_KINDS: Final = {
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "tuple_type": "a list",
    "invalid_key": "text, as every key",
}


def problem_lines(written: WrittenExperiment, error: ValidationError) -> Iterator[str]:
    for each in error.errors(include_url=False):
        location = each["loc"]
        match each["type"]:
            case "refused":
                problem = each["msg"]
            case "missing":
                problem = f"missing; must be {_allowed_words(location)}"
            case "extra_forbidden":
                problem = _unknown(written, location)
            case kind:
                problem = f"found {shown(each['input'])}; must be {_KINDS.get(kind, 'plain data')}"
        field = written.where(location)
        yield f"{field}: {problem}" if field else problem


def _allowed_words(location: Location) -> str:
    """The allowed values of a required field that is missing."""
    fields = ArmSpec.model_fields | ExperimentSpec.model_fields
    field = fields.get(str(location[-1]))
    words = [each.words for each in field.metadata if isinstance(each, Allowed)] if field else []
    return words[0] if words else (field and field.description) or "given"


def _unknown(written: WrittenExperiment, location: Location) -> str:
    """The message for an unknown key, with the most similar known key."""
    *outer, name = location
    match outer:
        case ["arms", int(index), "hyperparameters", *path]:
            algorithm = str(written.settings(written.arms[index])["algorithm"])
            known = accepted(algorithm, [str(step) for step in path])
            hint = elsewhere(name) or _beside(name, path) or did_you_mean(name, known)
            hint = hint or f"; must be one of {', '.join(sorted(known))}"
            return f"unknown {'key' if path else f'hyperparameter of {algorithm}'}{hint}"
        case ["arms", int()]:
            known = ARM_KEYS
        case ["arms", int(), "hosts"]:
            known = tuple(HostsSpec.model_fields)
        case ["resource_limits"]:
            known = tuple(ResourceLimitsSpec.model_fields)
        case _:
            known = (*EXPERIMENT_KEYS, *ARM_KEYS, *(key for spelling in SPELLINGS for key in spelling))
    hint = as_hyperparameter(name) or elsewhere(name) or did_you_mean(name, known)
    return "unknown key" + (hint or f"; must be one of {', '.join(known)}")


def _beside(name: object, path: Sequence[object]) -> str:
    """A hint for a setting that stands deeper than it should; otherwise empty."""
    if path:
        return as_hyperparameter(name)
    return f"; it stands beside the hyperparameters, as {name}" if name in (*ARM_KEYS, *EXPERIMENT_KEYS) else ""
