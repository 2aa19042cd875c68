"""Checks, before anything starts, whether an experiment can run with what is installed here.

`check` tests that the environment exists and takes its arguments, that algorithm and policy fit its spaces, and that the
device exists. `build_everything` builds every environment and every model, exactly as a trainer does.
"""

import contextlib
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gymnasium import spaces

from lander.actors.environment.import_path import CodeError, make_importable
from lander.actors.host.algorithm_problems import (
    action_problems,
    method_problems,
    observation_problems,
    package_problems,
    short,
)
from lander.actors.host.environment_facts import EnvironmentFacts, Space
from lander.actors.host.environment_problems import Problem, build_problem, one_line
from lander.actors.host.gpus import Gpus, torch_without_cuda
from lander.actors.host.replay_memory import memory_problems
from lander.actors.host.visible_gpus import VISIBLE
from lander.protocol.errors import ConfigurationError
from lander.protocol.experiment import Arm, EvaluationEnvironment, Experiment, HostWishes
from lander.protocol.named_code import named_code, names_classes
from lander.protocol.text import uncoloured

Announce = Callable[[str, str], object]
"""Called with the name of an arm and the field of it that is looked at next."""


def _to_nobody(arm: str, what: str) -> None:
    """Where nobody wants to know."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Built:
    """An arm as it was built for validation; `warnings` are those that were raised while it was built."""

    arm: str
    observations: str
    actions: str
    parameters: int
    warnings: tuple[str, ...]


def check(
    experiment: Experiment,
    source: str,
    directories: Sequence[str] = (),
    home: Path | None = None,
    announce: Announce = _to_nobody,
) -> None:
    """Raise `ConfigurationError`, one line per problem, if this installation cannot run the experiment.

    Modules of environments are also imported from `directories` (default: the working directory), and with a `home` from the
    code that was captured there, as its trainers do.
    """
    _make_modules_importable(experiment, source, directories, home)
    problems: dict[str, list[Problem]] = {}
    facts = EnvironmentFacts()
    for arm in experiment.arms:
        announce(arm.name, "environment")
        device = _device_problems(arm, experiment.wishes(arm.name))
        problems[arm.name] = [*package_problems(arm)] or [*device, *_problems(arm, experiment, facts)]
    _raise_problems(source, problems)
    if experiment.origin is not None:
        _raise_problems(source, {arm.name: list(_changed_spaces(experiment.baseline, arm, facts)) for arm in experiment.arms})
    if experiment.evaluation_environment is not None:
        announce(experiment.baseline.name, "evaluation_environment")
        unfit = _evaluation_problems(experiment.arms, experiment.evaluation_environment, facts)
        _raise_problems(source, {"": list(unfit)})


def _make_modules_importable(experiment: Experiment, source: str, directories: Sequence[str], home: Path | None) -> None:
    if not _names_modules(experiment):
        return  # then it does not matter what this process has imported
    with contextlib.suppress(FileNotFoundError):
        directories = [*filter(None, directories)] or [os.getcwd()]  # noqa: PTH109 - sys.path holds strings
    try:
        make_importable(home or Path(), experiment.code if home is not None else None, *directories)
    except CodeError as error:
        raise ConfigurationError(f"{source}: environment: {error}") from error


def _names_modules(experiment: Experiment) -> bool:
    return any(":" in name for arm in experiment.arms for name in named_code(arm, experiment.evaluation_environment))


def build_everything(
    experiment: Experiment,
    source: str,
    directories: Sequence[str] = (),
    home: Path | None = None,
    announce: Announce = _to_nobody,
) -> tuple[Built, ...]:
    """Build and discard the environment and model of each arm; call `check` first. Raises `ConfigurationError` for failures."""
    _make_modules_importable(experiment, source, directories, home)
    built: list[Built] = []
    problems: dict[str, list[Problem]] = {arm.name: [] for arm in experiment.arms}
    for arm in experiment.arms:
        try:
            built.append(_build(arm, announce))
        except Exception as error:
            problems[arm.name].append(_model_problem(error))
    _raise_problems(source, problems)
    return tuple(built)


def _raise_problems(source: str, problems: Mapping[str, list[Problem]]) -> None:
    """Raise `ConfigurationError` if there are problems; one that all arms share is reported once, others by arm."""
    lines: dict[str, None] = {}
    for name, found in problems.items():
        for field, sentence in found:
            shared = all((field, sentence) in theirs for theirs in problems.values())
            lines[f"{source}: {field if shared else f'{name}.{field}'}: {sentence}"] = None
    if lines:
        raise ConfigurationError("\n".join(lines))


def _device_problems(arm: Arm, wishes: HostWishes) -> Iterator[Problem]:
    """Whether the device is here. Who wishes for a kind of host knows of one that has it, perhaps not this one."""
    if arm.device == "cuda" and wishes == HostWishes() and (reason := _no_cuda()):
        yield "device", f"found 'cuda'; {reason}; must be cpu here, or hosts: {{gpu: true}} waits for a worker that has one"


def _problems(arm: Arm, experiment: Experiment, facts: EnvironmentFacts) -> Iterator[Problem]:
    try:
        environment = facts.of(arm)
    except Exception as error:
        yield build_problem(arm, error)
        return
    found = [*observation_problems(arm, environment.observations), *action_problems(arm, environment.actions)]
    found += [] if found else method_problems(arm, environment)
    anywhere = experiment.wishes(arm.name) == HostWishes()
    found += memory_problems(arm, environment, experiment.resource_limits.memory_mb, here=anywhere)
    yield from found
    if not found and names_classes(arm):
        yield from _building_problems(arm)


def _building_problems(arm: Arm) -> Iterator[Problem]:
    from lander.actors.sb3.algorithms import without_buffer
    from lander.actors.trainer.own_callbacks import build_callbacks

    try:
        _build(without_buffer(arm), _to_nobody)
        build_callbacks(arm)
    except Exception as error:
        yield _model_problem(error)


def _model_problem(error: Exception) -> Problem:
    """Why a model cannot be built, at the class that is to blame if one is."""
    place = getattr(error, "place", None)
    if isinstance(place, str):
        return f"hyperparameters.{place}", str(error)
    return "hyperparameters", f"cannot be built: {one_line(error)}"


def _changed_spaces(baseline: Arm, arm: Arm, facts: EnvironmentFacts) -> Iterator[Problem]:
    """Spaces of a fork's arm that differ from those of the policy it continues with."""
    if arm.environment_kwargs == baseline.environment_kwargs:
        return
    before, now = facts.of(baseline), facts.of(arm)
    for old, new, what in ((before.observations, now.observations, "shows"), (before.actions, now.actions, "takes")):
        if old != new:
            found = f"with these, {arm.environment} {what} {short(new)}, and where it was forked {short(old)}"
            yield "environment_kwargs", f"{found}; the policy would not fit"


def _evaluation_problems(arms: Sequence[Arm], common: EvaluationEnvironment, facts: EnvironmentFacts) -> Iterator[Problem]:
    """Why the policies of these arms cannot be evaluated in the common environment."""
    try:
        played = facts.of(arms[0].evaluated_in(common))
    except Exception as error:
        field, sentence = build_problem(arms[0].evaluated_in(common), error)
        yield field.replace("environment", "evaluation_environment.environment", 1), sentence
        return
    for arm in arms:
        trained = facts.of(arm)
        for _, sentence in method_problems(arm.evaluated_in(common), played):
            yield "evaluation_environment", sentence
        if not _shows_alike(trained.observations, played.observations) or trained.actions != played.actions:
            found, own = (f"{short(each.observations)} and takes {short(each.actions)}" for each in (played, trained))
            words = f"{common.environment} shows {found}, and {arm.name} is trained in {arm.environment}, which shows {own}"
            yield "evaluation_environment", f"{words}; its policy would not fit"


def _shows_alike(trained: Space, played: Space) -> bool:
    """Whether a policy takes the observations of both: their bounds may differ, their shape and type may not."""
    if isinstance(trained, spaces.Dict) and isinstance(played, spaces.Dict):
        same_keys = trained.spaces.keys() == played.spaces.keys()
        return same_keys and all(_shows_alike(space, played[key]) for key, space in trained.spaces.items())
    if isinstance(trained, spaces.Box) and isinstance(played, spaces.Box):
        return (trained.shape, trained.dtype) == (played.shape, played.dtype)
    return trained == played


def _no_cuda() -> str:
    if not Gpus().names:
        hidden = f", or none that {VISIBLE}={os.environ[VISIBLE]} names" if VISIBLE in os.environ else ""
        return f"this machine has no NVIDIA GPU with a working driver{hidden}"
    installed = torch_without_cuda()
    return f"the torch installed here ({installed}) was built without CUDA" if installed else ""


# --- building ---------------------------------------------------------------------------------------------------------


def _build(arm: Arm, announce: Announce) -> Built:
    from lander.actors.sb3.algorithms import build_environment, build_model, count_environments

    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always", UserWarning)
        announce(arm.name, "hyperparameters.n_envs" if count_environments(arm) > 1 else "environment")
        env = build_environment(arm, arm.seeds[0])
        announce(arm.name, "hyperparameters")
        try:
            model = build_model(arm, arm.seeds[0], env)
        finally:
            env.close()
    return Built(
        arm=arm.name,
        observations=short(env.observation_space),
        actions=short(env.action_space),
        parameters=sum(parameter.numel() for parameter in model.policy.parameters()),
        warnings=tuple(dict.fromkeys(" ".join(uncoloured(str(each.message)).split()) for each in raised)),
    )
