"""Runs that were really trained, in this process, and the log that their trainers' words make."""

from lander.protocol import events as e
from lander.store.log.event_store import batch_of
from tests.support.histories import submitted
from tests.support.in_process_training import CutError, InProcessTraining
from tests.support.recorded import recorded
from tests.support.written_homes import write_log

SMALL = {"n_steps": 64, "batch_size": 32, "n_epochs": 1, "policy_kwargs": {"net_arch": [16]}}
RUN = "x/baseline/3"


def experiment(environment, environment_kwargs=None, training_steps=512, name="x", origin=None, **hyperparameters):
    """Two arms that are the same; the baseline is the one that is trained."""
    form = {
        "experiment_id": name,
        "origin": origin,
        "environment": environment,
        "environment_kwargs": environment_kwargs or {},
        "algorithm": "PPO",
        "training_steps": training_steps,
        "seeds": [3],
        "baseline": {"hyperparameters": SMALL | hyperparameters},
        "variants": {"v": {}},
    }
    return recorded(form)


def train(home, wanted, *, cuts=(), begin=None, **how):
    """What the trainers of the baseline's run say: one after the other, each cut off after so many calls but the last.

    They begin at a checkpoint of another run if one is given.
    """
    training = InProcessTraining(wanted.baseline, home, **how)
    for cut in cuts:
        try:
            training.continue_(cut_after=cut, origin=begin)
        except CutError:
            continue
        raise AssertionError(f"it was done before it came to step {cut}")
    training.continue_(origin=begin)
    return training.said


def log(home, wanted, words, **execution):
    """Write the log of an experiment of whose first run these words were said, attempt by attempt, to its end."""
    run = wanted.runs[0].id
    batches = [batch_of(wanted.experiment_id, submitted(wanted, **execution))]
    batches += [batch_of(each.id, e.RunQueued()) for each in wanted.runs]
    attempts = list(_attempts(words))
    for epoch, attempt in enumerate(attempts, 1):
        cause = "completed" if epoch == len(attempts) else "crashed"
        batches += [
            batch_of(run, e.AttemptStarted(epoch=epoch, host="local", cpu=0)),
            batch_of(run, *attempt, producer=epoch),
            batch_of(run, e.AttemptEnded(epoch=epoch, cause=cause)),
        ]
    write_log(home, *batches, batch_of(run, e.RunCompleted()))


def _attempts(words):
    begins = [index for index, word in enumerate(words) if isinstance(word, e.TrainingStarted)]
    return (words[begin:end] for begin, end in zip(begins, [*begins[1:], None], strict=True))


def train_and_log(home, environment, environment_kwargs=None, *, cuts=(), execution=None, how=None, **settings):
    """Train a run and write its log; returns the words."""
    wanted = experiment(environment, environment_kwargs, **settings)
    words = train(home, wanted, cuts=cuts, **(how or {}))
    log(home, wanted, words, **(execution or {}))
    return words
