"""Validates hyperparameters by the tables of their algorithms.

Every error is one sentence, `found …; must be …`, at the name of the setting.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial
from typing import Annotated, Any, cast

from pydantic import BaseModel, ConfigDict, PlainValidator, TypeAdapter, ValidationError, create_model
from pydantic_core import InitErrorDetails

from lander.experiments.allowed import Type
from lander.experiments.hyperparameter_tables import ALGORITHMS
from lander.experiments.setting_types import Group
from lander.protocol.refusals import refusal


def accepted(algorithm: str, path: Sequence[str] = ()) -> tuple[str, ...]:
    """The names that an algorithm accepts, at the top or in the mapping at `path`; empty if there is no such mapping."""
    group: object = ALGORITHMS.get(algorithm)
    for name in path:
        group = group.settings.get(name) if isinstance(group, Group) else None
    return tuple(group.settings) if isinstance(group, Group) else ()


def validate_hyperparameters(algorithm: str, mapping: Mapping[str, object]) -> dict[str, object]:
    """`mapping` as plain data in one normal form, with the given values and no defaults.

    `algorithm` is a key of `ALGORITHMS`. Raises `pydantic.ValidationError`, located at the invalid settings.
    """
    settings = cast(dict[str, Any], _validated(ALGORITHMS[algorithm], mapping))
    conflicts = [
        InitErrorDetails(type=refusal(sentence), loc=path, input=settings) for path, sentence in _conflicts(algorithm, settings)
    ]
    if conflicts:
        raise ValidationError.from_exception_data(algorithm, conflicts)
    return settings


def _validated(group: Group, value: object) -> object:
    if isinstance(value, Mapping):
        return _model(group).model_validate(dict(value)).model_dump(mode="json", exclude_unset=True)
    return _alternative(group).validate_python(value)


@cache
def _alternative(group: Group) -> TypeAdapter[object]:
    return TypeAdapter(group.alternative)


@cache
def _model(group: Group) -> type[BaseModel]:
    fields: dict[str, Type] = {}
    for name, entry in group.settings.items():
        type_ = Annotated[Any, PlainValidator(partial(_validated, entry))] if isinstance(entry, Group) else entry
        fields[name] = (type_, ... if name in group.required else None)
    for name, reason in group.refused.items():
        if not name.startswith("_"):  # pydantic reserves such names; they are refused as unknown
            fields[name] = (Annotated[Any, PlainValidator(partial(_refuse, reason))], None)
    return create_model("Settings", __config__=ConfigDict(extra="forbid"), **fields)


def _refuse(reason: str, _: object) -> object:
    raise refusal(f"cannot be set here: {reason}")


def _conflicts(algorithm: str, given: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Settings that Stable-Baselines3 refuses, or silently ignores, in this combination."""
    n_envs, n_steps = given.get("n_envs", 1), given.get("n_steps", 0)
    policy_kwargs, noise = given.get("policy_kwargs") or {}, given.get("action_noise") or {}
    if "gae_lambda" in accepted(algorithm) and given.get("normalize_advantage", algorithm != "A2C"):
        if n_steps * n_envs == 1:
            yield ("n_steps",), "found 1 with n_envs 1; must be above 1 together when advantages are normalized"
        if given.get("batch_size") == 1:
            yield ("batch_size",), "found 1; must be at least 2 when advantages are normalized"
    if isinstance(given.get("train_freq"), list) and given["train_freq"][1] == "episode" and n_envs > 1:
        yield ("train_freq",), f"found a number of episodes with n_envs {n_envs}; must be steps, or n_envs 1"
    if given.get("optimize_memory_usage"):
        if (given.get("replay_buffer_kwargs") or {}).get("handle_timeout_termination", True):
            yield ("optimize_memory_usage",), "needs replay_buffer_kwargs: {handle_timeout_termination: false}"
        if n_steps > 1:
            yield ("optimize_memory_usage",), f"found true with n_steps {n_steps}; must be false, or n_steps 1"
    if policy_kwargs.get("squash_output") and not given.get("use_sde"):
        yield ("policy_kwargs", "squash_output"), "found true without use_sde; must be false, or use_sde true"
    own_optimizer = "optimizer_class" in policy_kwargs
    if algorithm == "A2C" and given.get("use_rms_prop", True) and policy_kwargs.get("optimizer_kwargs") and not own_optimizer:
        yield ("policy_kwargs", "optimizer_kwargs"), "has no effect on A2C's RMSprop; set use_rms_prop: false"
    if noise.get("type") == "normal":
        for name in sorted({"theta", "dt"} & noise.keys()):
            yield ("action_noise", name), "belongs to ornstein_uhlenbeck noise, and the type is normal"
