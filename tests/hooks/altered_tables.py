"""In any process: what people write means something else than it did, and every default is another one."""

import pytest

from lander.experiments import hyperparameters, successors
from lander.experiments.hyperparameter_tables import ALGORITHMS
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


TABLES = (
    successors.SUCCESSORS,
    ALGORITHMS,
    *(group.settings for group in ALGORITHMS.values()),
)
BEFORE = [dict(table) for table in TABLES]


def alter(patch: pytest.MonkeyPatch) -> None:
    """A successor more, hyperparameters and an algorithm fewer, other defaults of everything that may be left unsaid."""
    successors.SUCCESSORS["CartPole-v1"] = successors.Successor("Acrobot-v1", {})
    for group in ALGORITHMS.values():
        for name in ("n_steps", "policy_kwargs"):
            group.settings.pop(name, None)
    del ALGORITHMS["DQN"]
    for spec, defaults in FIELDS.items():
        for name, value in defaults.items():
            patch.setattr(spec.model_fields[name], "default", value)
    _forget()


def restore(patch: pytest.MonkeyPatch) -> None:
    """Everything as it was, in its order, too."""
    patch.undo()
    for table, before in zip(TABLES, BEFORE, strict=True):
        table.clear()
        table.update(before)
    _forget()


def _forget() -> None:
    """What pydantic has made of the tables is made again."""
    hyperparameters._model.cache_clear()
    for spec in FIELDS:
        spec.model_rebuild(force=True)


if __name__ == "altered_tables":  # imported into a process of a home
    alter(pytest.MonkeyPatch())
