"""The model card of an agent (`README.md`): metadata for the Hub as YAML, and what its numbers are based on, for people."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from lander.actors.sb3.algorithm_table import algorithm_of
from lander.experiments.writing import arm_as_written
from lander.protocol.events import EvaluationFinished
from lander.protocol.experiment import Arm, RunKey
from lander.protocol.text import one_line
from lander.reports.render.markdown import fenced
from lander.reports.render.numbers import number, whole


class Recorded(NamedTuple):
    """A run of the same arm: its state, and its final evaluation if it has one."""

    run: RunKey
    state: str
    final: EvaluationFinished | None


class Agent(NamedTuple):
    """What the card describes: a saved model, its evaluation, and the other runs of its arm.

    `environment` is that of the evaluation. `interruptions` says how the run went on if it was interrupted. `evaluations`
    counts those of which the best model is the best. `without_film` says why there is no film; empty if there is one.
    """

    run: RunKey
    arm: Arm
    environment: str
    which: str
    step: int
    interruptions: str
    file: str
    normalized: bool
    evaluation: EvaluationFinished
    evaluations: int
    runs: Sequence[Recorded]
    without_film: str


def spread(evaluation: EvaluationFinished) -> float:
    """The standard deviation of the returns as Stable-Baselines3 computes it: of the population, `ddof=0`."""
    return float(np.std(evaluation.returns))


def model_card(agent: Agent) -> str:
    """The whole file."""
    import yaml

    head = yaml.safe_dump(_front_matter(agent), sort_keys=False, allow_unicode=True)
    return f"---\n{head}---\n\n" + "\n".join(_lines(agent)) + "\n"


def _front_matter(agent: Agent) -> dict[str, Any]:
    """The metadata of `huggingface_sb3`, which the Hub shows and searches."""
    evaluation = agent.evaluation
    metric = {
        "type": "mean_reward",
        "value": f"{evaluation.mean_return:.2f} +/- {spread(evaluation):.2f}",
        "name": "mean_reward",
        "verified": False,
    }
    result = {
        "task": {"type": "reinforcement-learning", "name": "reinforcement-learning"},
        "dataset": {"name": agent.environment, "type": agent.environment},
        "metrics": [metric],
    }
    return {
        "library_name": "stable-baselines3",
        "tags": [agent.environment, "deep-reinforcement-learning", "reinforcement-learning", "stable-baselines3", "lander-ctl"],
        "model-index": [{"name": agent.arm.algorithm, "results": [result]}],
    }


def _lines(agent: Agent) -> Iterator[str]:
    arm = agent.arm
    yield f"# **{arm.algorithm}** agent playing **{agent.environment}**"
    yield ""
    yield (
        f"The {agent.which} model of `{agent.run.id}`, after {agent.step:,} of {arm.training_steps:,} timesteps, trained with"
        " [Stable-Baselines3](https://github.com/DLR-RM/stable-baselines3) and recorded by lander-ctl."
    )
    if agent.interruptions:
        yield agent.interruptions
    yield from ("", "## Results", "", *_results(agent))
    yield from ("", "## Usage", "", *_usage(agent))
    yield from ("", "## Training", "", fenced(_configuration(arm), "yaml"))


def _results(agent: Agent) -> Iterator[str]:
    evaluation, first = agent.evaluation, agent.evaluation.first_seed
    episodes = len(evaluation.returns)
    yield (
        f"Mean return {number(evaluation.mean_return)}, standard deviation {number(spread(evaluation))} over {episodes:,}"
        f" episode{'s' if episodes > 1 else ''} without exploration, with the seeds {first} to {first + episodes - 1}."
        " That spread is of one policy over episodes, and not over trainings."
    )
    if agent.which == "best":
        yield (
            f"This model is the best of {agent.evaluations} evaluations in the same episodes, so its mean is higher than other"
            " episodes would give."
        )
    yield "" if agent.without_film else "`replay.mp4` shows the first of these episodes, and not the best."
    if agent.without_film:
        yield f"There is no film: {one_line(agent.without_film)}"
    yield from ("", *_beside(agent))


def _beside(agent: Agent) -> Iterator[str]:
    """All runs of the arm, so that nobody takes one seed for the algorithm."""
    finals = [each.final.mean_return for each in agent.runs if each.final is not None]
    yield f"It is one of {len(agent.runs)} training{'s' if len(agent.runs) > 1 else ''} with this configuration:"
    yield from ("", "| seed | state | mean return | episodes |", "|---|---|--:|--:|")
    for each in agent.runs:
        episodes = whole(len(each.final.returns)) if each.final else "–"
        value = number(each.final.mean_return) if each.final else "–"
        yield f"| {each.run.seed}{' (this)' if each.run == agent.run else ''} | {each.state} | {value} | {episodes} |"
    if len(finals) > 1:
        mean, deviation = number(float(np.mean(finals))), number(float(np.std(finals, ddof=1)))
        yield from ("", f"Over {len(finals)} seeds: mean {mean}, standard deviation {deviation}.")
    elif len(agent.runs) == 1:
        yield from ("", "One seed says nothing about the spread between trainings.")


def _usage(agent: Agent) -> Iterator[str]:
    lines = [
        "from huggingface_sb3 import load_from_hub",
        f"from {algorithm_of(agent.arm).package} import {agent.arm.algorithm}",
        "",
        f'model = {agent.arm.algorithm}.load(load_from_hub("USER/NAME", "{agent.file}"))',
    ]
    if agent.normalized:
        lines[1:1] = ["from stable_baselines3.common.vec_env import VecNormalize"]
        lines += [
            'env = VecNormalize.load(load_from_hub("USER/NAME", "vec_normalize.pkl"), env)  # your VecEnv',
            "env.training = env.norm_reward = False",
        ]
    yield fenced("\n".join(lines) + "\n", "python")
    yield ""
    yield (
        "This unpickles a part of the model, for which `load_from_hub` wants `TRUST_REMOTE_CODE=True` in the environment."
        " `lander-ctl evaluate FOLDER` plays it again without unpickling anything."
    )


def _configuration(arm: Arm) -> str:
    import yaml

    written = {name: value for name, value in arm_as_written(arm).items() if name not in ("name", "role")}
    return yaml.safe_dump(written, sort_keys=False, allow_unicode=True)
