"""The settings that stand beside `environment`: what its environments are wrapped in, and what may end a training on them.

They are hyperparameters, so that a variant inherits them and a report compares them. They do not belong to an algorithm: a
variant with another algorithm inherits them, too.
"""

from collections.abc import Iterator
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, Strict

from lander.experiments.allowed import Allowed, Type, integer_if_whole, one_of
from lander.experiments.class_names import CALLBACKS, VEC_WRAPPERS, WRAPPERS, classes_type
from lander.protocol.ending_rules import SETTINGS
from lander.protocol.experiment import Experiment

_STACK: Final = "a whole number of at least 1, or null for none"
_KEYWORDS: Final = "a list of keys of the infos that an environment gives"
_Frames = Annotated[int, Strict(), Field(ge=1, le=1000), BeforeValidator(integer_if_whole)]
WRAPPER_SETTINGS: Final[dict[str, Type]] = {
    "wrappers": classes_type("a wrapper of environments", WRAPPERS),
    "vec_wrappers": classes_type("a wrapper of vector environments (VecEnvWrapper)", VEC_WRAPPERS),
    "frame_stack": Annotated[_Frames | None, Allowed(_STACK)],
    "vec_env": Annotated[str, one_of("dummy", "subproc")],
    "callbacks": classes_type("a callback (BaseCallback)", CALLBACKS),
}
"""All of them but `monitor_kwargs`, which is a mapping of settings."""
MONITOR_SETTINGS: Final[dict[str, Type]] = {
    "info_keywords": Annotated[list[Annotated[str, Strict()]], Allowed(_KEYWORDS)],
}
BESIDE_ENVIRONMENT: Final = (*WRAPPER_SETTINGS, "monitor_kwargs", *SETTINGS)
"""The names of all of them."""
_ATARI: Final = ("ale_py:", "ALE/")


def usual_otherwise(experiment: Experiment) -> Iterator[str]:
    """A notice for each arm that learns Atari from raw pictures with a network for vectors."""
    for arm in experiment.arms:
        policy = arm.hyperparameters.get("policy", "MlpPolicy")
        pictures = arm.environment.startswith(_ATARI) and "obs_type" not in arm.environment_kwargs
        if pictures and policy == "MlpPolicy" and not arm.hyperparameters.get("wrappers"):
            usual = "wrappers: [AtariWrapper], frame_stack: 4 and policy: CnnPolicy are usual"
            flat = "MlpPolicy takes 100,800 numbers a picture there, which makes 12.9 M parameters"
            yield f"{arm.name} plays {arm.environment} from raw pictures, and {flat}; {usual}"
