"""What a fork may change. A fork is an experiment whose runs continue from the checkpoints of other runs.

The baseline continues unchanged and each variant with a change, so both share one past and differ in one thing. A checkpoint
can be loaded only into the same networks, optimizers, buffers and environments: a change may concern their use, not their
shape.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from lander.protocol.experiment import Arm, Origin
from lander.protocol.refusals import shown

_NETWORKS: Final = "the networks in the checkpoint would not fit"
_BUFFER: Final = "the replay buffer in the checkpoint would not fit"
_OPTIMIZER: Final = "the optimizer goes on as it is in the checkpoint"
_LAYERS: Final = "the checkpoint holds the episodes of environments with the layers that they had"
UNFIT: Final[Mapping[str, str]] = {
    **dict.fromkeys(("policy", "policy_kwargs", "use_sde"), _NETWORKS),
    **dict.fromkeys(("buffer_size", "optimize_memory_usage", "replay_buffer_class", "replay_buffer_kwargs"), _BUFFER),
    **dict.fromkeys(("use_rms_prop", "rms_prop_eps"), _OPTIMIZER),
    **dict.fromkeys(("wrappers", "vec_wrappers", "frame_stack", "monitor_kwargs"), _LAYERS),
    "vec_env": "what the checkpoint holds of the environments was captured where they were",
    "callbacks": "the checkpoint holds the state of as many callbacks as there were",
    "zero_policy": "it says where a training begins",
    "n_envs": "the checkpoint holds the episodes of as many environments as there were",
}
"""The hyperparameters that cannot change at a checkpoint, and why."""

ForkProblem = tuple[tuple[str | int, ...], str]
"""A location in an experiment, and what is wrong there."""


def fork_problems(origin: Origin, arms: Sequence[Arm]) -> Iterator[ForkProblem]:
    """The reasons why these arms, the baseline first, cannot continue from the origin's checkpoints."""
    forked = {branch.seed: branch.step for branch in origin.branches}
    for index, arm in enumerate(arms):
        if unknown := [seed for seed in arm.seeds if seed not in forked]:
            known = f"must be seeds that were forked, {', '.join(map(str, forked))}"
            words = f"found {unknown[0]}; {known}: have more trained in {origin.experiment}, and fork that anew"
            yield ("arms", index, "seeds"), words
        forked_at = max((forked[seed] for seed in arm.seeds if seed in forked), default=0)
        if arm.training_steps <= forked_at:
            least = f"must be more than {forked_at}, the step at which it was forked: training_steps=N"
            yield ("arms", index, "training_steps"), f"found {arm.training_steps}; {least}"
        for path, why in _changes(arms[0], arm):
            yield ("arms", index, *path), f"cannot be changed by a fork: {why}"


def _changes(baseline: Arm, variant: Arm) -> Iterator[tuple[tuple[str, ...], str]]:
    """The settings in which a variant differs from the baseline and must not."""
    for name in ("algorithm", "environment", "device"):
        if (before := getattr(baseline, name)) != getattr(variant, name):
            yield (name,), f"what is forked has {shown(before)}"
    if baseline.algorithm != variant.algorithm:
        return
    old, new = baseline.hyperparameters, variant.hyperparameters
    for name in dict.fromkeys((*old, *new)):
        if old.get(name) != new.get(name) and (why := _unfit(name, old.get(name), new.get(name))):
            yield ("hyperparameters", name), why


def _unfit(name: str, old: Any, new: Any) -> str:
    """Why this hyperparameter cannot change in this way; empty if it can."""
    match name:
        case "normalize":
            return _unfit_normalization(old, new)
        case "action_noise" if _is_ornstein_uhlenbeck(old) != _is_ornstein_uhlenbeck(new):
            return "Ornstein-Uhlenbeck noise remembers what it was, and other noise does not"
        case "ent_coef" if _is_learned(old) and _is_learned(new):
            return "it has been learned by now, and goes on as it is in the checkpoint"
    return UNFIT.get(name, "")


def _unfit_normalization(old: Any, new: Any) -> str:
    before, after = ((dict(each) if isinstance(each, Mapping) else {}) if each else None for each in (old, new))
    if before is None or after is None:
        return (
            "the checkpoint holds no statistics to go on with" if before is None else "what was learned is of normalized data"
        )
    changed = [key for key in ("norm_obs", "norm_obs_keys") if before.get(key) != after.get(key)]
    return "its statistics are of other observations" if changed else ""


def _is_ornstein_uhlenbeck(noise: Any) -> bool:
    return bool(noise) and noise["type"] == "ornstein_uhlenbeck"


def _is_learned(coefficient: Any) -> bool:
    """SAC's default is `auto`, which is learned; for PPO and A2C the coefficient is always a number."""
    return coefficient is None or isinstance(coefficient, str)
