"""Classes in an experiment file: `MODULE:CLASS`, `FILE.py:CLASS`, `package.module.Class`, or the short name of a known one.

What is recorded is `MODULE:CLASS`, and for a list of classes one mapping for each, from the name to its arguments.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Annotated, Any, Final

from pydantic import PlainValidator, WithJsonSchema

from lander.experiments.allowed import Type
from lander.protocol import recorded_names
from lander.protocol.named_code import LISTS, SINGLE
from lander.protocol.plain import is_text, plain
from lander.protocol.refusals import did_you_mean, refusal, shown

MAX_CLASSES: Final = 64
_NAME: Final = r"[A-Za-z_][A-Za-z0-9_.-]*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*"
_DOTTED: Final = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+"
_IN_FILE: Final = r"[^\n]*[^/\n]\.py:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*"
_MAX_LENGTH: Final = 200

Names = Mapping[str, str]


def _of(module: str, names: str) -> Names:
    return {name: f"{module}:{name}" for name in names.split()}


WRAPPERS: Final[Names] = {
    **_of(
        "gymnasium.wrappers",
        "AtariPreprocessing DelayObservation DiscretizeObservation DtypeObservation FilterObservation FlattenObservation"
        " FrameStackObservation GrayscaleObservation MaxAndSkipObservation NormalizeObservation RescaleObservation"
        " ReshapeObservation ResizeObservation TimeAwareObservation ClipAction DiscretizeAction RepeatAction RescaleAction"
        " StickyAction ClipReward NormalizeReward TimeLimit",
    ),
    **_of(
        "stable_baselines3.common.atari_wrappers",
        "AtariWrapper ClipRewardEnv EpisodicLifeEnv FireResetEnv MaxAndSkipEnv NoopResetEnv StickyActionEnv WarpFrame",
    ),
}
"""The wrappers of Gymnasium and Stable-Baselines3 whose arguments are plain data."""
VEC_WRAPPERS: Final[Names] = _of(
    "stable_baselines3.common.vec_env", "VecCheckNan VecExtractDictObs VecFrameStack VecMonitor VecTransposeImage"
)
CALLBACKS: Final[Names] = _of(
    "stable_baselines3.common.callbacks", "CheckpointCallback LogEveryNTimesteps StopTrainingOnMaxEpisodes"
)
EXTRACTORS: Final[Names] = _of("stable_baselines3.common.torch_layers", "CombinedExtractor FlattenExtractor NatureCNN")
BUFFERS: Final[Names] = _of("stable_baselines3.her.her_replay_buffer", "HerReplayBuffer")
OPTIMIZERS: Final[Names] = {
    **_of("torch.optim", "Adadelta Adagrad Adam AdamW Adamax NAdam RAdam RMSprop SGD"),
    **_of("stable_baselines3.common.sb2_compat.rmsprop_tf_like", "RMSpropTFLike"),
}
ACTIVATIONS: Final[Names] = {
    **recorded_names.ACTIVATIONS,
    **_of("torch.nn", "CELU Hardswish Hardtanh Mish PReLU ReLU6 SELU Sigmoid Softplus Softsign"),
    **{name: name for name in recorded_names.ACTIVATIONS.values()},
}


def class_type(words: str, known: Names, *, plain_names: tuple[str, ...] = ()) -> Type:
    """The pydantic type of one class; `words` say what it is. `plain_names` are recorded as they are."""
    names = {**{name: name for name in plain_names}, **known}
    schema = {**_name_schema(names), "description": _must_be(words, names)}
    return Annotated[str, PlainValidator(partial(_one, words, names)), WithJsonSchema(schema)]


def classes_type(words: str, known: Names) -> Type:
    """The pydantic type of a list of classes, each a name or a mapping of one name to its arguments."""
    name = _name_schema(known)
    arguments = {"type": ["object", "null"]}
    mapping = {
        "type": "object",
        "propertyNames": name,
        "additionalProperties": arguments,
        "minProperties": 1,
        "maxProperties": 1,
    }
    several = {"type": "array", "items": {"anyOf": [name, mapping]}, "maxItems": MAX_CLASSES}
    schema = {"anyOf": [name, mapping, several, {"type": "null"}], "description": f"a list, each {_must_be(words, known)}"}
    return Annotated[list[dict[str, Any]], PlainValidator(partial(_several, words, known)), WithJsonSchema(schema)]


def _name_schema(known: Names) -> dict[str, Any]:
    named = {"type": "string", "pattern": f"^(?:{_NAME}|{_DOTTED}|{_IN_FILE})$", "maxLength": _MAX_LENGTH}
    return {"anyOf": [{"enum": list(known)}, named]}


def _must_be(words: str, known: Names) -> str:
    return f"{words}: MODULE:CLASS, FILE.py:CLASS, or one of {', '.join(known)}"


def _one(words: str, known: Names, value: object) -> str:
    if isinstance(value, str) and len(value) <= _MAX_LENGTH and (name := _recorded(value, known)):
        return name
    if guess := did_you_mean(value, tuple(known)):
        raise refusal(f"found {shown(value)}; must be {words}, MODULE:CLASS or a known name{guess}")
    raise refusal(f"found {shown(value)}; must be {_must_be(words, known)}")


def _recorded(name: str, known: Names) -> str:
    """The name as it is recorded; empty if it is none."""
    if name in known:
        return known[name]
    if re.fullmatch(_NAME, name):
        return name
    module, _, last = name.rpartition(".")
    return f"{module}:{last}" if re.fullmatch(_DOTTED, name) else ""


def _several(words: str, known: Names, value: object) -> list[dict[str, Any]]:
    listed = value if isinstance(value, list | tuple) else [] if value is None else [value]
    if len(listed) > MAX_CLASSES:
        raise refusal(f"found {len(listed)} entries; must be at most {MAX_CLASSES}")
    return [_entry(words, known, each) for each in listed]


def _entry(words: str, known: Names, value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {_one(words, known, value): {}}
    if len(value) != 1:
        raise refusal(f"found {shown(value)}; must be one name with its arguments, as in {{NAME: {{ARGUMENT: VALUE}}}}")
    ((name, arguments),) = value.items()
    if not isinstance(arguments, Mapping | None) or not all(map(is_text, arguments or {})):
        raise refusal(f"found {shown(arguments)} as the arguments of {shown(name)}; must be a mapping")
    return {_one(words, known, name): plain(dict(arguments or {}))}


# --- names by files ---------------------------------------------------------------------------------------------------


def renamed_classes(hyperparameters: dict[str, Any], rename: Callable[[str, str], str]) -> dict[str, Any]:
    """The hyperparameters as they were written, with `rename(place, name)` in the place of each name of a class."""
    found = dict(hyperparameters)
    for setting in LISTS:
        if setting in found:
            found[setting] = _renamed_list(found[setting], setting, rename)
    for outer, *inner in SINGLE:
        value = found.get(outer)
        if not inner and isinstance(value, str):
            found[outer] = rename(outer, value)
        elif inner and isinstance(value, Mapping) and isinstance(value.get(inner[0]), str):
            found[outer] = {**value, inner[0]: rename(f"{outer}.{inner[0]}", value[inner[0]])}
    return found


def _renamed_list(written: object, setting: str, rename: Callable[[str, str], str]) -> object:
    if not isinstance(written, list | tuple):
        return _renamed_entry(written, setting, rename)
    return [_renamed_entry(each, f"{setting}[{index}]", rename) for index, each in enumerate(written)]


def _renamed_entry(written: object, place: str, rename: Callable[[str, str], str]) -> object:
    if isinstance(written, str):
        return rename(place, written)
    if isinstance(written, Mapping):
        return dict(_renamed_keys(written, place, rename))
    return written


def _renamed_keys(written: Mapping[Any, Any], place: str, rename: Callable[[str, str], str]) -> Iterator[tuple[Any, Any]]:
    for name, arguments in written.items():
        yield (rename(place, name) if isinstance(name, str) else name), arguments
