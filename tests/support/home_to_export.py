"""A home to export: two arms, one seed each; what counts of it is written down here by hand, what was superseded is 666."""

import math

from lander.protocol import events as e
from lander.protocol.experiment import EVALUATION_SEED
from lander.store.log.event_store import batch_of
from tests.support.written_homes import OTHER, RUN, attempt, checkpoint, queued_experiment, steps, write_log

SUPERSEDED = 666.0
HYPERPARAMETERS = {"learning_rate": 1e-3, "policy_kwargs": {"net_arch": [8, 8]}}

METRICS = {
    RUN: [
        (2, {"train/loss": 0.1 + 0.2, "time/fps": 100.0}),
        (4, {"train/loss": math.nan, "rollout/ep_rew_mean": -1.5}),
        (6, {"train/loss": math.inf, "rollout/ep_rew_mean": 7.0}),
        (8, {"train/loss": 2.5, "rollout/ep_rew_mean": 1e300}),
        (8, {"eval/mean_reward": 3.0}),
    ],
    OTHER: [(3, {"train/loss": -0.0})],
}
"""Of each run: the step and what the logger said there."""
EPISODES = {RUN: [(2, 2.5), (4, math.nan), (8, -math.inf)], OTHER: []}
"""Of each run: the step at its end, and its return."""
EVALUATIONS = {RUN: [(8, True, (1.5, 4.5), (3, 4))], OTHER: []}
"""Of each run: its step, whether it is the final one, returns and lengths."""


def metrics(step, **values):
    return e.MetricsLogged(step=step, values={name.replace("__", "/"): value for name, value in values.items()})


def logged(run, *steps_):
    """What the logger said of a run at these steps (all of them by default), as it counts."""
    return [e.MetricsLogged(step=step, values=values) for step, values in METRICS[run] if not steps_ or step in steps_]


def finished(last_step, value):
    return e.EpisodeFinished(env=0, first_step=last_step - 2, last_step=last_step, length=2, episode_return=value)


def first_attempt(home):
    """Killed at step 6; its checkpoint is at step 4."""
    words = [steps(0, 4), finished(*EPISODES[RUN][0]), finished(*EPISODES[RUN][1]), *logged(RUN, 2, 4), checkpoint(home, 4)]
    lost = [steps(4, 6, SUPERSEDED), finished(6, SUPERSEDED), metrics(6, train__loss=SUPERSEDED, lost__tag=SUPERSEDED)]
    evaluated = e.EvaluationFinished(step=6, first_seed=EVALUATION_SEED, returns=(SUPERSEDED,), lengths=(1,))
    return attempt(1, *words, *lost, evaluated)


def second_attempt(home):
    """Goes on from step 4 and completes."""
    evaluated = [
        e.EvaluationFinished(step=step, first_seed=EVALUATION_SEED, returns=returns, lengths=lengths, final=final)
        for step, final, returns, lengths in EVALUATIONS[RUN]
    ]
    words = [steps(4, 8), finished(*EPISODES[RUN][2]), *logged(RUN, 6, 8), *evaluated, checkpoint(home, 8)]
    yield from attempt(2, *words, from_step=4, from_episode=2, cause="completed")
    yield batch_of(RUN, e.RunCompleted())


def sample(epoch, memory_mb):
    usage = e.TrainerUsage(run=RUN, epoch=epoch, cpu_percent=99.5, memory_mb=memory_mb)
    machine = {"cpu_percent": 1.0, "memory_percent": 2.0, "memory_mb": 3.0, "disk_free_mb": 4.0}
    return batch_of("host:local", e.ResourcesSampled(**machine, trainers=(usage,)))


def told(home, **hyperparameters):
    """All of it: one run completed after an interruption, the other failed."""
    queued_experiment(home, baseline={"hyperparameters": HYPERPARAMETERS | hyperparameters})
    write_log(
        home,
        batch_of("x", e.ExperimentStarted()),
        *first_attempt(home),
        sample(1, 250.0),
        *second_attempt(home),
        sample(2, 260.0),
    )
    write_log(home, *attempt(1, steps(0, 4), *logged(OTHER), run=OTHER, cause="crashed"))
    write_log(
        home, batch_of(OTHER, e.RunFailed(cause="crashed")), batch_of("x", e.ExperimentFailed(detail="1 of 2 runs failed"))
    )
    return home


def contents(directory):
    """Every file below, by its path, with its bytes."""
    return {str(path.relative_to(directory)): path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()}
