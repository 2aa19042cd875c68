"""The decision core against everything at once: submissions, hosts, trainers and people, in any order, late, twice, or lost.

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

from lander.protocol import commands as c
from lander.protocol import events as e
from lander.protocol.lifecycle import ImpossibleTransitionError
from lander.store.event_store import said
from lander.store.memory import MemoryEventStore
from lander.supervisor import decide as core
from lander.supervisor import placement, state
from lander.supervisor.decide import Drain, HostGone, Tick, decide
from lander.supervisor.policy import Verdict
from lander.supervisor.state import State, evolve, fold
from tests.decisions import effects_speak_of_the_log, experiments_end_with_their_runs, no_slot_is_idle_without_need
from tests.histories import HOST, experiment

NAMES = ("x", "y")
PICK = st.integers(0, 30)
KILLED = {"signal": "SIGKILL"}
EXITS = st.sampled_from([{"exit_code": 0}, {"exit_code": 1, "log_tail": "tail"}, KILLED, KILLED | {"out_of_memory": True}])
CAUSES = st.sampled_from(["completed", "stopped", "config_error", "non_finite", "crashed"])
WORDS = st.sampled_from(["TrainingStarted", "ModelSaved", "TrainingEnded", "MetricsLogged", "WarningRaised"])


class Supervision(RuleBasedStateMachine):
    """The shell, reduced to what matters here."""

    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.store = MemoryEventStore()
        self.store.listen(self._committed)
        self.state = State()
        self.now = 1_000.0
        self.pid = 1
        self.over = {}

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
        """Decide, record, check; `meanwhile`, a trainer's word is recorded between the decision and its commit."""
        draft = decide(self.state, message, self.now)
        if meanwhile is not None:
            self._append(meanwhile)
        if draft.events:
            self._append(*(said(stream, event, at=1) for stream, event in draft.events))
        effects_speak_of_the_log(draft.effects, self.state, self.store.events)
        experiments_end_with_their_runs(self.state)
        if not isinstance(draft.answer, c.Refused):  # a refusal changes nothing, and so fills no slot, either
            no_slot_is_idle_without_need(self.state, self.now)
        return draft

    def _word(self, pick, kind, cause="completed"):
        """A word of any attempt that ever was; None before there was one."""
        attempts = [(run.id, epoch) for run in self.state.runs.values() for epoch in range(1, run.epoch + 1)]
        if not attempts:
            return None
        run, epoch = attempts[pick % len(attempts)]
        event = {
            "TrainingStarted": e.TrainingStarted(epoch=epoch, pid=7, n_envs=1, device="cpu"),
            "ModelSaved": e.ModelSaved(step=1000, path="m", sha256="s"),
            "TrainingEnded": e.TrainingEnded(epoch=epoch, cause=cause, step=1000),
            "MetricsLogged": e.MetricsLogged(step=1, values={}),
            "WarningRaised": e.WarningRaised(message="!"),
        }[kind]
        return said(run, event, at=1, producer=epoch)

    # ------------------------------------------------------------------------------------------------ what happens

    @initialize(cpus=st.integers(0, 3))
    def begin(self, cpus):
        if cpus:
            self.tell(c.JoinHost(name=HOST, pid=1, cpus=tuple(range(cpus)), memory_mb=1.0))

    @rule(
        name=st.sampled_from(NAMES),
        seeds=st.integers(1, 2),
        on_failure=st.sampled_from(["retry", "skip", "abort"]),
        mode=st.sampled_from(["parallel", "sequential"]),
        device=st.sampled_from(["cpu", "cpu", "cuda"]),
        max_workers=st.sampled_from([None, 1, 2]),
    )
    def submit(self, name, seeds, on_failure, mode, device, max_workers):
        wanted = experiment(name, seeds=range(seeds), on_failure=on_failure, max_retries=1, device=device)
        execution = e.Execution(mode=mode, max_workers=max_workers)
        known = self.state.experiments.get(name)
        draft = self.tell(c.SubmitExperiment(experiment=wanted, execution=execution, manifest={}))
        assert isinstance(draft.answer, c.Accepted if known is None or known.experiment == wanted else c.Refused)
        assert known is None or not any(event.kind == "ExperimentSubmitted" for _, event in draft.events)

    @rule(
        cpus=st.integers(1, 3),
        gpus=st.integers(0, 1),
        again=st.booleans(),
        kept=st.lists(st.booleans(), max_size=8),
        strange=PICK,
    )
    def host_joins(self, cpus, gpus, again, kept, strange):
        """Anew, or again after it lost its connection; with some of the trainers it should have, and perhaps with others."""
        self.pid += not again
        live = [(run.id, run.attempt.epoch) for run in self.state.runs.values() if run.attempt is not None]
        alive = [key for key, keep in zip(live, kept, strict=False) if keep and again]
        old = [(run.id, epoch) for run in self.state.runs.values() for epoch in range(1, run.epoch)]
        alive += old[strange : strange + 1]
        keys = tuple(c.TrainerKey(run=run, epoch=epoch) for run, epoch in alive)
        names = ("GPU",) * gpus
        self.tell(c.JoinHost(name=HOST, pid=self.pid, cpus=tuple(range(cpus)), gpus=names, memory_mb=1.0, trainers=keys))

    @rule(name=st.sampled_from([HOST, HOST, "nobody"]), meanwhile=PICK, kind=WORDS)
    def host_goes(self, name, meanwhile, kind):
        self.tell(HostGone(name, "its process ended"), self._word(meanwhile, kind))

    @precondition(lambda self: self.state.runs)
    @rule(pick=PICK, kind=WORDS, cause=CAUSES)
    def trainer_speaks(self, pick, kind, cause):
        word = self._word(pick, kind, cause)
        if word is not None:
            self._append(word)

    @precondition(lambda self: any(run.live for run in self.state.runs.values()))
    @rule(pick=PICK, how=EXITS, cause=st.none() | CAUSES, saved=st.booleans(), twice=st.booleans())
    def trainer_exits(self, pick, how, cause, saved, twice):
        live = [run for run in self.state.runs.values() if run.attempt is not None]
        run = live[pick % len(live)]
        self.exit(run, cause, saved, how)
        if twice:
            draft = self.exit(run, None, False, how)
            assert not any(event.kind == "AttemptEnded" for _, event in draft.events)

    def exit(self, run, cause, saved, how):
        if saved:
            self._append(said(run.id, e.ModelSaved(step=1, path="m", sha256="s"), at=1, producer=run.epoch))
        if cause is not None:
            self._append(said(run.id, e.TrainingEnded(epoch=run.epoch, cause=cause, step=1), at=1, producer=run.epoch))
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
        draft = self.tell(c.TrainerExited(run=run, epoch=epoch, **how), self._word(meanwhile, kind))
        assert counts == any(event.kind == "AttemptEnded" for _, event in draft.events)

    @rule(what=st.sampled_from(["x", "y", "x/v", "x/baseline/0", "y/v/1", "z", "x/"]), meanwhile=PICK, kind=WORDS)
    def stop(self, what, meanwhile, kind):
        found = any(run == what or run.startswith(what.rstrip("/") + "/") for run in self.state.runs) and what[-1] != "/"
        draft = self.tell(c.StopTarget(target=what, operator="me@here"), self._word(meanwhile, kind))
        assert isinstance(draft.answer, c.Accepted if found else c.Refused)
        assert all(run.over or run.state == "stopping" for run in self.state.runs.values() if run.id.startswith(f"{what}/"))

    @rule(really=PICK)
    def drain(self, really):
        if really == 0:  # seldom: it ends every story
            self.tell(Drain())
            assert all(run.over or run.state == "stopping" for run in self.state.runs.values())

    @rule(seconds=st.sampled_from([0.0, 0.5, 1.0, 2.0, 60.0, -5.0, -3600.0]), tick=st.booleans())
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
        gpus = [(attempt.host, attempt.gpu) for attempt in live if attempt.gpu is not None]
        assert len(set(cpus)) == len(cpus)
        assert len(set(gpus)) == len(gpus)

    @invariant()
    def what_is_over_stays_as_it_is(self):
        for run in self.state.runs.values():
            assert self.over.get(run.id, run) == run
            if run.over:
                self.over[run.id] = run
        for name, standing in self.state.experiments.items():
            assert self.over.get(name, standing) == standing
            if not standing.under_way:
                self.over[name] = standing

    @invariant()
    def the_log_folds_to_the_state(self):
        assert fold(self.store.consequential()) == self.state

    @invariant()
    def the_projections_say_the_same(self):
        rows = self.store.projections
        assert {run: row.state for run, row in rows.progress.items()} == {r.id: r.state for r in self.state.runs.values()}
        assert {run: row.attempt for run, row in rows.progress.items()} == {r.id: r.epoch for r in self.state.runs.values()}
        states = {name: standing.state for name, standing in self.state.experiments.items()}
        assert {name: row.state for name, row in rows.experiments.items()} == states

    @invariant()
    def epochs_count_up_and_not_too_far(self):
        for run in self.state.runs:
            epochs = [each.event.epoch for each in self.log(e.AttemptStarted) if each.stream == run]
            assert epochs == list(range(1, len(epochs) + 1))
        assert all(run.failures <= 2 for run in self.state.runs.values())

    # ------------------------------------------------------------------------------------------------ at the end

    def _everything_can_come_to_an_end(self):
        """With a host that has room for everybody, and trainers that complete, no run is left behind."""
        self.pid += 1
        self.tell(c.JoinHost(name=HOST, pid=self.pid, cpus=tuple(range(9)), gpus=("GPU",) * 9, memory_mb=1.0))
        for _ in range(20):
            self.now += 10_000.0
            self.tell(Tick())
            for run in [run for run in self.state.runs.values() if run.live]:
                self.exit(run, "completed", True, {"exit_code": 0})
        assert all(run.over for run in self.state.runs.values())
        assert not any(standing.under_way for standing in self.state.experiments.values())


QUICK = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def test_whatever_happens_in_whatever_order():
    run_state_machine_as_test(Supervision, settings=QUICK)


# --- negative controls: with a rule broken, the machine must notice ------------------------------------------------------


def _everybody_gets_the_first_slot(current, run):
    return next(((host, host.cpus[0], None) for host in current.hosts.values() if host.online), None)


BROKEN = {
    "slots are given twice": (placement, "_free_slot", _everybody_gets_the_first_slot),
    "nothing is placed": (core, "_place_runs", lambda draft: None),
    "experiments never end": (core, "_close_experiments", lambda draft: None),
    "old attempts count": (state, "_is_current", lambda current, recorded: True),
    "failures are retried for ever": (
        core,
        "after_failure",
        lambda *_: Verdict("retry", 0.0),
    ),
    "stops are forgotten": (core, "_stop_run", lambda draft, run, reason: None),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_rule_is_noticed(monkeypatch, broken):
    monkeypatch.setattr(*BROKEN[broken])
    once = settings(
        QUICK, max_examples=300, phases=[Phase.generate], database=None, derandomize=True, report_multiple_bugs=False
    )
    with pytest.raises((AssertionError, ImpossibleTransitionError)):
        run_state_machine_as_test(Supervision, settings=once)
