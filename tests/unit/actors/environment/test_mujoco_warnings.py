"""MuJoCo's warnings go where the output of a run goes, and into no file of the working directory."""

import sys
from types import ModuleType

import gymnasium
import pytest

from lander.actors.environment.mujoco_warnings import print_warnings_of_mujoco
from lander.actors.host.environment_facts import EnvironmentFacts
from lander.actors.sb3.algorithms import build_environment, build_single_environment
from tests.support.recorded import recorded_arm

FORM = {"name": "baseline", "role": "baseline", "algorithm": "PPO", "seeds": [0], "training_steps": 64}


class FakeMujoco(ModuleType):
    """What of MuJoCo's module is used."""

    handler = None

    def get_mju_user_warning(self):
        return self.handler

    def set_mju_user_warning(self, handler):
        self.handler = handler


@pytest.fixture
def mujoco(tmp_path, monkeypatch):
    """The module, which is imported by that of an environment, `Heavy-v0`, and not before."""
    fake = FakeMujoco("mujoco")
    code = "import sys\nfrom gymnasium.envs.classic_control import CartPoleEnv\nsys.modules['mujoco'] = sys.fake\n"
    code += "def make(**rest):\n    assert sys.fake.handler, 'built before'\n    return CartPoleEnv(**rest)\n"
    (tmp_path / "heavy_environment.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "fake", fake, raising=False)
    monkeypatch.setitem(sys.modules, "mujoco", None)
    gymnasium.register("Heavy-v0", "heavy_environment:make")
    yield fake
    del gymnasium.registry["Heavy-v0"]
    sys.modules.pop("heavy_environment", None)


@pytest.mark.parametrize("build", [lambda arm: build_environment(arm, 0), build_single_environment, EnvironmentFacts().of])
def test_it_is_told_before_an_environment_is_built(mujoco, build, capsys):
    build(recorded_arm(FORM | {"environment": "Heavy-v0"}))
    mujoco.handler("an attribute is deprecated")
    assert capsys.readouterr().err == "MuJoCo: an attribute is deprecated\n"


def test_a_handler_of_somebody_else_stays(mujoco):
    mujoco.handler = mine = print
    print_warnings_of_mujoco("Heavy-v0")
    assert mujoco.handler is mine


@pytest.mark.parametrize("name", ["Nothing-v0", "no_such_module:Nothing-v0", "CartPole-v1"])
def test_nothing_happens_without_it(monkeypatch, name):
    monkeypatch.delitem(sys.modules, "mujoco", raising=False)
    print_warnings_of_mujoco(name)
