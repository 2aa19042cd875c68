"""Which versions a training depends on."""

from importlib.metadata import version

import pytest
from sb3_contrib import TQC
from stable_baselines3 import SAC

from lander.actors.state.library_versions import LIBRARY_VERSIONS, versions_of


@pytest.mark.parametrize(("algorithm", "more"), [(SAC, {}), (TQC, {"sb3-contrib": version("sb3-contrib")})])
def test_the_package_of_the_algorithm_is_among_them(algorithm, more):
    model = algorithm("MlpPolicy", "Pendulum-v1", buffer_size=1)
    assert versions_of(model) == LIBRARY_VERSIONS | more
