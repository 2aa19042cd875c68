"""What an algorithm needs of its environment, and of the machine: spaces that fit, masks, and its package."""

from collections.abc import Iterator, Mapping
from typing import Final

from gymnasium import spaces

from lander.actors.host.environment_facts import MASKS, REWARD, Facts, Space
from lander.actors.host.environment_problems import Problem, constructor_arguments
from lander.actors.sb3.algorithm_table import ALGORITHMS, EXTRAS, algorithm_of
from lander.actors.sb3.defaults import GOAL_BUFFER, setting
from lander.protocol.experiment import Arm
from lander.protocol.refusals import shown

ACTIONS: Final[Mapping[str, tuple[type[Space], ...]]] = {
    name: tuple(getattr(spaces, each) for each in row.actions) for name, row in ALGORITHMS.items()
}
"""The action spaces of each algorithm."""
OBSERVATIONS: Final = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)
"""The observation spaces that SB3's `preprocess_obs` accepts, alone or as the values of one Dict."""

GOAL_KEYS: Final = ("observation", "achieved_goal", "desired_goal")


def package_problems(arm: Arm) -> Iterator[Problem]:
    """Whether the package of the algorithm is installed; imports nothing."""
    algorithm = algorithm_of(arm)
    if not algorithm.is_installed:
        extra = EXTRAS.get(algorithm.package)
        install = f': pip install "lander-ctl[{extra}]"' if extra else ""
        yield "algorithm", f"found {shown(arm.algorithm)}; its package {algorithm.package} is not installed here{install}"


def method_problems(arm: Arm, environment: Facts) -> Iterator[Problem]:
    """What the environment lacks that the algorithm asks of it."""
    if algorithm_of(arm).masks and MASKS not in environment.methods:
        lacks = f"{arm.environment} has no method {MASKS}() that says which actions are valid"
        yield "algorithm", f"found {shown(arm.algorithm)}; {lacks}; give it one, or a wrapper that has one"
    if replays_goals(arm) and not (_shows_goals(environment.observations) and REWARD in environment.methods):
        needs = f"needs an environment that shows a Dict of {', '.join(GOAL_KEYS)} and has a method {REWARD}()"
        yield "hyperparameters.replay_buffer_class", f"found HerReplayBuffer; it {needs}; {arm.environment} does not"


def replays_goals(arm: Arm) -> bool:
    """Whether the replay buffer of the arm is one of goals."""
    return arm.hyperparameters.get("replay_buffer_class") == GOAL_BUFFER


def _shows_goals(space: Space) -> bool:
    return isinstance(space, spaces.Dict) and set(GOAL_KEYS) <= space.spaces.keys()


def observation_problems(arm: Arm, space: Space) -> Iterator[Problem]:
    """Whether the algorithm and the policy take such observations; a policy of somebody's own says so itself."""
    policy = str(setting(arm, "policy"))
    parts = list(space.spaces.values()) if isinstance(space, spaces.Dict) else [space]
    if not all(isinstance(part, OBSERVATIONS) for part in parts):
        kinds = ", ".join(kind.__name__ for kind in OBSERVATIONS)
        yield "environment", f"{arm.environment} shows {short(space)}; Stable-Baselines3 takes {kinds} or one Dict of them"
    elif ":" in policy or arm.algorithm_class:
        return
    elif not (fitting := [name for name in algorithm_of(arm).policies if _fits(name, space)]):
        yield "algorithm", f"found {shown(arm.algorithm)}; it has no policy for {short(space)}, which {arm.environment} shows"
    elif policy not in fitting:
        wanted = " or ".join(fitting)
        yield (
            "hyperparameters.policy",
            f"found {shown(policy)}; must be {wanted}, since {arm.environment} shows {short(space)}",
        )


def _fits(policy: str, space: Space) -> bool:
    """Whether a policy of this name takes such observations."""
    if isinstance(space, spaces.Dict) or policy.startswith("MultiInput"):
        return isinstance(space, spaces.Dict) and policy.startswith("MultiInput")
    return not policy.startswith("Cnn") or _is_image(space)


def _is_image(space: Space) -> bool:
    return isinstance(space, spaces.Box) and len(space.shape) == 3 and space.dtype == "uint8"


def action_problems(arm: Arm, space: Space) -> Iterator[Problem]:
    """Whether the algorithm gives such actions."""
    if arm.algorithm_class:
        return
    here = {arm.algorithm, *(name for name, row in ALGORITHMS.items() if row.is_installed)}
    able = [name for name, kinds in ACTIONS.items() if isinstance(space, kinds) and name in here]
    if not able:
        yield "environment", f"{arm.environment} takes {short(space)} actions, which no algorithm here can give"
    elif arm.algorithm not in able:
        wanted = f"must be one of {', '.join(able)} for the {short(space)} actions of {arm.environment}"
        yield "algorithm", f"found {shown(arm.algorithm)}; {wanted}{_other_actions(arm)}"
    elif isinstance(space, spaces.Box) and not space.is_bounded():
        yield "environment", f"{arm.environment} takes {short(space)} actions without bounds; Stable-Baselines3 needs bounds"


def _other_actions(arm: Arm) -> str:
    """The hint for environments that offer both discrete and continuous actions by an argument `continuous`."""
    if "continuous" not in constructor_arguments(arm.environment):
        return ""
    continuous = not arm.environment_kwargs.get("continuous", False)
    return f", or set environment_kwargs.continuous: {str(continuous).lower()}"


def short(space: Space) -> str:
    """A space without its bounds, which can be very long."""
    if isinstance(space, spaces.Dict):
        return f"Dict({', '.join(space.spaces)})"
    return f"Box{space.shape}" if isinstance(space, spaces.Box) else str(space)
