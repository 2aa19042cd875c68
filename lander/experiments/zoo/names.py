"""The names of the zoo beside ours: of algorithms, and of environments, whose packages the zoo imports by itself."""

import re
from collections.abc import Mapping
from typing import Final

ALGORITHMS: Final[Mapping[str, str]] = {
    "a2c": "A2C",
    "ars": "ARS",
    "crossq": "CrossQ",
    "ddpg": "DDPG",
    "dqn": "DQN",
    "ppo": "PPO",
    "ppo_lstm": "RecurrentPPO",
    "qrdqn": "QRDQN",
    "sac": "SAC",
    "td3": "TD3",
    "tqc": "TQC",
    "trpo": "TRPO",
}
"""Our name of each algorithm of the zoo."""
HER: Final = "her"
"""A file of the zoo's earlier versions, in which each entry names its algorithm as `model_class`."""

_ATARI: Final = r"ALE/.+|.+(NoFrameskip|Deterministic)-v[04]"
_REGISTERED_BY: Final[tuple[tuple[str, str], ...]] = (
    (_ATARI, "ale_py"),
    (r".+BulletEnv-v\d+", "pybullet_envs_gymnasium"),
    (r".+NoVel-v\d+", "rl_zoo3.import_envs"),
    (r"MiniGrid-.+|BabyAI-.+", "minigrid"),
    (r"(parking|highway|merge|roundabout|intersection|racetrack|exit|u-turn|two-way|lane-keeping)-.*v\d+", "highway_env"),
    (r"(Fetch|HandReach|HandManipulate|AdroitHand|PointMaze|AntMaze).*-v\d+", "gymnasium_robotics"),
    (r"Panda.+-v\d+", "panda_gym"),
    (r"donkey-.+", "gym_donkeycar"),
    (r"RocketLander-v\d+", "rocket_lander_gym"),
)
"""The module that registers the environments of a name; Gymnasium itself registers the others."""


def algorithm_named(name: str) -> str | None:
    """Our name of an algorithm, from the zoo's or ours; None if there is none."""
    if name.casefold() in ALGORITHMS:
        return ALGORITHMS[name.casefold()]
    ours = {each.casefold(): each for each in ALGORITHMS.values()}
    return ours.get(name.casefold())


def file_stem(name: str) -> str:
    """The name of the zoo's file for an algorithm, without its suffix: `ppo_lstm` also for `RecurrentPPO`."""
    folded = name.casefold()
    theirs = {ours.casefold(): zoo for zoo, ours in ALGORITHMS.items()}
    return theirs.get(folded, folded)


def without_module(environment: str) -> str:
    """`Id-v0` for `module:Id-v0`: the name of an environment in the zoo's files."""
    return environment.rpartition(":")[2]


def with_module(environment: str) -> str:
    """The environment with the module that registers it, as an experiment names it."""
    if ":" in environment:
        return environment
    module = next((module for pattern, module in _REGISTERED_BY if re.fullmatch(pattern, environment)), "")
    return f"{module}:{environment}" if module else environment


def is_atari(environment: str) -> bool:
    """Whether it is a game of the Arcade Learning Environment, for which the zoo has one entry, `atari`."""
    return environment.startswith("ale_py:") or re.fullmatch(_ATARI, without_module(environment)) is not None
