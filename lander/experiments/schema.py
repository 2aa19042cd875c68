"""The JSON Schema of an experiment file, for editors: every spelling, and what each algorithm accepts.

It is built from the types that the parser uses. The schema knows less than the parser: it does not compare settings with each
other (`batch_size` with `n_steps`), and it does not see that two arms have one name. It is stricter in one case: a setting at
the top level must be allowed for every arm, also where an arm replaces it. Draft 7, because editors support it in full.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from pydantic import TypeAdapter

from lander.experiments.devices import AUTO, NUMBERED
from lander.experiments.ending_settings import ENDING_SETTINGS
from lander.experiments.environment_settings import MONITOR_SETTINGS, WRAPPER_SETTINGS
from lander.experiments.hyperparameter_tables import ALGORITHMS
from lander.experiments.meanings import MEANINGS
from lander.experiments.schema_sharing import shared
from lander.experiments.setting_types import Group
from lander.experiments.specification import EXPERIMENT_KEYS, ArmSpec, ExperimentSpec
from lander.experiments.spellings import ARM_KEYS, MAX_ARMS, ZOO
from lander.experiments.zoo.files import KEYS as ZOO_KEYS
from lander.protocol.experiment import MAX_SEEDS, Origin
from lander.protocol.plain import MAX_INTEGER

Schema = dict[str, Any]

DIALECT: Final = "http://json-schema.org/draft-07/schema#"

_REQUIRED: Final = ("algorithm", "environment", "training_steps", "seeds")
_TWO_CONFIGURATIONS: Final = ("baseline_config", "variant_config")
_ONE_OF_EACH: Final = ("baseline", "variant", *_TWO_CONFIGURATIONS)
_SHORT: Final = ("baseline", "variants", "variant")
_CONSTRAINTS: Final = {"ge": "minimum", "le": "maximum", "gt": "exclusiveMinimum", "lt": "exclusiveMaximum"}
_GROUPED: Final = "^[1-9][0-9]*(_[0-9]+)+$"
"""A number such as 100_000 is text for an editor that reads YAML 1.2, and a number for lander-ctl."""
_SEED_RANGE: Final = "^ *[0-9]{1,10} *(- *[0-9]{1,10} *)?(, *[0-9]{1,10} *(- *[0-9]{1,10} *)?)*$"


def experiment_schema() -> Schema:
    """The schema of every file that `lander-ctl run` accepts, as plain data; what is in it several times is a reference."""
    return shared(whole_schema())


def whole_schema() -> Schema:
    """The same without references to types of settings."""
    settings = _arm_settings()
    arm = {"$ref": "#/definitions/arm"}
    spellings: Schema = {
        "baseline": arm,
        "variants": {
            "type": ["object", "null"],
            "propertyNames": {**_plain(ArmSpec, "name"), "not": {"const": "baseline"}},
            "additionalProperties": arm,
            "maxProperties": MAX_ARMS - 1,
        },
        "variant": arm,
        "baseline_config": arm,
        "variant_config": arm,
        "arms": {
            "type": "array",
            "items": [_listed_arm("baseline")],
            "additionalItems": _listed_arm("variant"),
            "minItems": 1,
            "maxItems": MAX_ARMS,
        },
    }
    properties = {**_experiment_settings(), **settings, **spellings}
    return {
        "$schema": DIALECT,
        "title": "An experiment of lander-ctl",
        "type": "object",
        "properties": {name: _described(name, schema) for name, schema in properties.items()},
        "additionalProperties": False,
        "allOf": [{"anyOf": [_short_form(), _two_configurations(), _list_of_arms()]}, _not_both_seeds(), *_by_algorithm()],
        "definitions": {
            "arm": _arm(settings),
            **{name: _group(group) for name, group in ALGORITHMS.items()},
        },
    }


def _arm(settings: Schema) -> Schema:
    """What stands under the name of an arm; nothing at all is an arm of the settings that all arms share."""
    return {
        "type": ["object", "null"],
        "properties": {name: _described(name, schema) for name, schema in settings.items()},
        "additionalProperties": False,
        "allOf": [_not_both_seeds(), *_own_algorithm()],
    }


# --- settings ---------------------------------------------------------------------------------------------------------


def _experiment_settings() -> Schema:
    found = {name: _plain(ExperimentSpec, name) for name in EXPERIMENT_KEYS}
    found["experiment_id"]["type"] = ["string", "null"]
    limits = found["resource_limits"]["properties"]
    found["resource_limits"]["properties"] = {name: _described(name, schema) for name, schema in limits.items()}
    found["evaluation_environment"] = _common_environment()
    found["origin"] = {"anyOf": [_cleaned(_inlined(Origin.model_json_schema())), {"type": "null"}]}
    return found


def _common_environment() -> Schema:
    """The name of an environment, a mapping of its name and arguments, or null."""
    settings = {name: _plain(ArmSpec, name) for name in ("environment", "environment_kwargs")}
    settings["environment_kwargs"]["type"] = ["object", "null"]
    mapping: Schema = {
        "type": ["object", "null"],
        "properties": {name: _described(name, schema) for name, schema in settings.items()},
        "required": ["environment"],
        "additionalProperties": False,
    }
    return {"anyOf": [settings["environment"], mapping]}


def _arm_settings() -> Schema:
    found = {name: _plain(ArmSpec, name) for name in ARM_KEYS if name in ArmSpec.model_fields}
    found |= {name: _type(type_) for name, type_ in WRAPPER_SETTINGS.items()}
    found["monitor_kwargs"] = _group(Group(MONITOR_SETTINGS))
    found |= {name: _group(group) for name, group in ENDING_SETTINGS.items()}
    numbers = {**found["seeds"], "minItems": 1, "maxItems": MAX_SEEDS, "uniqueItems": True}
    found["device"] = {"anyOf": [{"enum": ["cpu", "cuda", AUTO]}, {"type": "string", "pattern": f"^{NUMBERED}$"}]}
    found["seed"] = found["seeds"]["items"]
    found["seeds"] = {"anyOf": [numbers, {"type": "string", "pattern": _SEED_RANGE}]}
    found["hyperparameters"] = {"type": ["object", "null"]}  # its content depends on the algorithm
    found["environment_kwargs"]["type"] = ["object", "null"]
    wishes = found["hosts"]["properties"]
    found["hosts"]["properties"] = {name: _described(name, schema) for name, schema in wishes.items()}
    found["hosts"]["type"] = ["object", "null"]
    text = {"type": "string", "minLength": 1}
    found[ZOO] = {"type": "object", "properties": dict.fromkeys(ZOO_KEYS, text), "additionalProperties": False}
    return found


def _listed_arm(role: str) -> Schema:
    """An arm in the list `arms`, with its name and role."""
    own = {"name": _plain(ArmSpec, "name"), "role": {"const": role}}
    settings = {**own, **_arm_settings()}
    return {
        "type": "object",
        "properties": {name: _described(name, schema) for name, schema in settings.items()},
        "required": ["name", "role"],
        "additionalProperties": False,
        "allOf": [_not_both_seeds(), *_own_algorithm()],
    }


def _plain(model: type[ArmSpec] | type[ExperimentSpec], name: str) -> Schema:
    """The schema of one field of a model."""
    schema: Schema = _cleaned(_fields(model)[name])
    return schema


@cache
def _fields(model: type[ArmSpec] | type[ExperimentSpec]) -> Schema:
    """The schema that pydantic generates for a model's fields."""
    fields: Schema = _inlined(model.model_json_schema())["properties"]
    return fields


def _described(name: str, schema: Schema) -> Schema:
    return {"description": MEANINGS[name], **{key: value for key, value in schema.items() if key != "description"}}


def _group(group: Group) -> Schema:
    """A mapping of hyperparameters; `null`, or the group's alternative, may replace it."""
    settings = {name: _group(entry) if isinstance(entry, Group) else _type(entry) for name, entry in group.settings.items()}
    mapping: Schema = {"type": "object", "properties": settings, "additionalProperties": False}
    if group.required:
        mapping["required"] = sorted(group.required)
    instead = _type(group.alternative)
    words = instead.pop("description")
    if instead == {"type": "null"}:
        return {**mapping, "type": ["object", "null"]}
    return {"description": words, "anyOf": [instead, mapping]}


def _type(type_: Any) -> Schema:
    schema: Schema = _cleaned(TypeAdapter(type_).json_schema())
    return schema


# --- which settings go together ---------------------------------------------------------------------------------------


def _not_both_seeds() -> Schema:
    return {"not": {"type": "object", "required": ["seed", "seeds"]}}


def _short_form() -> Schema:
    required = [_any_of(_has(name), {"required": ["baseline"], "properties": {"baseline": _has(name)}}) for name in _REQUIRED]
    return {"allOf": [*required, *_without(*_TWO_CONFIGURATIONS, "arms")]}


def _two_configurations() -> Schema:
    required = [_any_of(_has(name), {"properties": dict.fromkeys(_TWO_CONFIGURATIONS, _has(name))}) for name in _REQUIRED]
    return {"required": list(_TWO_CONFIGURATIONS), "allOf": [*required, *_without(*_SHORT, "arms")]}


def _list_of_arms() -> Schema:
    required = [_any_of(_has(name), {"properties": {"arms": {"items": _has(name)}}}) for name in _REQUIRED]
    return {"required": ["arms"], "allOf": [*required, *_without(*_SHORT, *_TWO_CONFIGURATIONS)]}


def _any_of(*choices: Schema) -> Schema:
    return {"anyOf": list(choices)}


def _has(name: str) -> Schema:
    """The setting is given; `seed` counts as `seeds`, and an entry of the zoo gives all but these."""
    if name == "seeds":
        return {"type": "object", "anyOf": [{"required": ["seeds"]}, {"required": ["seed"]}]}
    return {"type": "object", "anyOf": [{"required": [name]}, {"required": [ZOO]}]}


def _without(*names: str) -> Iterator[Schema]:
    for name in names:
        yield {"not": {"required": [name]}}


# --- which hyperparameters --------------------------------------------------------------------------------------------


def _own_algorithm() -> Iterator[Schema]:
    """The rule for an arm that names its algorithm."""
    for algorithm in ALGORITHMS:
        yield {"if": _uses(algorithm), "then": _hyperparameters_of(algorithm)}


def _by_algorithm() -> Iterator[Schema]:
    """The rules for arms that inherit their algorithm from the top level or the baseline, and for top-level hyperparameters."""
    for algorithm in ALGORITHMS:
        accepts = _hyperparameters_of(algorithm)
        inherited = {"if": {"not": {"type": "object", "required": ["algorithm"]}}, "then": accepts}
        all_inherited: Schema = {**dict.fromkeys(("baseline", *_TWO_CONFIGURATIONS), inherited), "arms": {"items": inherited}}
        yield {"if": _uses(algorithm), "then": {"properties": {**accepts["properties"], **all_inherited}}}
        variants = {"properties": {"variant": inherited, "variants": {"additionalProperties": inherited}}}
        baseline_says = {"required": ["baseline"], "properties": {"baseline": {"type": "object", "required": ["algorithm"]}}}
        from_the_top = {"allOf": [_uses(algorithm), {"not": baseline_says}]}
        yield {"if": _any_of(from_the_top, _arm_uses("baseline", algorithm)), "then": variants}
        listed: Schema = {"required": ["arms"], "properties": {"arms": {"contains": _uses(algorithm)}}}
        not_this = {"additionalProperties": {"not": _uses(algorithm)}}
        among = {"required": ["variants"], "not": {"properties": {"variants": not_this}}}
        used = [*(_arm_uses(name, algorithm) for name in _ONE_OF_EACH), listed, among]
        yield {"if": _any_of(*used), "then": accepts}


def _uses(algorithm: str) -> Schema:
    return {"type": "object", "required": ["algorithm"], "properties": {"algorithm": {"const": algorithm}}}


def _arm_uses(name: str, algorithm: str) -> Schema:
    return {"required": [name], "properties": {name: _uses(algorithm)}}


def _hyperparameters_of(algorithm: str) -> Schema:
    return {"properties": {"hyperparameters": {"$ref": f"#/definitions/{algorithm}"}}}


# --- what pydantic writes → draft 7 -----------------------------------------------------------------------------------


def _inlined(schema: Schema) -> Schema:
    """The schema without references: each definition is copied to where it is used."""
    definitions = schema.pop("$defs", {})

    def inline(part: Any) -> Any:
        if isinstance(part, Mapping):
            if "$ref" in part:
                return inline({**definitions[part["$ref"].rpartition("/")[2]], **{k: part[k] for k in part if k != "$ref"}})
            return {key: inline(value) for key, value in part.items()}
        return [inline(each) for each in part] if isinstance(part, list) else part

    inlined: Schema = inline(schema)
    return inlined


def _cleaned(part: Any) -> Any:
    """Remove titles and bounds that are only integer limits, use the keywords of draft 7, and allow 100_000 for a number."""
    if isinstance(part, list):
        return [_cleaned(each) for each in part]
    if not isinstance(part, Mapping):
        return part
    found = {
        _CONSTRAINTS.get(key, key): _cleaned(value)
        for key, value in part.items()
        if not (key == "title" and isinstance(value, str)) and value != MAX_INTEGER
    }
    if "prefixItems" in found:
        found["items"] = found.pop("prefixItems")
    if found.get("type") in ("integer", "number"):
        found |= {"type": [found["type"], "string"], "pattern": _GROUPED}
    return found
