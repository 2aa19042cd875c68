"""The decision core against everything at once: submissions, hosts, trainers, people, and supervisors that leave or die;
in any order, late, twice, or lost.

The machine stands in for the shell: it takes each decision to a store, folds what the store commits, and sometimes lets a
trainer's word come in between the two. After every step the invariants below must hold, and at the end everything must be
able to come to an end.
"""

import asyncio
from collections import Counter

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from lander.experiments.execution import execution_with
from lander.experiments.writing import as_written
from lander.protocol import commands as c
from lander.protocol import events as e
from lander.protocol.lifecycle import ImpossibleTransitionError
from lander.store.log.event_store import batch_of
from lander.store.writers.memory_store import MemoryEventStore
from lander.supervisor.core import attempts, pairs, placement, silent_hosts, standing
from lander.supervisor.core import decide as core
from lander.supervisor.core import fold as folding
from lander.supervisor.core.decide import Decision, Drain, HostGone, HostSilent, LimitReached, Stalled, Tick, decide
from lander.supervisor.core.fold import evolve, fold
from lander.supervisor.core.placement import Placement, Slot
from lander.supervisor.core.restart_policy import FailureOutcome
from lander.supervisor.core.standing import ExperimentStanding
from lander.supervisor.core.state import State
from lander.supervisor.core.stop_reasons import MEANINGS, StopMeaning
from lander.supervisor.core.timers import Timers
from tests.support.decision_invariants import (
    a_host_is_given_up_for_a_gain,
    checkpoints_are_of_the_lineage,
    effects_speak_of_the_log,
    experiments_end_with_their_runs,
    no_slot_is_idle_without_need,
    nothing_goes_on_elsewhere_in_silence,
    nothing_is_placed_where_it_cannot_train,
    retries_are_bounded,
    what_is_over_stays_over,
)
from tests.support.histories import HOST, checkpoint, experiment, origin
from tests.support.recorded import recorded

MAX_RETRIES = 1
NAMES = ("x", "y")
OTHER = "other"
CLASSES = ("a" * 12, "b" * 12)
GPU_CLASSES = ("d" * 12, "e" * 12)
PICK = st.integers(0, 30)
KILLED = {"signal": "SIGKILL"}
EXITS = st.sampled_from(
    [{"exit_code": 0}, {"exit_code": 1, "log_tail": "tail"}, KILLED, KILLED | {"out_of_memory": True}, KILLED | {"lost": True}]
)
CAUSES = st.sampled_from(["completed", "stopped", "config_error", "non_finite", "crashed"])
WORDS = st.sampled_from(
    ["TrainingStarted", "CheckpointCommitted", "ModelSaved", "TrainingEnded", "MetricsLogged", "WarningRaised"]
)
TARGETS = st.sampled_from(["x", "y", "x/v", "x/baseline/0", "y/v/1", "z", "x/"])


class Supervision(RuleBasedStateMachine):
    """The shell, reduced to what matters here."""

    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.store = MemoryEventStore()
        self.store.listen(self._committed)
        self.state = State()
        self.now = 1_000.0
        self.clock_error = 0.0
        self.timers = Timers()
        self.pid = 1
        self.leaving = False

    def teardown(self):
        try:
            self._everything_can_come_to_an_end()
        finally:
            self.loop.close()

    # ------------------------------------------------------------------------------------------------ the shell

    def _committed(self, recorded):
        for event in recorded:
            if event.event.kind not in e.TELEMETRY_KINDS:
                self.state = evolve(self.state, event)

    def _append(self, *batches):
        async def append():
            return await self.store.append(*batches)

        self.loop.run_until_complete(append())

    def tell(self, message, meanwhile=None):
        """Decide, record, check; `meanwhile`, a trainer's word is recorded between the decision and its commit.

        What that word makes possible, such as where a run may go on, is used by the next decision.
        """
        self.timers.observe(self.state, self.now, wall := self.now + self.clock_error)
        log = list(self.store.events)
        decision = core.decide(self.state, message, wall, self.timers, self.leaving)
        if meanwhile is not None:
            self._append(meanwhile)
        if decision.events:
            self._append(*(batch_of(stream, event, at=e.microseconds(wall)) for stream, event in decision.events))
        if meanwhile is None:
            assert self.state == decision.state
        if isinstance(decision.answer, c.Refused):  # for a reason, and not because the core contradicts itself
            assert decision.answer.error in ("not-found", "conflict")
        effects_speak_of_the_log(decision.effects, self.state, self.store.events)
        experiments_end_with_their_runs(self.state)
        nothing_goes_on_elsewhere_in_silence(log, decision, self.state.experiments)
        started = [event.host for _, event in decision.events if isinstance(event, e.AttemptStarted)]
        assert not {*self.timers.silence.suspects, *self.timers.room.lacking}.intersection(started)
        if self.leaving:
            assert not started
        elif meanwhile is None and not isinstance(decision.answer, c.Refused):  # a refusal changes nothing, and fills no slot
            no_slot_is_idle_without_need(self.state, self.timers)
        self.timers.observe(self.state, self.now, wall)
        return decision

    def _word(self, pick, kind, cause="completed"):
        """A word of any attempt that ever was; None before there was one."""
        attempts = [(run.id, epoch) for run in self.state.runs.values() for epoch in range(1, run.epoch + 1)]
        if not attempts:
            return None
        run, epoch = attempts[pick % len(attempts)]
        steps = [0, *(each.step for each in self.state.runs[run].checkpoints)]
        from_step = steps[pick % len(steps)]
        event = {
            "TrainingStarted": e.TrainingStarted(epoch=epoch, pid=7, n_envs=1, device="cpu", from_step=from_step),
            "CheckpointCommitted": checkpoint(10 * (1 + pick % 5)),
            "ModelSaved": e.ModelSaved(step=1000, path="m", sha256="s"),
            "TrainingEnded": e.TrainingEnded(epoch=epoch, cause=cause, step=1000),
            "MetricsLogged": e.MetricsLogged(step=1, values={}),
            "WarningRaised": e.WarningRaised(message="!"),
        }[kind]
        return batch_of(run, event, at=1, producer=epoch)

    # ------------------------------------------------------------------------------------------------ what happens

    @initialize(cpus=st.sampled_from([2, 2, 1, 0]), on_failure=st.sampled_from(["retry", "retry", "skip", "abort"]))
    def begin(self, cpus, on_failure):
        """Usually with something to do and somewhere to do it, else most histories would be short."""
        if cpus:
            self.join(cpus=tuple(range(cpus)))
        wanted = experiment("x", on_failure=on_failure, max_retries=MAX_RETRIES)
        self.submit_and_check(wanted, execution_with())

    @rule(
        name=st.sampled_from(NAMES),
        seeds=st.integers(1, 2),
        on_failure=st.sampled_from(["retry", "skip", "abort"]),
        mode=st.sampled_from(["parallel", "sequential"]),
        device=st.sampled_from(["cpu", "cpu", "cuda"]),
        max_workers=st.sampled_from([None, 1, 2]),
        on_limit=st.sampled_from(["warn", "pause", "stop"]),
        training_steps=st.sampled_from([1000, 1000, 2000]),
        forked_at=st.sampled_from([None, None, 5]),
        other_hardware=st.sampled_from(["wait", "wait", "warn", "allow"]),
        hosts=st.sampled_from([{}, {}, {"labels": ["big"]}, {"gpu": True}, {"gpu": 0.4}, {"gpu": 0.4}]),
    )
    def submit(
        self, name, seeds, on_failure, mode, device, max_workers, on_limit, training_steps, forked_at, other_hardware, hosts
    ):
        if self.leaving:  # it would not be listened to
            return
        hosts = {} if device == "cpu" and hosts.get("gpu") == 0.4 else hosts
        policies = {"on_failure": on_failure, "on_limit": on_limit, "max_retries": MAX_RETRIES}
        policies |= {"other_hardware": other_hardware, "hosts": hosts}
        policies["origin"] = forked_at and origin(dict.fromkeys(range(3), checkpoint(forked_at)))
        wanted = experiment(name, seeds=range(seeds), device=device, training_steps=training_steps, **policies)
        execution = execution_with(mode=mode, max_workers=max_workers)
        self.submit_and_check(wanted, execution)

    @precondition(lambda self: self.state.experiments and not self.leaving)
    @rule(pick=PICK, more=st.sampled_from([0, 0, 500]), seeds=st.sampled_from([0, 0, 1]), added=st.sampled_from([0, 0, 1]))
    def submit_again(self, pick, more, seeds, added):
        """As it is, or with more to do, with more seeds, or with one more arm, whose place in the file does not matter."""
        standing = list(self.state.experiments.values())[pick % len(self.state.experiments)]
        form = as_written(standing.experiment)
        for arm in form["arms"]:
            arm["training_steps"] += more
            arm["seeds"] = [*arm["seeds"], *([max(arm["seeds"]) + 1] * seeds if len(arm["seeds"]) < 3 else [])]
        if added and len(form["arms"]) == 2:
            form["arms"].insert(1, {**form["arms"][1], "name": "w", "hyperparameters": {"gamma": 0.5}})
        self.submit_and_check(recorded(form), standing.execution)

    def submit_and_check(self, wanted, execution):
        known = self.state.experiments.get(wanted.experiment_id)
        gone = {wanted.experiment_id, wanted.origin and wanted.origin.experiment} & self.state.deleted.keys()
        decision = self.tell(c.SubmitExperiment(experiment=wanted, execution=execution, manifest={}))
        submitted = [event for _, event in decision.events if isinstance(event, e.ExperimentSubmitted)]
        assert len(submitted) == (known is None and not gone)
        assert not gone or isinstance(decision.answer, c.Refused)
        if not gone and (known is None or known.experiment == wanted):
            assert isinstance(decision.answer, c.Accepted)
        if known is not None and isinstance(decision.answer, c.Accepted):
            standing = self.state.experiments[wanted.experiment_id]
            assert standing.execution == execution
            assert (standing.experiment.on_failure, standing.experiment.on_limit) == (wanted.on_failure, wanted.on_limit)
            after = standing.experiment
            for old, new in zip(known.experiment.arms, after.arms, strict=False):
                asked = wanted.arm(old.name)
                assert new.name == old.name
                assert new.training_steps == max(old.training_steps, asked.training_steps)
                assert set(new.seeds) == {*old.seeds, *asked.seeds}
                assert new.seeds[: len(old.seeds)] == old.seeds
                assert new.device == old.device == asked.device
            assert {arm.name for arm in after.arms} == {arm.name for arm in wanted.arms}
            for added in after.arms[len(known.experiment.arms) :]:
                assert (added.seeds, added.training_steps) == (after.baseline.seeds, after.baseline.training_steps)
            assert all(self.goes_on(run) or run.expected == "skipped" for run in self.state.runs_of(wanted.experiment_id))

    @staticmethod
    def goes_on(run):
        """By itself, or it has completed: who wanted it to go on has left nothing of it behind."""
        ends = run.attempt is not None and run.attempt.stop_reason in ("operator", "pause", "skip", "limit", "aborted")
        return run.state in ("queued", "starting", "running", "stopping", "completed") and not ends

    @rule(
        cpus=st.integers(1, 3),
        gpus=st.integers(0, 2),
        models=st.integers(0, 2),
        again=st.booleans(),
        same_pid=st.booleans(),
        kept=st.lists(st.booleans(), max_size=8),
        strange=PICK,
        name=st.sampled_from([HOST, HOST, OTHER]),
        bits=st.sampled_from([*CLASSES, CLASSES[0], ""]),
        labels=st.sampled_from([(), ("big",)]),
    )
    def host_joins(self, cpus, gpus, models, again, same_pid, kept, strange, name, bits, labels):
        """Anew, or again after it lost its connection; with some of the trainers it should have, and perhaps with others."""
        self.pid += not again
        live = [(run.id, attempt.epoch) for run, attempt in self.state.attempts() if attempt.host == name]
        alive = [key for key, keep in zip(live, kept, strict=False) if keep and again]
        old = [(run.id, epoch) for run in self.state.runs.values() for epoch in range(1, run.epoch)]
        alive += old[strange : strange + 1]
        keys = tuple(c.TrainerKey(run=run, epoch=epoch) for run, epoch in alive)
        devices = tuple(e.GpuDevice(id=f"GPU-{each}", bits=GPU_CLASSES[each == models]) for each in range(gpus))
        offer = {"cpus": tuple(range(cpus)), "gpus": ("GPU",) * gpus, "bits": bits, "labels": labels, "devices": devices}
        self.join(trainers=keys, pid=1 if same_pid else self.pid, name=name, **offer)

    def join(self, pid=1, name=HOST, bits=CLASSES[0], **offer):
        self.timers.silence.heard(name, self.now)
        self.tell(c.JoinHost(name=name, pid=pid, incarnation=f"agent {self.pid}", memory_mb=1.0, bits=bits, **offer))

    @rule(heard=st.sets(st.sampled_from([HOST, OTHER])), seconds=st.sampled_from([9.0, 121.0, 121.0]), again=st.booleans())
    def hosts_fall_silent(self, heard, seconds, again):
        """All but those that are heard; the supervisor looks, and one may be heard again before it decides."""
        self.now += seconds
        for name in heard:
            self.timers.silence.heard(name, self.now)
        self.timers.silence.look(self.now)
        overdue = sorted(self.timers.silence.overdue)
        self.tell(Tick())
        assert not heard & self.timers.silence.suspects
        for name in overdue:
            if again:
                self.timers.silence.heard(name, self.now)
            gain = not again and a_host_is_given_up_for_a_gain(self.state, self.timers, name)
            decision = self.tell(HostSilent(name))
            assert [each.kind for stream, each in decision.events if stream == e.host_stream(name)] == ["HostLost"] * gain

    @rule(name=st.sampled_from([HOST, HOST, OTHER, "nobody"]), meanwhile=PICK, kind=WORDS)
    def host_goes(self, name, meanwhile, kind):
        self.tell(HostGone(name, "its process ended"), self._word(meanwhile, kind))

    @precondition(lambda self: self.state.runs)
    @rule(pick=PICK, kind=WORDS, cause=CAUSES)
    def trainer_speaks(self, pick, kind, cause):
        word = self._word(pick, kind, cause)
        if word is not None:
            self._append(word)

    @precondition(lambda self: self.state.live)
    @rule(pick=PICK, steps=st.sets(st.integers(1, 9)))
    def trainer_trains(self, pick, steps):
        self.train(self.state.live[pick % len(self.state.live)], pick, steps)

    @precondition(lambda self: self.state.live)
    @rule(pick=PICK, steps=st.sets(st.integers(1, 9), min_size=1), times=st.integers(1, 3))
    def trainer_is_interrupted_and_trains_on(self, pick, steps, times):
        name = self.state.live[pick % len(self.state.live)]
        for turn in range(times):
            self.train(name, pick + turn, steps)
            self.exit(self.state.runs[name], None, False, {"signal": "SIGTERM"})
            self.time_passes(60.0, tick=True)
            if not self.state.runs[name].live:
                return
        self.train(name, pick, ())

    def train(self, name, pick, steps):
        """As a trainer really does: it begins where a checkpoint it was offered lies, and writes others beyond."""
        run = self.state.runs[name]
        words = []
        from_step = 0
        if run.trained < run.epoch:
            offered = [*(each.step for each in run.checkpoints), 0]
            from_step = offered[pick % len(offered)]
            words.append(e.TrainingStarted(epoch=run.epoch, pid=7, n_envs=1, device="cpu", from_step=from_step))
        elif run.checkpoints:
            from_step = run.checkpoints[0].step
        words += [checkpoint(from_step + step) for step in sorted(steps)]
        if words:
            self._append(batch_of(run.id, *words, at=1, producer=run.epoch))

    @precondition(lambda self: any(run.live for run in self.state.runs.values()))
    @rule(pick=PICK, how=EXITS, cause=st.none() | CAUSES, saved=st.booleans(), twice=st.booleans(), later=st.booleans())
    def trainer_exits(self, pick, how, cause, saved, twice, later):
        live = [run for run in self.state.runs.values() if run.attempt is not None]
        run = live[pick % len(live)]
        self.exit(run, cause, saved, how)
        if twice:
            decision = self.exit(run, None, False, how)
            assert not any(event.kind == "AttemptEnded" for _, event in decision.events)
        if later:
            self.time_passes(60.0, tick=True)

    @precondition(lambda self: any(run.state == "starting" for run in self.state.runs.values()))
    @rule(pick=PICK, lack=st.sampled_from(["packages", "code", "disk"]), twice=st.booleans())
    def a_host_cannot_train(self, pick, lack, twice):
        starting = [run for run in self.state.runs.values() if run.state == "starting"]
        run = starting[pick % len(starting)]
        failures = run.failures
        report = c.CannotTrain(run=run.id, epoch=run.epoch, lack=lack, problem="lacks it", host=run.attempt.host)
        decision = self.tell(report)
        assert [each.cause for _, each in decision.events if isinstance(each, e.AttemptEnded)] == ["host_unfit"]
        assert self.state.runs[run.id].failures == failures
        assert not twice or not any(stream == run.id for stream, _ in self.tell(report).events)

    @invariant()
    def nothing_is_placed_where_it_cannot_train(self):
        nothing_is_placed_where_it_cannot_train(self.state, self.store.events)

    def exit(self, run, cause, saved, how):
        if saved:
            self._append(batch_of(run.id, e.ModelSaved(step=1, path="m", sha256="s"), at=1, producer=run.epoch))
        if cause is not None:
            self._append(batch_of(run.id, e.TrainingEnded(epoch=run.epoch, cause=cause, step=1), at=1, producer=run.epoch))
        return self.tell(c.TrainerExited(run=run.id, epoch=run.epoch, **how))

    @rule(
        run=st.sampled_from(["x/baseline/0", "y/v/1", "no/such/0"]),
        epoch=st.integers(0, 4),
        how=EXITS,
        meanwhile=PICK,
        kind=WORDS,
    )
    def somebody_exits(self, run, epoch, how, meanwhile, kind):
        counts = self.state.attempt(run, epoch) is not None
        decision = self.tell(c.TrainerExited(run=run, epoch=epoch, **how), self._word(meanwhile, kind))
        assert counts == any(event.kind == "AttemptEnded" for _, event in decision.events)

    @rule(what=TARGETS, operation=st.sampled_from(c.OPERATE), meanwhile=PICK, kind=WORDS)
    def somebody_asks(self, what, operation, meanwhile, kind):
        self.somebody_asks_for(what, operation, self._word(meanwhile, kind))

    def somebody_asks_for(self, what, operation, meanwhile=None):
        found = any(run == what or run.startswith(what.rstrip("/") + "/") for run in self.state.runs) and what[-1] != "/"
        decision = self.tell(operation(target=what, operator="me@here"), meanwhile)
        assert isinstance(decision.answer, c.Accepted if found else c.Refused)
        asked = [event for _, event in decision.events if isinstance(event, e.OperatorCommanded)]
        assert len(asked) == (found and not decision.answer.detail.startswith("nothing to "))
        ends = {c.StopTarget: "stopped", c.PauseTarget: "paused", c.SkipTarget: "skipped"}
        if operation in ends and found:
            concerned = [run for run in self.state.runs.values() if run.id == what or run.id.startswith(f"{what}/")]
            assert all(run.over or run.state in ("stopping", ends[operation]) for run in concerned)
        if operation is c.ResumeTarget and found:
            assert all(self.goes_on(run) for run in self.state.runs.values() if run.id == what or run.id.startswith(f"{what}/"))

    @precondition(lambda self: any(run.state == "stopping" for run in self.state.runs.values()))
    @rule(pick=PICK, again=st.booleans())
    def somebody_thinks_better_of_it(self, pick, again):
        stopping = [run for run in self.state.runs.values() if run.state == "stopping"]
        known = self.state.experiments[stopping[pick % len(stopping)].experiment]
        if again and not self.leaving:
            self.submit_and_check(known.experiment, known.execution)
        else:
            self.somebody_asks_for(known.experiment.experiment_id, c.ResumeTarget)

    @precondition(lambda self: self.state.experiments)
    @rule(pick=PICK, erased=st.booleans())
    def somebody_deletes(self, pick, erased):
        name = list(self.state.experiments)[pick % len(self.state.experiments)]
        goes_on = any(not run.over and run.state != "paused" for run in self.state.runs_of(name))
        origins = {each.experiment.origin.experiment for each in self.state.experiments.values() if each.experiment.origin}
        what = {"baseline": "b" * 64, "baseline_rule": 1, "variants": 1}
        decision = self.tell(c.DeleteExperiment(experiment=name, operator="me@here", **what))
        assert isinstance(decision.answer, c.Refused) == (goes_on or name in origins)
        assert (name in self.state.deleted) == (decision.answer is None)  # the answer comes when it is erased
        if erased and name in self.state.deleted:
            self.loop.run_until_complete(self.store.erase(name))

    @precondition(lambda self: self.state.live)
    @rule(pick=PICK, late=st.integers(0, 1), limit=st.sampled_from([None, None, "memory_mb", "wall_hours"]))
    def something_is_noticed(self, pick, late, limit):
        """Of an attempt that counts, or of the one before."""
        run = self.state.runs[self.state.live[pick % len(self.state.live)]]
        epoch = run.epoch - late
        if limit is None:
            decision = self.tell(Stalled(run.id, epoch, 700.0))
        else:
            decision = self.tell(LimitReached(run.id, epoch, limit, 2.0, 1.0))
        noticed = (e.ProgressStalled, e.ResourceLimitExceeded, e.StopRequested)
        assert not late or not any(isinstance(event, noticed) for _, event in decision.events)

    @precondition(lambda self: not self.leaving)
    @rule(really=st.integers(0, 3))
    def supervisor_leaves(self, really):
        if really == 0:
            self.leaving = True
            self.tell(Drain())
            assert all(self.state.runs[run].state == "stopping" for run in self.state.live)

    @rule(really=st.integers(0, 3))
    def supervisor_dies_and_another_folds_the_log(self, really):
        if really == 0 or self.leaving:
            self.leaving = False
            self.state = fold(self.store.consequential())
            self.timers = Timers()

    @rule(seconds=st.sampled_from([0.0, 0.5, 1.0, 2.0, 60.0]), tick=st.booleans())
    def the_clock_moves(self, seconds, tick):
        self.time_passes(seconds, tick)

    @rule(seconds=st.sampled_from([-86_400.0, -5.0, 5.0, 86_400.0]))
    def the_clock_is_set(self, seconds):
        self.clock_error += seconds

    def time_passes(self, seconds, tick):
        self.now += seconds
        if tick:
            self.tell(Tick())

    # ------------------------------------------------------------------------------------------------ at all times

    def log(self, event_type):
        return [recorded for recorded in self.store.events if isinstance(recorded.event, event_type)]

    @invariant()
    def a_run_has_one_attempt_at_most(self):
        open_attempts = Counter(each.stream for each in self.log(e.AttemptStarted))
        open_attempts.subtract(each.stream for each in self.log(e.AttemptEnded))
        for run in self.state.runs.values():
            assert open_attempts[run.id] == run.live == (run.attempt is not None)

    @invariant()
    def a_slot_has_one_run_at_most(self):
        live = [run.attempt for run in self.state.runs.values() if run.attempt is not None]
        cpus = [(attempt.host, attempt.cpu) for attempt in live]
        assert len(set(cpus)) == len(cpus)
        shares = Counter()
        for attempt in live:
            shares[attempt.host, attempt.gpu_id] += attempt.share if attempt.gpu is not None else 0
        assert max(shares.values(), default=0) <= 100

    @invariant()
    def what_is_over_stays_over(self):
        what_is_over_stays_over(self.store.events)

    @invariant()
    def attempts_continue_from_their_lineage(self):
        checkpoints_are_of_the_lineage(self.state, self.store.events)

    @invariant()
    def what_is_kept_at_hand_is_what_is_found(self):
        state = self.state
        assert set(state.live) == {run.id for run in state.runs.values() if run.attempt is not None}
        assert state.delayed == {run.id: run.delay for run in state.runs.values() if self._waits(run)}
        assert set(state.under_way) == {name for name, standing in state.experiments.items() if standing.under_way}
        assert state.waiting == any(run.state == "queued" for run in state.runs.values())
        assert state.idle == all(run.over or run.state == "paused" for run in state.runs.values())
        for name, kept in state.experiments.items():
            found = {"queued": kept.queued, "paused": kept.paused, "live": kept.live}
            for place, run in enumerate(state.runs_of(name)):
                assert run.place == place
                assert [kind for kind, places in found.items() if places >> place & 1] == self._kept_as(run)

    @staticmethod
    def _kept_as(run):
        return ["live"] if run.live else [run.state] if run.state in ("queued", "paused") else []

    @staticmethod
    def _waits(run):
        return run.state == "queued" and run.delay

    @invariant()
    def the_log_folds_to_the_state(self):
        assert fold(self.store.consequential()) == self.state

    @invariant()
    def the_projections_say_the_same(self):
        rows = self.store.projections.rows
        assert {run: row.state for run, row in rows.progress.items()} == {r.id: r.state for r in self.state.runs.values()}
        assert {run: row.attempt for run, row in rows.progress.items()} == {r.id: r.epoch for r in self.state.runs.values()}
        states = {name: standing.state for name, standing in self.state.experiments.items()}
        assert {name: row.state for name, row in rows.experiments.items()} == states

    @invariant()
    def epochs_count_up_and_not_too_far(self):
        for run in self.state.runs:
            epochs = [each.event.epoch for each in self.log(e.AttemptStarted) if each.stream == run]
            assert epochs == list(range(1, len(epochs) + 1))
        retries_are_bounded(self.store.events, MAX_RETRIES)

    # ------------------------------------------------------------------------------------------------ at the end

    def _everything_can_come_to_an_end(self):
        """With hosts of each class that have room for everybody, nothing paused, and trainers that complete, no run is left
        behind."""
        self.leaving = False
        self.pid += 1
        for name, bits in zip((HOST, OTHER), CLASSES, strict=True):
            devices = tuple(e.GpuDevice(id=f"GPU-{each}", bits=GPU_CLASSES[each % 2]) for each in range(18))
            offer = {"cpus": tuple(range(9)), "gpus": ("GPU",) * 18, "devices": devices, "labels": ("big",)}
            self.join(name=name, bits=bits, **offer)
        for name in list(self.state.experiments):
            self.tell(c.ResumeTarget(target=name, operator="me@here"))
        for _ in range(20):
            self.now += 10_000.0
            self.tell(Tick())
            for run in [run for run in self.state.runs.values() if run.live]:
                self.exit(run, "completed", True, {"exit_code": 0})
        assert all(run.state == "completed" for run in self.state.runs.values())
        assert all(standing.state == "completed" for standing in self.state.experiments.values())


QUICK = settings(
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@pytest.mark.parametrize("examples", [40, pytest.param(1500, marks=[pytest.mark.long, pytest.mark.timeout(900)])])
def test_whatever_happens_in_whatever_order(examples):
    run_state_machine_as_test(Supervision, settings=settings(QUICK, max_examples=examples))


# --- negative controls: with a rule broken, the machine must notice ------------------------------------------------------


def _everybody_gets_the_first_slot(current, run, need, host):
    return Placement(run, Slot(current.hosts[host.name], host.cpus[0], 0 if need.cuda else None))


def _suspicion_is_forgotten(slots, need, otherwise, closed):
    return HOSTS_FOR(slots, need, otherwise, closed._replace(silent=0))


def _bits_are_forgotten(slots, need, otherwise, closed):
    return HOSTS_FOR(slots, need._replace(bits=""), otherwise, closed)


def _labels_are_forgotten(slots, need, otherwise, closed):
    return HOSTS_FOR(slots, need._replace(labels=()), otherwise, closed)


def _what_a_host_lacks_is_forgotten(slots, need, otherwise, closed):
    return HOSTS_FOR(slots, need._replace(code=""), otherwise, closed)


def _deciding_as_if_it_stayed(current, message, now, timers, leaving):
    return decide(current, message, now, timers)


HOSTS_FOR = placement.hosts_for
BROKEN = {
    "what a host lacks is forgotten": (placement, "hosts_for", _what_a_host_lacks_is_forgotten),
    "a silent host gets more": (placement, "hosts_for", _suspicion_is_forgotten),
    "a run goes on with other bits and nobody is told": (placement, "hosts_for", _bits_are_forgotten),
    "a run goes on with other bits without a warning": (core, "on_other_hardware", lambda *_: "!"),
    "seeds are kept on no class": (pairs, "_decided", lambda kept, keys: ""),
    "wishes are forgotten": (placement, "hosts_for", _labels_are_forgotten),
    "a silent host is given up for nothing": (silent_hosts, "may_be_given_up", lambda current, timers, host: True),
    "a silent host is never given up": (silent_hosts, "may_be_given_up", lambda current, timers, host: False),
    "slots are given twice": (placement, "_placed", _everybody_gets_the_first_slot),
    "a supervisor that leaves starts what waits": (core, "decide", _deciding_as_if_it_stayed),
    "superseded checkpoints are offered": (folding, "still_counts", lambda step, from_step: True),
    "checkpoints are offered without end": (folding, "KEPT_CHECKPOINTS", 99),
    "exhausted experiments are forgotten": (ExperimentStanding, "exhausted", False),
    "what ended is resumed without its experiment": (Decision, "reopen", lambda decision, experiment: None),
    "nothing is placed": (core, "_place_runs", lambda decision: None),
    "experiments never end": (core, "_close_experiments", lambda decision: None),
    "old attempts count": (folding, "_is_current", lambda current, recorded: True),
    "failures are retried for ever": (attempts, "after_failure", lambda *_: FailureOutcome("retry", 0.0, "retry 1 of 1")),
    "what is being aborted is left behind": (
        standing,
        "MEANINGS",
        MEANINGS | dict.fromkeys(("aborted", "limit", "skip"), StopMeaning("stopped", None)),
    ),
    "stops are forgotten": (Decision, "ask_to_end", lambda decision, run, attempt, reason: None),
}


RARE = (
    *("a silent host gets more", "a silent host is never given up", "failures are retried for ever"),
    *("seeds are kept on no class", "wishes are forgotten", "what a host lacks is forgotten"),
    *("a run goes on with other bits and nobody is told", "a run goes on with other bits without a warning"),
    *("a supervisor that leaves starts what waits", "what is being aborted is left behind"),
    "what ended is resumed without its experiment",
)
"""It takes the machine hundreds of examples to meet with these."""


@pytest.mark.parametrize(
    "broken",
    [pytest.param(name, marks=[pytest.mark.long, pytest.mark.timeout(900)]) if name in RARE else name for name in BROKEN],
)
def test_a_broken_rule_is_noticed(monkeypatch, broken):
    monkeypatch.setattr(*BROKEN[broken])
    once = settings(
        QUICK, max_examples=1500, phases=[Phase.generate], database=None, derandomize=True, report_multiple_bugs=False
    )
    with pytest.raises((AssertionError, ImpossibleTransitionError)):
        run_state_machine_as_test(Supervision, settings=once)
