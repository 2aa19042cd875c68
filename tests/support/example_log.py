"""A home to look at: an experiment of three arms, told to the log as if it had been trained, without anything having run.

Learning, noise, a run that failed, one that went on inexactly, evaluations on the way and at the end, and what it all used.
"""

import numpy as np

from lander.experiments.execution import execution_with
from lander.protocol import events as e
from lander.protocol.arrays import pack
from lander.protocol.experiment import EVALUATION_SEED
from lander.store.log.event_store import batch_of
from tests.support.recorded import recorded
from tests.support.written_homes import write_log

NAME = "ppo-learning-rate"
BEGAN = 1_780_000_000_000_000  # microseconds since 1970
LEARNED = {"baseline": (150.0, 0.55), "fast": (235.0, 0.35), "timid": (40.0, 0.75)}
"""Of each arm: the return it comes to, and the share of training at which it is half-way there."""


def wanted(steps=300_000, seeds=5, name=NAME, hypothesis="A larger learning rate speeds up training", **settings):
    return recorded(
        {
            "experiment_id": name,
            "hypothesis": hypothesis,
            "environment": "LunarLander-v3",
            "algorithm": "PPO",
            "training_steps": steps,
            "seeds": list(range(seeds)),
            "eval_frequency": steps // 6,
            "baseline": {"hyperparameters": {"learning_rate": 3e-4, "n_steps": 1024, "n_envs": 4}},
            "variants": {
                "fast": {"hyperparameters": {"learning_rate": 1e-3, "policy_kwargs": {"net_arch": [256, 256]}}},
                "timid": {"hyperparameters": {"learning_rate": 3e-5, "ent_coef": 0.01}},
            },
        }
        | settings
    )


def built(home, experiment=None, *, failed="timid/3", inexact="fast/1", until=1.0, at=BEGAN):
    """The experiment in this home: trained to the share `until` of its steps; completed if that is all of them."""
    experiment = experiment or wanted()
    name, clock = experiment.experiment_id, _Clock(at)
    manifest = {
        "source": "ppo-learning-rate.yaml",
        "argv": ["lander-ctl", "run", "ppo-learning-rate.yaml"],
        "versions": {"python": "3.11.2", "lander-ctl": "0.1.0", "torch": "2.13.0", "gymnasium": "1.4.0"},
        "machine": {"platform": "Linux-x86_64", "cpu": "A Processor", "cores": 2, "memory_mb": 8192, "gpus": []},
        "git": {"commit": "0123456789abcdef0123456789abcdef01234567", "dirty": False},
    }
    submitted = e.ExperimentSubmitted.of(experiment, execution_with(), manifest)
    joined = e.HostJoined(pid=1, incarnation="i", cpus=(0, 1), gpus=(), memory_mb=8192.0)
    batches = [batch_of("host:local", joined, at=clock()), batch_of(name, submitted, at=clock())]
    batches += [batch_of(run.id, e.RunQueued(), at=clock()) for run in experiment.runs]
    batches.append(batch_of(name, e.ExperimentStarted(), at=clock()))
    for run in experiment.runs:
        short = f"{run.arm}/{run.seed}"
        batches += _Run(run, experiment, clock, short == failed, short == inexact, until).told()
    if until >= 1:
        lost = any(f"{run.arm}/{run.seed}" == failed for run in experiment.runs)
        end = e.ExperimentFailed(detail="1 run failed") if lost else e.ExperimentCompleted()
        batches.append(batch_of(name, end, at=clock()))
    write_log(home, groups=[batches])
    return experiment


class _Clock:
    def __init__(self, at):
        self.at = at

    def __call__(self, seconds=0.001):
        self.at += int(seconds * 1e6)
        return self.at


class _Run:
    def __init__(self, run, experiment, clock, fails, inexact, until):
        self.run, self.experiment, self.clock = run, experiment, clock
        self.fails, self.inexact, self.until = fails, inexact, until
        self.arm = experiment.arm(run.arm)
        self.random = np.random.default_rng([run.seed, len(run.arm), ord(run.arm[0])])
        self.goal, self.half = LEARNED.get(run.arm, (100.0, 0.5))
        self.goal += self.random.normal(0, 25)
        self.half += self.random.normal(0, 0.05)
        self.episodes = 0

    def told(self):
        total = self.arm.training_steps
        if self.fails:
            yield from self.attempt(1, 0, int(total * 0.4), "non_finite", "fresh")
            yield self.say(
                e.RunFailed(cause="non_finite", detail="ValueError: a loss is not a number", why="it would fail again")
            )
            return
        if self.until < 1:
            yield from self.attempt(1, 0, int(total * self.until), None, "fresh")
            return
        if self.inexact:
            yield from self.attempt(1, 0, int(total * 0.5), "crashed", "fresh")
            yield self.say(e.RunQueued(reason="retry"))
            yield from self.attempt(2, int(total * 0.5) // 10_000 * 10_000, total, "completed", "inexact")
        else:
            yield from self.attempt(1, 0, total, "completed", "fresh")
        yield self.say(e.RunCompleted())

    def attempt(self, epoch, first, last, cause, resume):
        yield self.say(e.AttemptStarted(epoch=epoch, host="local", cpu=0))
        start = e.TrainingStarted(
            epoch=epoch, pid=epoch, n_envs=1, device="cpu", from_step=first, from_episode=self.episodes, resume=resume
        )
        yield self.say(start, producer=epoch)
        for at in range(first, last, 10_000):
            until = min(last, at + 10_000)
            yield from self.train(epoch, at, until)
        if last == self.arm.training_steps and self.experiment.eval_episodes:
            yield self.say(self.evaluation(last, final=True), producer=epoch)
        if cause:
            yield self.say(e.AttemptEnded(epoch=epoch, cause=cause, signal="SIGKILL" if cause == "crashed" else None))

    def train(self, epoch, first, last):
        zeros = pack(np.zeros((last - first, 1), np.uint8))
        words = [e.StepsRecorded(first_step=first, actions=zeros, rewards=zeros, endings=zeros)]
        at = first
        while at < last:
            length = int(min(last - at, self.random.integers(150, 650)))
            at += length
            self.episodes += 1
            words.append(
                e.EpisodeFinished(
                    env=0, first_step=at - length, last_step=at, length=length, episode_return=self.achieved(at, 60.0)
                )
            )
        words.append(e.MetricsLogged(step=last, values={"train/loss": float(np.exp(-last / 1e5)), "time/fps": 900.0}))
        every = self.experiment.eval_episodes and self.experiment.eval_frequency
        if every and first // every != last // every and last != self.arm.training_steps:
            words.append(self.evaluation(last))
        yield self.say(*words, producer=epoch, seconds=(last - first) / 900)
        usage = e.TrainerUsage(
            run=self.run.id,
            epoch=epoch,
            cpu_percent=96 + float(self.random.normal(0, 3)),
            memory_mb=280 + 40 * last / 1e5 + float(self.random.normal(0, 2)),
        )
        sample = e.ResourcesSampled(
            cpu_percent=90.0, memory_percent=20.0, memory_mb=1600.0, disk_free_mb=5e4, trainers=(usage,)
        )
        yield batch_of("host:local", sample, at=self.clock())

    def achieved(self, step, noise):
        share = step / self.arm.training_steps
        level = -180 + (self.goal + 180) / (1 + np.exp(-12 * (share - self.half)))
        return float(level + self.random.normal(0, noise))

    def evaluation(self, step, final=False):
        count = self.experiment.eval_episodes
        returns = tuple(self.achieved(step, 30.0) + 10 for _ in range(count))
        lengths = tuple(int(length) for length in self.random.integers(200, 600, count))
        return e.EvaluationFinished(
            step=step, first_seed=EVALUATION_SEED, returns=returns, lengths=lengths, final=final, seconds=1.5
        )

    def say(self, *events, producer=e.SUPERVISOR, seconds=0.01):
        return batch_of(self.run.id, *events, at=self.clock(seconds), producer=producer)
