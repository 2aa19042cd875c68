"""In any process: what people write means something else than it did, and every default is another one."""

import pytest

from lander.experiments import hyperparameters, spellings
from lander.experiments.specification import ArmSpec, ExperimentSpec

FIELDS = {
    ArmSpec: {"device": "cuda"},  # first, since the next is built of it
    ExperimentSpec: {
        "on_failure": "abort",
        "max_retries": 0,
        "checkpoint_frequency": 7,
        "eval_episodes": 1,
        "stall_timeout": 1,
    },
}


def alter(patch: pytest.MonkeyPatch) -> None:
    """A successor more, hyperparameters and an algorithm fewer, other defaults of everything that may be left unsaid."""
    patch.setitem(spellings.SUCCESSORS, "CartPole-v1", spellings.Successor("Acrobot-v1", {}))
    for group in hyperparameters.ALGORITHMS.values():
        for name in ("n_steps", "policy_kwargs"):
            patch.delitem(group.settings, name)
    patch.delitem(hyperparameters.ALGORITHMS, "DQN")
    hyperparameters._model.cache_clear()
    for spec, defaults in FIELDS.items():
        for name, value in defaults.items():
            patch.setattr(spec.model_fields[name], "default", value)
        spec.model_rebuild(force=True)


def restore(patch: pytest.MonkeyPatch) -> None:
    """Everything as it was."""
    patch.undo()
    hyperparameters._model.cache_clear()
    for spec in FIELDS:
        spec.model_rebuild(force=True)


if __name__ == "altered_tables":  # imported into a process of a home
    alter(pytest.MonkeyPatch())
