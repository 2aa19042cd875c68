"""Arms with other wrappers: compared by evaluations, which count the rewards of the environment, and not by training."""

import pytest

from lander.reports.analysis.comparability import obstacle
from tests.support.recorded import recorded


@pytest.mark.parametrize(("measure", "why"), [("evaluation", None), ("training", "environments")])
def test_other_wrappers_are_another_environment_only_where_returns_are_those_of_training(measure, why):
    form = {"environment": "CartPole-v1", "algorithm": "PPO", "training_steps": 100, "seeds": [0]}
    experiment = recorded(form | {"variants": {"clipped": {"wrappers": ["ClipRewardEnv"]}}})
    assert obstacle(experiment, experiment.variants[0], measure) == why
