"""The algorithms: where their classes are, the actions they give, and their policies, one row for each.

Classes are named, not imported: a package is imported only where a model of it is built. What each algorithm accepts is in
`experiments/hyperparameter_tables.py`.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Final, NamedTuple

from lander.protocol.experiment import Arm

Place = str
"""Where a class is: `module:Class`."""


class Algorithm(NamedTuple):
    """A row of the table."""

    place: Place
    actions: tuple[str, ...]
    """The names of the action spaces of Gymnasium that it can give (`supported_action_spaces` in its constructor)."""
    policies: Mapping[str, Place]
    """Its policies, the default first, each with the class whose constructor says the defaults of `policy_kwargs`."""
    masks: bool = False
    """Whether the environment must say which actions are valid."""

    @property
    def package(self) -> str:
        """The top-level package that its class is in."""
        return self.place.partition(":")[0].partition(".")[0]

    @property
    def is_installed(self) -> bool:
        """Whether its package can be imported here; imports nothing."""
        return find_spec(self.package) is not None


_BOX: Final = ("Box",)
_DISCRETE: Final = ("Discrete",)
_CHOICES: Final = ("Discrete", "MultiDiscrete", "MultiBinary")
_ANY: Final = (*_BOX, *_CHOICES)


def _policies(place: Place, names: str = "MlpPolicy CnnPolicy MultiInputPolicy") -> Mapping[str, Place]:
    return dict.fromkeys(names.split(), place)


_ACTOR_CRITIC: Final = _policies("stable_baselines3.common.policies:ActorCriticPolicy")
_TD3: Final = _policies("stable_baselines3.td3.policies:TD3Policy")
_LSTM: Final = "MlpLstmPolicy CnnLstmPolicy MultiInputLstmPolicy"
_ARS: Final = {"MlpPolicy": "sb3_contrib.ars.policies:ARSPolicy", "LinearPolicy": "sb3_contrib.ars.policies:ARSLinearPolicy"}

ALGORITHMS: Final[Mapping[str, Algorithm]] = {
    "A2C": Algorithm("stable_baselines3.a2c.a2c:A2C", _ANY, _ACTOR_CRITIC),
    "ARS": Algorithm("sb3_contrib.ars.ars:ARS", ("Box", "Discrete"), _ARS),
    "CrossQ": Algorithm(
        "sb3_contrib.crossq.crossq:CrossQ", _BOX, _policies("sb3_contrib.crossq.policies:CrossQPolicy", "MlpPolicy")
    ),
    "DDPG": Algorithm("stable_baselines3.ddpg.ddpg:DDPG", _BOX, _TD3),
    "DQN": Algorithm("stable_baselines3.dqn.dqn:DQN", _DISCRETE, _policies("stable_baselines3.dqn.policies:DQNPolicy")),
    "MaskablePPO": Algorithm(
        "sb3_contrib.ppo_mask.ppo_mask:MaskablePPO",
        _CHOICES,
        _policies("sb3_contrib.common.maskable.policies:MaskableActorCriticPolicy"),
        masks=True,
    ),
    "PPO": Algorithm("stable_baselines3.ppo.ppo:PPO", _ANY, _ACTOR_CRITIC),
    "QRDQN": Algorithm("sb3_contrib.qrdqn.qrdqn:QRDQN", _DISCRETE, _policies("sb3_contrib.qrdqn.policies:QRDQNPolicy")),
    "RecurrentPPO": Algorithm(
        "sb3_contrib.ppo_recurrent.ppo_recurrent:RecurrentPPO",
        _ANY,
        _policies("sb3_contrib.common.recurrent.policies:RecurrentActorCriticPolicy", _LSTM),
    ),
    "SAC": Algorithm("stable_baselines3.sac.sac:SAC", _BOX, _policies("stable_baselines3.sac.policies:SACPolicy")),
    "TD3": Algorithm("stable_baselines3.td3.td3:TD3", _BOX, _TD3),
    "TQC": Algorithm("sb3_contrib.tqc.tqc:TQC", _BOX, _policies("sb3_contrib.tqc.policies:TQCPolicy")),
    "TRPO": Algorithm("sb3_contrib.trpo.trpo:TRPO", _ANY, _ACTOR_CRITIC),
}

EXTRAS: Final[Mapping[str, str]] = {"sb3_contrib": "contrib"}
"""The packages that lander-ctl installs only if they are asked for, with the name of that extra."""


def algorithm_of(arm: Arm) -> Algorithm:
    """The row of an arm's algorithm. Of one that a package adds, only its class is known, which knows its policies."""
    return Algorithm(arm.algorithm_class, _ANY, {}) if arm.algorithm_class else ALGORITHMS[arm.algorithm]
