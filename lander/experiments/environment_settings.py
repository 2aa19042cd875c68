"""The settings that stand beside `environment`: what its environments are wrapped in, and the classes that training calls.

They are hyperparameters, so that a variant inherits them and a report compares them. They do not belong to an algorithm: a
variant with another algorithm inherits them, too.
"""

from typing import Annotated, Final

from pydantic import Field, Strict

from lander.experiments.allowed import Allowed, Type, one_of
from lander.experiments.class_names import CALLBACKS, VEC_WRAPPERS, WRAPPERS, classes_type

_STACK: Final = "a whole number of at least 1, or null for none"
_KEYWORDS: Final = "a list of keys of the infos that an environment gives"
WRAPPER_SETTINGS: Final[dict[str, Type]] = {
    "wrappers": classes_type("a wrapper of environments", WRAPPERS),
    "vec_wrappers": classes_type("a wrapper of vector environments (VecEnvWrapper)", VEC_WRAPPERS),
    "frame_stack": Annotated[Annotated[int, Strict(), Field(ge=1, le=1000)] | None, Allowed(_STACK)],
    "vec_env": Annotated[str, one_of("dummy", "subproc")],
    "callbacks": classes_type("a callback (BaseCallback)", CALLBACKS),
}
"""All of them but `monitor_kwargs`, which is a mapping of settings."""
MONITOR_SETTINGS: Final[dict[str, Type]] = {
    "info_keywords": Annotated[list[Annotated[str, Strict()]], Allowed(_KEYWORDS)],
}
BESIDE_ENVIRONMENT: Final = (*WRAPPER_SETTINGS, "monitor_kwargs")
"""The names of all of them."""
