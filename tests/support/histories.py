"""Histories as they could really be: what supervisor, trainers and hosts say, in an order that the life cycle allows.

Among them, too, what comes late or twice: words of attempts that are over, and of attempts that were superseded.
"""

from typing import get_args

from hypothesis import strategies as st

from lander.experiments.execution import execution_with
from lander.protocol import events as e
from lander.protocol.experiment import Branch
from lander.protocol.lifecycle import EXPERIMENT_TRANSITIONS, RUN_TRANSITIONS
from lander.protocol.states import LIVE
from lander.store.log.event_store import Batch, batch_of
from tests.support.recorded import recorded

HOST = "local"
MOST_SEEDS = 3
ARRAY = {"dtype": "|u1", "data": b""}


def experiment(name="x", seeds=(0,), variants=("v",), **settings):
    """A small experiment; `settings` as in a file."""
    form = {"algorithm": "PPO", "environment": "CartPole-v1", "training_steps": 1000, "baseline": {}} | settings
    return recorded(form | {"experiment_id": name, "seeds": list(seeds), "variants": dict.fromkeys(variants)})


def submitted(wanted, **execution):
    return e.ExperimentSubmitted.of(wanted, execution_with(**execution), {"by": "tests"})


def steps(first_step, vector_steps, n_envs=2):
    array = e.PackedArray(shape=(vector_steps, n_envs), **ARRAY)
    return e.StepsRecorded(first_step=first_step, actions=array, rewards=array, endings=array)


def checkpoint(step, **rest):
    """A checkpoint whose every digest is made of its step."""
    digest = f"{step:064x}"
    return e.CheckpointCommitted(
        **({"step": step, "episodes": 0, "digest": digest, "weights": digest, "sha256": digest} | rest)
    )


def origin(checkpoints, of=("x", "baseline")):
    """Where a fork begins: in an arm, at these checkpoints by seed."""
    fields = Branch.model_fields.keys() - {"seed"}
    branches = [{"seed": seed} | found.model_dump(include=fields) for seed, found in checkpoints.items()]
    return {"experiment": of[0], "arm": of[1], "branches": branches}


class _GrowingHistory:
    """What has been said so far, as far as it decides what may be said next."""

    def __init__(self, draw):
        self.draw = draw
        self.runs: dict[str, str] = {}
        self.epochs: dict[str, int] = {}
        self.experiments: dict[str, str] = {}
        self.seeds: dict[str, range] = {}
        self.variants: dict[str, tuple[str, ...]] = {}
        self.origins: dict[str, object] = {}
        self.clock = 0

    def submit(self):
        name = f"e{len(self.experiments)}"
        self.seeds[name] = range(self.draw(st.integers(1, 2)))
        step = self.draw(st.sampled_from([None, None, 40]))
        self.origins[name] = step and origin(dict.fromkeys(range(MOST_SEEDS), checkpoint(step)))
        wanted = experiment(name, seeds=self.seeds[name], origin=self.origins[name])
        self.experiments[name] = "queued"
        self.variants[name] = ("v",)
        self.runs |= {run.id: "queued" for run in wanted.runs}
        return [(name, e.SUPERVISOR, submitted(wanted)), *((run.id, e.SUPERVISOR, e.RunQueued()) for run in wanted.runs)]

    def move_experiment(self):
        name = self.draw(st.sampled_from(sorted(self.experiments)))
        kinds = sorted(kind for state, kind in EXPERIMENT_TRANSITIONS if state == self.experiments[name])
        if not kinds:
            return []
        kind = self.draw(st.sampled_from(kinds))
        self.experiments[name] = EXPERIMENT_TRANSITIONS[self.experiments[name], kind]
        event = e.ExperimentFailed(detail="x") if kind == "ExperimentFailed" else e.EVENT_TYPES[kind]()
        return [(name, e.SUPERVISOR, event)]

    def move_run(self):
        run = self.draw(st.sampled_from(sorted(self.runs)))
        kinds = sorted(kind for state, kind in RUN_TRANSITIONS if state == self.runs[run] and kind != "TrainingStarted")
        if not kinds:
            return []
        if "AttemptStarted" in kinds and self.draw(st.integers(0, 9)):
            kinds = ["AttemptStarted"]  # else most runs would end before they ever began
        kind = self.draw(st.sampled_from(kinds))
        if kind == "AttemptStarted":
            self.epochs[run] = self.epochs.get(run, 0) + 1
        self.runs[run] = RUN_TRANSITIONS[self.runs[run], kind]
        return [(run, e.SUPERVISOR, self._run_event(kind, self.epochs.get(run, 0)))]

    def _run_event(self, kind, epoch):
        small = st.integers(0, 40)
        match kind:
            case "AttemptStarted":
                return e.AttemptStarted(epoch=epoch, host=HOST, cpu=1, gpu=self.draw(st.none() | small))
            case "AttemptEnded":
                return e.AttemptEnded(
                    epoch=epoch, cause="crashed", signal=self.draw(st.none() | st.just("SIGKILL")), detail="why"
                )
            case "StopRequested":
                return e.StopRequested(reason=self.draw(st.sampled_from(get_args(e.StopReason))))
            case "RunStopped" | "RunPaused":
                return e.EVENT_TYPES[kind](reason="operator")
            case "RunResumed":
                return e.RunResumed(reason="resumed")
            case "RunFailed" | "RunSkipped":
                return e.EVENT_TYPES[kind](cause="crashed", why=self.draw(st.sampled_from(["", "too often"])))
        return e.EVENT_TYPES[kind]()

    def extend(self):
        """Everything that makes an experiment grow, at once or alone; now and then as older versions said it."""
        name = self.draw(st.sampled_from(sorted(self.experiments)))
        before = self.seeds[name]
        self.seeds[name] = range(min(MOST_SEEDS, len(before) + self.draw(st.integers(0, 1))))
        arms = ("baseline", *self.draw(st.sampled_from([(), ("v",)])))
        execution = self.draw(
            st.none() | st.builds(execution_with, mode=st.sampled_from(["parallel", "sequential"]), monitoring=st.booleans())
        )
        steps = self.draw(st.integers(1000, 3000))
        had = self.variants[name]
        self.variants[name] = self.draw(st.sampled_from([had, had, ("v", "w")]))
        form = {"seeds": self.seeds[name], "variants": self.variants[name], "origin": self.origins[name]}
        more = experiment(name, training_steps=steps, **form)
        if self.draw(st.booleans()):
            growth = [e.ExperimentRestated(experiment=more, execution=execution)]
        else:
            added = tuple(seed for seed in self.seeds[name] if seed not in before)
            growth = [e.StepsAdded(arms=arms, training_steps=steps), e.SettingsChanged(execution=execution)]
            growth += [e.SeedsAdded(arms=("baseline", *had), seeds=added)] if added else []
            growth += [e.ArmAdded(arm=arm) for arm in more.variants if arm.name not in had]
        added = {run.id: "queued" for run in more.runs if run.id not in self.runs}
        self.runs |= added
        return [
            *((name, e.SUPERVISOR, event) for event in growth),
            *((run, e.SUPERVISOR, e.RunQueued()) for run in added),
        ]

    def annotate(self):
        """What people say about an experiment, whatever its state."""
        name, tags, text = (
            self.draw(st.sampled_from(sorted(self.experiments))),
            st.sampled_from("abc"),
            st.text("xy", min_size=1),
        )
        said = st.one_of(
            st.just(e.ExperimentArchived(operator="me")),
            st.just(e.ExperimentUnarchived(operator="me")),
            st.builds(e.NoteAdded, text=text, operator=st.just("me")),
            st.builds(e.TagsChanged, added=st.tuples(tags), removed=st.tuples(tags), operator=st.just("me")),
            st.builds(e.HypothesisAmended, hypothesis=text, operator=st.just("me")),
        )
        return [(name, e.SUPERVISOR, self.draw(said))]

    def train(self):
        """Words of any attempt there ever was."""
        if not self.epochs:
            return []
        run = self.draw(st.sampled_from(sorted(self.epochs)))
        epoch = self.draw(st.integers(1, self.epochs[run]))
        small, number = st.integers(0, 60), st.floats()
        words = st.one_of(
            st.builds(steps, small, st.integers(0, 5)),
            st.builds(
                e.EpisodeFinished, env=st.just(0), first_step=small, last_step=small, length=small, episode_return=number
            ),
            st.builds(e.MetricsLogged, step=small, values=st.dictionaries(st.just("loss"), number)),
            st.builds(checkpoint, small, episodes=st.integers(0, 3)),
            st.builds(e.ModelSaved, step=small, path=st.just("m.zip"), sha256=st.text("ab", max_size=3)),
            st.builds(e.ModelSaved, step=small, path=st.just("b.zip"), sha256=st.text("ab", max_size=3), which=st.just("best")),
            st.builds(
                e.EndDecided, step=small, rule=st.sampled_from(["early_stopping", "budget.hours"]), why=st.just("enough")
            ),
            st.builds(e.EvaluationStarted, step=small),
            st.builds(e.EvaluationFinished, step=small, first_seed=small, returns=st.tuples(number), lengths=st.tuples(small)),
            st.builds(e.TrainingEnded, epoch=st.just(epoch), cause=st.just("completed"), step=small),
            st.builds(
                e.TrainingStarted,
                epoch=st.just(epoch),
                pid=st.integers(1, 9),
                n_envs=st.just(2),
                device=st.just("cpu"),
                from_step=small,
                from_episode=st.integers(0, 3),
                resume=st.sampled_from(get_args(e.Resume)),
            ),
        )
        said_now = self.draw(st.lists(words, min_size=1, max_size=6))
        if epoch == self.epochs[run] and self.runs[run] in LIVE and any(isinstance(w, e.TrainingStarted) for w in said_now):
            self.runs[run] = RUN_TRANSITIONS[self.runs[run], "TrainingStarted"]
        return [(run, epoch, word) for word in said_now]

    def measure(self):
        measure, run = st.floats(0, 100), st.sampled_from([*sorted(self.runs), "no/such/0"])
        usages = st.builds(
            e.TrainerUsage,
            run=run,
            epoch=st.integers(1, 2),
            cpu_percent=measure,
            memory_mb=measure,
            gpu_percent=st.none() | measure,
        )
        trainers = tuple(self.draw(st.lists(usages, max_size=3)))
        sample = e.ResourcesSampled(cpu_percent=1.0, memory_percent=2.0, memory_mb=3.0, disk_free_mb=4.0, trainers=trainers)
        return [(e.host_stream(HOST), e.SUPERVISOR, sample)]

    def batches(self, sayings):
        """Each saying a batch of its own, but neighbours of one trainer together, as a trainer sends them."""
        self.clock += 1
        batches: list[Batch] = []
        for stream, producer, event in sayings:
            (entry,) = batch_of(stream, event, at=self.clock).events
            if batches and producer and batches[-1][:2] == (stream, producer):
                batches[-1].events.append(entry)
            else:
                batches.append(Batch(stream, producer, None, [entry]))
        return batches


@st.composite
def histories(draw, max_groups=25):
    """Groups of batches, each group to be appended as one; numbers are left to the store."""
    history = _GrowingHistory(draw)
    groups = [history.batches(history.submit())]
    turns = [history.train, history.train, history.move_run, history.move_run, history.move_experiment]
    turns += [history.measure, history.submit, history.extend, history.annotate]
    for _ in range(draw(st.integers(0, max_groups))):
        sayings = []
        for _ in range(draw(st.integers(1, 3))):
            sayings += draw(st.sampled_from(turns))()
        if sayings:
            groups.append(history.batches(sayings))
    return groups
