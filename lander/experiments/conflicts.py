"""Hyperparameters that do not go together: an algorithm refuses them, or silently ignores one of them."""

from collections.abc import Iterator, Mapping
from typing import Any

from lander.experiments.class_names import BUFFERS
from lander.experiments.hyperparameter_tables import GOAL_SETTINGS
from lander.experiments.plug_ins import group_of

Conflict = tuple[tuple[str, ...], str]
"""A location among the hyperparameters, and what is wrong there."""
Settings = Mapping[str, Any]


def conflicts(algorithm: str, given: Settings) -> Iterator[Conflict]:
    """The conflicts among the settings that are given, of which each alone is allowed."""
    yield from _of_rollouts(algorithm, given)
    yield from _of_replay(given)
    yield from _of_networks(algorithm, given)
    noise = given.get("action_noise") or {}
    if noise.get("type") == "normal":
        for name in sorted({"theta", "dt"} & noise.keys()):
            yield ("action_noise", name), "belongs to ornstein_uhlenbeck noise, and the type is normal"


def _of_rollouts(algorithm: str, given: Settings) -> Iterator[Conflict]:
    n_envs = given.get("n_envs", 1)
    if "gae_lambda" in group_of(algorithm).settings and given.get("normalize_advantage", algorithm != "A2C"):
        if given.get("n_steps", 0) * n_envs == 1:
            yield ("n_steps",), "found 1 with n_envs 1; must be above 1 together when advantages are normalized"
        if given.get("batch_size") == 1:
            yield ("batch_size",), "found 1; must be at least 2 when advantages are normalized"
    if isinstance(given.get("train_freq"), list) and given["train_freq"][1] == "episode" and n_envs > 1:
        yield ("train_freq",), f"found a number of episodes with n_envs {n_envs}; must be steps, or n_envs 1"


def _of_replay(given: Settings) -> Iterator[Conflict]:
    n_steps, kind, arguments = (given.get(name) for name in ("n_steps", "replay_buffer_class", "replay_buffer_kwargs"))
    several = n_steps is not None and n_steps > 1
    if given.get("optimize_memory_usage"):
        if (arguments or {}).get("handle_timeout_termination", True):
            yield ("optimize_memory_usage",), "needs replay_buffer_kwargs: {handle_timeout_termination: false}"
        if kind == BUFFERS["HerReplayBuffer"]:
            yield ("optimize_memory_usage",), "found true with HerReplayBuffer; must be false"
        if several:
            yield ("optimize_memory_usage",), f"found true with n_steps {n_steps}; must be false, or n_steps 1"
    if several and kind:
        yield ("n_steps",), f"found {n_steps}, which has no effect with a replay_buffer_class; must be 1"
    if not kind:
        for name in sorted((arguments or {}).keys() & GOAL_SETTINGS):
            yield ("replay_buffer_kwargs", name), "belongs to replay_buffer_class: HerReplayBuffer"


def _of_networks(algorithm: str, given: Settings) -> Iterator[Conflict]:
    policy_kwargs = given.get("policy_kwargs") or {}
    if policy_kwargs.get("squash_output") and not given.get("use_sde") and algorithm != "ARS":
        yield ("policy_kwargs", "squash_output"), "found true without use_sde; must be false, or use_sde true"
    own_optimizer = "optimizer_class" in policy_kwargs
    if algorithm == "A2C" and given.get("use_rms_prop", True) and policy_kwargs.get("optimizer_kwargs") and not own_optimizer:
        yield ("policy_kwargs", "optimizer_kwargs"), "has no effect on A2C's RMSprop; set use_rms_prop: false"
    if policy_kwargs.get("shared_lstm") and policy_kwargs.get("enable_critic_lstm", True):
        yield ("policy_kwargs", "shared_lstm"), "found true with an LSTM of the critic's own; set enable_critic_lstm: false"
    if given.get("policy") == "LinearPolicy":
        for name in sorted({"net_arch", "activation_fn"} & policy_kwargs.keys()):
            yield ("policy_kwargs", name), "a LinearPolicy has one layer; must be left out, or policy MlpPolicy"
