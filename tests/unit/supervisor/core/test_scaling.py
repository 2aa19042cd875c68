"""How many workers an engine has: as many as queued runs can use, never more than allowed, and none that is forgotten."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lander.protocol import commands as c
from lander.protocol import events as e
from lander.supervisor.core.decide import decide
from lander.supervisor.core.effects import AskEngine, CancelWorker
from lander.supervisor.core.launcher_standing import FIRST_DELAY, MAX_DELAY, MAX_FAILURES
from lander.supervisor.core.launchers import MISSING_SECONDS, RESOLVE_SECONDS
from lander.supervisor.core.messages import EngineAnswered, EngineSilent, HostGone, Launched, LaunchRefused, SeenJob, Tick
from lander.supervisor.core.scaling import JOIN_SECONDS, TOKEN_SECONDS
from lander.supervisor.core.timers import Timers
from tests.support.launcher_lab import IDLE, Lab

# ---------------------------------------------------------------------------------------------------- more workers


def test_as_many_workers_are_ordered_as_queued_runs_can_use_and_no_more_than_allowed():
    lab = Lab()
    lab.submit(seeds=(0,))  # two arms
    assert [order.number for order in lab.orders()] == [2]
    lab = Lab()
    lab.submit(seeds=range(5))
    assert [order.number for order in lab.orders()] == [3]


def test_a_worker_of_several_slots_counts_for_as_many_runs():
    lab = Lab(slots=4)
    lab.submit(seeds=range(3))  # six runs
    assert [order.number for order in lab.orders()] == [2]


def test_an_order_names_its_jobs_before_the_engine_is_asked():
    lab = Lab()
    decision = lab.submit()
    kinds = [event.kind for _, event in decision.events]
    assert kinds.index("TokenIssued") < kinds.index("WorkersOrdered")
    assert set(lab.standing.jobs) == {"lab-3f2a-1-1", "lab-3f2a-1-2"}


def test_no_more_is_ordered_while_workers_are_coming():
    lab = Lab()
    lab.submit()
    names = lab.launch()
    assert lab.check().effects == [AskEngine(launcher="lab")]
    for name in names:
        lab.enrol(name)
    assert sorted(lab.hosts_of().values()) == sorted(names)
    assert not lab.orders()


def test_no_number_of_an_order_is_given_twice():
    lab = Lab()
    lab.submit()
    lab.end(*lab.launch())
    lab.now += MAX_DELAY
    lab.check()
    assert lab.orders()[0].batch == "lab-3f2a-2"
    names = lab.launch()
    lab.leave()
    lab.end(*names)
    assert not lab.state.launchers, "it is not in use any more"
    lab.leaving = False
    lab.configure()
    lab.now += MAX_DELAY
    lab.check()
    assert [order.batch for order in lab.ordered] == ["lab-3f2a-1", "lab-3f2a-2", "lab-3f2a-3"]


def test_an_execution_in_sequence_needs_one_worker():
    lab = Lab()
    lab.submit(mode="sequential", seeds=range(5))
    assert [order.number for order in lab.orders()] == [1]


def test_min_workers_are_ordered_without_a_run():
    lab = Lab(min_workers=2)
    assert [order.number for order in lab.orders()] == [2]


def test_the_token_of_a_launcher_is_used_until_half_its_time_has_passed():
    lab = Lab()
    lab.submit()
    token = lab.orders()[0].token
    lab.end(*lab.launch())
    lab.check(TOKEN_SECONDS / 4)
    assert lab.orders()[0].token == token
    lab.end(*lab.launch())
    lab.check(TOKEN_SECONDS / 3)
    assert lab.orders()[0].token != token


def test_where_a_launcher_is_in_use_the_supervisor_s_own_machine_trains_nothing():
    lab = Lab()
    lab.join(host="local", cpus=2)
    lab.submit(seeds=(0,))
    assert not lab.hosts_of()
    lab.configure(max_workers=0)
    assert set(lab.hosts_of().values()) == {"local"}


# ---------------------------------------------------------------------------------------------------- failures


def refuse(lab, detail="no such partition"):
    return lab.tell(LaunchRefused("lab", lab.orders()[0].batch, detail))


def test_what_an_engine_refuses_is_tried_again_after_a_growing_delay_and_not_for_ever():
    lab = Lab()
    lab.submit()
    waits = []
    while lab.orders():
        refuse(lab)
        assert not lab.standing.jobs
        waited = 0.0
        while not lab.standing.given_up and not lab.orders():
            waited += 1.0
            lab.check(1.0)
        waits.append(waited)
    assert waits[:3] == [FIRST_DELAY, 2 * FIRST_DELAY, 4 * FIRST_DELAY]
    assert len(waits) == MAX_FAILURES
    assert all(wait <= MAX_DELAY for wait in waits)
    assert [event.detail for event in lab.said("LauncherGivenUp")] == ["no such partition"]
    assert not lab.check(1e6).events


def test_who_asks_again_has_it_tried_again():
    lab = Lab()
    lab.submit()
    while not lab.standing.given_up:
        refuse(lab) if lab.orders() else lab.check(MAX_DELAY)
    lab.configure()
    assert lab.orders()
    assert not lab.standing.given_up


def test_a_job_that_ends_before_it_had_a_run_is_a_failure_in_the_words_of_the_engine():
    lab = Lab()
    lab.submit()
    lab.end(*lab.launch(), detail="NODE_FAIL")
    assert [(event.detail, event.failed) for event in lab.said("WorkerJobEnded")] == [("NODE_FAIL", True)] * 2
    assert lab.standing.failures == 2
    assert not lab.orders()


def test_a_run_that_is_placed_forgives_the_failures():
    lab = Lab()
    lab.submit(seeds=(0,))
    refuse(lab)
    lab.check(FIRST_DELAY)
    lab.enrol(lab.launch()[0])
    assert lab.standing.failures == 0


def a_place_that_fails(lab):
    """One worker trains, and another place of the engine fails as often as it is tried."""
    lab.submit(seeds=range(4))
    good, bad = lab.launch()[:2]
    lab.enrol(good)
    lab.end(bad, detail="gpu2: no route to host")
    for _ in range(3 * MAX_FAILURES):
        lab.check(MAX_DELAY)
        if lab.orders():
            refuse(lab, "gpu2: no route to host")
    return good


def test_while_a_worker_trains_what_fails_elsewhere_is_tried_again_and_does_not_give_the_engine_up():
    lab = Lab(max_workers=2)
    good = a_place_that_fails(lab)
    assert not lab.standing.given_up
    assert lab.standing.detail == "gpu2: no route to host"
    lab.leave_host(good)
    lab.end(good)
    lab.check(MAX_DELAY)
    assert lab.orders(), "it is tried where it worked"


def test_once_no_worker_trains_any_more_one_more_failure_gives_the_engine_up():
    lab = Lab(max_workers=2)
    good = a_place_that_fails(lab)
    lab.leave_host(good)
    lab.end(good)
    lab.check(MAX_DELAY)
    refuse(lab)
    assert lab.standing.given_up


def test_no_more_is_ordered_than_the_engine_says_that_it_can_have_and_its_words_are_said():
    lab = Lab()
    lab.submit(seeds=(0,))
    good, bad = lab.launch()
    lab.enrol(good)
    del lab.jobs[bad]
    lab.now += MISSING_SECONDS
    lab.answer(most=1, detail="gpu2 is given up after 8 failures: no route to host")
    assert lab.standing.detail == "gpu2 is given up after 8 failures: no route to host"
    lab.check(MAX_DELAY)
    assert not lab.orders()
    lab.configure()
    assert lab.orders(), "who asks again has it tried again"


def test_an_engine_that_has_room_for_fewer_than_were_ordered_is_not_asked_for_the_others():
    lab = Lab(engine="local")
    lab.submit(seeds=range(3))
    (order,) = lab.orders()
    lab.tell(Launched("lab", order.batch, ("1", "2"), 2, "each worker takes 1 of this machine's 2 cores"))
    assert len(lab.standing.jobs) == 2
    assert lab.standing.detail == "each worker takes 1 of this machine's 2 cores"
    lab.check(MAX_DELAY)
    assert not lab.orders()
    lab.configure(engine="local", max_workers=4)
    assert not lab.orders(), "the machine has no more cores than before"
    assert lab.standing.failures == 0


def test_a_delay_survives_a_restart_and_does_not_grow_by_the_wall_clock():
    lab = Lab()
    lab.submit()
    refuse(lab)
    lab.clock_error = -1e6
    lab.restart()
    lab.check(FIRST_DELAY)
    assert lab.orders()


def test_an_engine_that_does_not_answer_is_said_once_and_ends_no_job():
    lab = Lab()
    lab.submit()
    lab.launch()
    assert [event.detail for event in lab.tell(EngineSilent("lab", "squeue: no answer")).events[0][1:]] == ["squeue: no answer"]
    assert not lab.tell(EngineSilent("lab", "squeue: no answer")).events
    assert len(lab.standing.jobs) == 2


def test_a_job_that_waits_is_said_with_the_reason_of_the_engine():
    lab = Lab()
    lab.submit()
    names = lab.launch()
    lab.answer(**{names[0]: SeenJob("1", "waiting", "(Resources)"), names[1]: SeenJob("2", "running")})
    assert [(event.waiting, event.detail) for event in lab.said("EngineReported")] == [(1, "(Resources)")]
    lab.answer()
    assert [(event.waiting, event.detail) for event in lab.said("EngineReported")] == [(0, "")]


def test_a_job_that_runs_and_never_joins_is_given_back_as_a_failure():
    lab = Lab()
    lab.submit(seeds=(0,))
    names = lab.launch()
    lab.timers.jobs.seen_running(names, lab.now)
    assert not lab.check(JOIN_SECONDS - 1).events
    lab.check(1.0)
    assert sorted(lab.cancels()) == names
    assert all(event.failed for event in lab.said("WorkerGivenBack"))
    lab.end(*names)
    assert lab.standing.failures == 2


# ---------------------------------------------------------------------------------------------------- killed in between


def test_an_order_whose_outcome_is_not_known_is_found_again_by_the_names_of_its_jobs():
    lab = Lab()
    lab.submit()
    batch = lab.orders()[0].batch
    lab.restart()
    lab.answer(**{f"{batch}-2": SeenJob("id-2", "running")})
    assert [(event.names, event.ids) for event in lab.said("WorkersLaunched")] == [((f"{batch}-2",), ("id-2",))]
    assert f"{batch}-1" not in lab.standing.jobs
    assert [order.number for order in lab.orders()] == [1]  # a new one, under a new name


def test_an_order_that_reached_nobody_is_given_up_after_a_while_and_made_anew():
    lab = Lab()
    lab.submit()
    lab.restart()
    assert not lab.tell(EngineAnswered("lab", {})).events
    lab.now += RESOLVE_SECONDS
    lab.tell(EngineAnswered("lab", {}))
    assert lab.said("LaunchFailed")
    lab.check(FIRST_DELAY)
    assert lab.orders()[0].batch == "lab-3f2a-2"


def test_an_order_that_waits_for_its_turn_at_a_slow_engine_has_not_failed():
    lab = Lab()
    lab.submit(seeds=(0,))
    (order,) = lab.orders()
    lab.check(RESOLVE_SECONDS + 1.0)
    lab.tell(EngineAnswered("lab", {}, unmade=frozenset({order.batch})))
    assert lab.said("LaunchFailed") == []
    assert lab.launch(order) == list(lab.standing.jobs)


def test_what_is_decided_where_no_supervisor_serves_is_nothing_to_engines():
    """After a supervisor was killed, its launcher and its jobs are the next one's."""
    lab = Lab()
    lab.submit(seeds=(0,))
    lab.launch()
    note = c.AddNote(experiment="x", text="it was killed", operator="me@here")
    decision = decide(lab.state, note, lab.now, Timers(), alone=True)
    assert [event.kind for _, event in decision.events] == ["NoteAdded"]
    assert decision.effects == []


def test_a_log_in_which_the_joining_of_a_worker_cannot_be_read_opens():
    lab = Lab()
    lab.submit(seeds=(0,))
    name, _ = lab.launch()
    later = e.AttemptStarted(epoch=1, host=name, cpu=0, gpu=None)
    lab.fold(e.Recorded(0, e.host_stream(name), e.SUPERVISOR, 0, 0, e.Unreadable("HostJoined", "of another version")))
    lab.fold(e.Recorded(0, "x/baseline/0", e.SUPERVISOR, 0, 0, later))
    assert lab.standing.jobs[name].trained
    assert lab.standing.slots is None, "what it offers is not known"


def asks(lab, seconds=1.0):
    return AskEngine(launcher="lab") in lab.check(seconds).effects


def test_after_an_order_has_failed_its_engine_is_asked_until_it_has_answered_and_what_was_started_is_ended():
    """The connection was cut after a worker had been started."""
    lab = Lab(max_workers=1)
    lab.submit(seeds=(0,))
    refuse(lab, "gpu2: no answer within 60 s")
    assert asks(lab)
    lab.tell(EngineSilent("lab", "gpu2: no route to host"))
    assert asks(lab)
    lab.answer(**{"lab-3f2a-1-1": SeenJob("77", "running")})
    assert lab.cancels() == ["lab-3f2a-1-1"]
    assert asks(lab), "it may not have ended yet"
    lab.answer(**{"lab-3f2a-1-1": SeenJob("77", "ended")})
    assert not asks(lab)


def test_a_worker_that_joins_and_is_not_recorded_is_ended_also_when_its_engine_did_not_show_it_before():
    lab = Lab(max_workers=1)
    lab.submit(seeds=(0,))
    refuse(lab)
    lab.tell(EngineAnswered("lab", {}))
    assert not asks(lab)
    lab.enrol("lab-3f2a-1-1", cpus=2)
    assert set(lab.hosts_of().values()) == {"lab-3f2a-1-1"}
    assert asks(lab)
    lab.tell(EngineAnswered("lab", {}))
    assert asks(lab), "it trains, whatever its engine shows"
    lab.answer(**{"lab-3f2a-1-1": SeenJob("77", "running")})
    assert lab.cancels() == ["lab-3f2a-1-1"]
    lab.leave_host("lab-3f2a-1-1")
    lab.tell(EngineAnswered("lab", {}))
    assert not asks(lab)


def test_a_supervisor_that_leaves_asks_an_engine_whose_order_has_failed_and_ends_what_that_has_started():
    lab = Lab(max_workers=1)
    lab.submit(seeds=(0,))
    refuse(lab)
    lab.restart()
    lab.leave()
    assert not lab.standing.settled, "what is left is waited for"
    assert asks(lab)
    lab.answer(**{"lab-3f2a-1-1": SeenJob("77", "running")})
    assert lab.cancels() == ["lab-3f2a-1-1"]
    lab.tell(EngineAnswered("lab", {}))
    assert "lab" not in lab.state.launchers


def test_jobs_that_are_not_recorded_are_ended():
    lab = Lab()
    lab.answer(**{"lab-3f2a-9-1": SeenJob("77", "running"), "lab-3f2a-9-2": SeenJob("78", "ended")})
    assert [(effect.job, effect.id) for effect in lab.last.effects] == [("lab-3f2a-9-1", "77")]


# ---------------------------------------------------------------------------------------------------- fewer workers


def trained(lab):
    """Two workers, whose runs are over."""
    lab.submit(seeds=(0,))
    names = lab.launch()
    for name in names:
        lab.enrol(name)
    lab.train("x/baseline/0", "x/v/0")
    lab.complete("x/baseline/0", "x/v/0")
    return names


def test_a_worker_without_a_run_is_drained_and_then_given_back():
    lab = Lab()
    names = trained(lab)
    assert not lab.check(IDLE - 1).events
    lab.check(1.0)
    assert sorted(lab.cancels()) == names
    assert {name for name, host in lab.state.hosts.items() if host.drained} == set(names)
    for name in names:
        lab.leave_host(name)
    lab.end(*names)
    assert not lab.standing.jobs
    assert not lab.standing.failures
    assert not set(names) & lab.state.hosts.keys()


def given_back(lab):
    """A worker that has trained, whose job is given back; its engine was asked a moment before."""
    lab.submit(seeds=(0,), mode="sequential")
    (name,) = lab.launch()
    lab.enrol(name)
    for run in ("x/baseline/0", "x/v/0"):
        lab.train(run)
        lab.complete(run)
    lab.check(IDLE)
    assert lab.cancels() == [name]
    return name


def test_a_worker_that_was_given_back_makes_room_when_it_has_left_whatever_its_engine_still_shows():
    lab = Lab(max_workers=1)
    name = given_back(lab)
    lab.submit(name="y", seeds=(0,))
    assert not lab.orders(), "it is there"
    lab.leave_host(name)
    (order,) = lab.orders()
    assert order.number == 1
    (after,) = lab.launch(order)
    lab.answer()
    assert lab.cancels() == []
    assert set(lab.standing.jobs) == {name, after}
    lab.check(1.0)
    assert lab.cancels() == [name], "it is ended again, and not the next one"
    assert not lab.orders()
    lab.end(name)
    assert set(lab.standing.jobs) == {after}
    assert not lab.standing.failures


def test_a_worker_that_leaves_by_itself_makes_room_if_it_has_trained():
    lab = Lab(max_workers=1, min_workers=1)
    (name,) = lab.launch()
    lab.enrol(name)
    lab.leave_host(name)
    assert not lab.orders(), "the next one may be of no use either, and its engine may say why"
    lab = Lab(max_workers=1, min_workers=1)
    lab.submit(seeds=(0,))
    (name,) = lab.launch(lab.ordered[0])
    lab.enrol(name)
    lab.leave_host(name)
    assert [order.number for order in lab.orders()] == [1]


def test_a_worker_that_was_of_no_use_makes_no_room_before_its_engine_says_so():
    lab = Lab(max_workers=1, min_workers=1)
    (name,) = lab.launch()
    lab.enrol(name)
    lab.configure(max_workers=1)
    lab.check(IDLE)
    lab.submit(seeds=(0,), hosts={"labels": ["a100"]})
    lab.configure(max_workers=1, labels=("a100",))
    lab.leave_host(name)
    assert not lab.orders()
    lab.end(name)
    assert not lab.orders(), "the delay after a failure"
    lab.check(FIRST_DELAY)
    assert lab.orders()


def test_a_worker_that_has_left_and_joins_again_is_counted_again():
    lab = Lab(max_workers=1)
    name = given_back(lab)
    lab.leave_host(name)
    assert lab.standing.free == 1
    lab.enrol(name)
    assert lab.standing.free == 0
    assert lab.check(1.0).effects
    assert lab.cancels() == [name]


def test_a_worker_that_is_only_lost_makes_no_room_before_its_engine_says_so():
    lab = Lab(max_workers=1)
    name = given_back(lab)
    lab.tell(HostGone(name, "silent for 120 s"))
    lab.submit(name="y", seeds=(0,))
    assert not lab.orders()


def test_in_an_engine_with_a_number_of_places_a_job_has_one_until_it_is_over():
    lab = Lab(max_workers=1)
    name = given_back(lab)
    lab.answer(most=1)
    lab.leave_host(name)
    lab.submit(name="y", seeds=(0,))
    assert not lab.orders()
    del lab.jobs[name]
    lab.tell(EngineAnswered("lab", {}, 1))
    assert lab.orders()


def test_min_workers_stay():
    lab = Lab()
    names = trained(lab)
    lab.configure(min_workers=1)
    lab.check(IDLE)
    assert len(set(names) - set(lab.cancels())) == 1


def test_a_worker_that_joined_and_that_no_run_could_use_is_a_failure():
    lab = Lab(min_workers=1)
    (name,) = lab.launch()
    lab.enrol(name)
    lab.configure(min_workers=0)
    lab.check(IDLE)
    assert [event.failed for event in lab.said("WorkerGivenBack")] == [True]


def test_a_job_that_no_run_waits_for_any_more_is_given_back():
    lab = Lab()
    lab.submit()
    names = lab.launch()
    lab.stop("x")
    lab.check(IDLE)
    assert sorted(lab.cancels()) == names


def test_what_is_given_back_is_ended_again_until_it_is_over():
    lab = Lab()
    names = trained(lab)
    lab.check(IDLE)
    assert sorted(lab.check(1.0).effects[index].job for index in range(2)) == names


def test_a_worker_that_trains_is_never_given_back_and_never_counted_as_over_while_it_is_heard():
    lab = Lab()
    lab.submit(seeds=(0,))
    names = lab.launch()
    for name in names:
        lab.enrol(name)
    lab.check(10 * IDLE)
    lab.end(*names)
    assert set(lab.standing.jobs) == set(names)
    assert not lab.cancelled


def test_a_worker_that_is_silent_and_whose_job_is_over_is_lost_at_once_with_the_words_of_the_engine():
    lab = Lab()
    lab.submit(seeds=(0,))
    names = lab.launch()
    for name in names:
        lab.enrol(name)
    lab.train("x/baseline/0", "x/v/0")
    lab.hear(names[1], seconds=9.0)
    lab.end(*names, detail="NODE_FAIL")
    assert [event.detail for event in lab.said("HostLost")] == ["its job is over: NODE_FAIL"]
    assert set(lab.standing.jobs) == {names[1]}


def test_an_exclusive_run_whose_job_is_said_to_be_over_waits_until_the_lease_of_its_worker_is_over():
    """A node that cannot be reached is over for its engine, and what trains there goes on as long as it has a lease."""
    lab = Lab(max_workers=2)
    lab.submit(exclusive=True)
    lost, other = names = lab.launch()
    for name in names:
        lab.enrol(name, cpus=2)
    there = sorted(run for run, host in lab.hosts_of().items() if host == lost)
    lab.hear(other, seconds=10.0)
    lab.end(lost, detail="NODE_FAIL")
    lab.hear(other, seconds=lab.timers.silence.lost_seconds - 10.0 - 1.0)
    lab.tell(Tick())
    assert not set(there) & set(lab.hosts_of())
    lab.hear(other, seconds=2.0)
    lab.tell(Tick())
    assert there
    assert set(there) <= set(lab.hosts_of())


def test_a_job_that_the_engine_does_not_show_yet_is_not_over():
    lab = Lab()
    lab.submit()
    lab.launch()
    assert not lab.tell(EngineAnswered("lab", {})).events
    lab.now += MISSING_SECONDS
    lab.tell(EngineAnswered("lab", {}))
    assert len(lab.said("WorkerJobEnded")) == 2


def test_a_supervisor_that_leaves_gives_every_worker_back_and_uses_the_launcher_no_more():
    lab = Lab()
    lab.submit(seeds=(0,))
    names = lab.launch()
    lab.enrol(names[0])
    lab.leave()
    assert lab.cancels() == [names[1]]
    lab.exit(f"{next(iter(lab.state.live))}", cause="stopped")
    assert lab.cancels() == [names[0]]
    lab.leave_host(names[0])
    lab.end(*names)
    assert "lab" not in lab.state.launchers


# ---------------------------------------------------------------------------------------------------- any order of things


class Engine(RuleBasedStateMachine):
    """Whatever happens: never too many jobs, none forgotten, and no end of failures."""

    def __init__(self):
        super().__init__()
        self.lab = Lab(max_workers=3)
        self.open_orders = []
        self.real = {}
        self.ending = set()
        """The jobs whose workers have left, and which the engine shows as running for a while."""
        self.experiments = 0

    def notice(self):
        self.open_orders += self.lab.orders()

    @precondition(lambda self: self.experiments < 4)
    @rule(seeds=st.integers(1, 3))
    def submit(self, seeds):
        self.experiments += 1
        self.lab.submit(name=f"e{self.experiments}", seeds=range(seeds))
        self.notice()

    @precondition(lambda self: self.open_orders)
    @rule()
    def the_engine_takes_the_order(self):
        order = self.open_orders.pop(0)
        self.real |= dict.fromkeys(self.lab.launch(order), "running")
        self.notice()

    @precondition(lambda self: self.open_orders)
    @rule(started=st.integers(0, 3))
    def the_engine_refuses(self, started):
        """It may have started some of the jobs all the same."""
        order = self.open_orders.pop(0)
        self.real |= {f"{order.batch}-{index}": "running" for index in range(1, min(started, order.number) + 1)}
        self.lab.tell(LaunchRefused("lab", order.batch, "no"))
        self.notice()

    @precondition(lambda self: self.open_orders)
    @rule(taken=st.booleans())
    def the_supervisor_is_killed_while_it_asks(self, taken):
        order = self.open_orders.pop(0)
        if taken:
            self.real |= {f"{order.batch}-{index}": "running" for index in range(1, order.number + 1)}
        self.lab.restart()

    @precondition(lambda self: self.real.keys() - self.ending)
    @rule(data=st.data())
    def a_worker_joins(self, data):
        name = data.draw(st.sampled_from(sorted(self.real.keys() - self.ending)))
        if name in self.lab.standing.jobs and self.lab.standing.jobs[name].id:
            self.lab.enrol(name)
            self.notice()

    @precondition(lambda self: self.lab.state.live)
    @rule(data=st.data())
    def a_run_completes(self, data):
        run = data.draw(st.sampled_from(sorted(self.lab.state.live)))
        self.lab.train(run)
        self.lab.complete(run)
        self.notice()

    @precondition(lambda self: self.real)
    @rule(data=st.data())
    def a_job_ends(self, data):
        name = data.draw(st.sampled_from(sorted(self.real)))
        if name in self.lab.state.hosts:
            self.lab.leave_host(name)
            self.notice()
        self.is_over(name)

    @precondition(lambda self: self.real.keys() & self.lab.state.hosts.keys())
    @rule(data=st.data())
    def a_worker_leaves_and_its_job_takes_longer(self, data):
        name = data.draw(st.sampled_from(sorted(self.real.keys() & self.lab.state.hosts.keys())))
        self.ending.add(name)
        self.lab.leave_host(name)
        self.notice()

    @precondition(lambda self: self.ending)
    @rule()
    def what_has_left_is_over(self):
        for name in sorted(self.ending):
            self.is_over(name)

    def is_over(self, name):
        del self.real[name]
        self.ending.discard(name)

    @rule(seconds=st.sampled_from([0.0, 1.0, 31.0, 61.0, IDLE, 601.0]))
    def time_passes_and_the_engine_is_asked(self, seconds):
        self.lab.hear(*self.lab.state.hosts, seconds=seconds)
        self.lab.check()
        asked = AskEngine(launcher="lab") in self.lab.last.effects
        reasons = {event.reason for event in self.lab.said("WorkerGivenBack")}
        assert "there are to be fewer workers" not in reasons, "one that has left counted"
        self.notice()
        self.obey()
        if asked and not self.open_orders:  # the calls to an engine are made one after the other
            self.lab.answer(
                **{name: SeenJob(f"id-{name}", state) for name, state in self.real.items()} or {"other": SeenJob("x", "ended")}
            )
            self.notice()
            self.obey()

    def obey(self):
        """What is cancelled ends, and its worker leaves."""
        for name in self.lab.cancels():
            if name in self.real.keys() - self.ending:
                if name in self.lab.state.hosts:
                    self.lab.leave_host(name)
                    self.notice()
                self.is_over(name)

    @invariant()
    def never_more_workers_than_allowed(self):
        """What has left does not count, though its engine shows it; what has left and was of no use does."""
        vacated = {job.name for job in self.lab.standing.jobs.values() if job.vacated}
        assert len(self.lab.standing.jobs.keys() - vacated) <= 3
        assert not vacated & (self.real.keys() - self.ending), "its worker is there"

    @invariant()
    def every_job_that_is_there_is_recorded_or_will_be_ended(self):
        """A job that is not recorded is one of an order that was given up; the engine is asked, and its answer ends it."""
        strangers = self.real.keys() - self.lab.standing.jobs.keys()
        if strangers and not self.open_orders:
            assert self.lab.standing.unchecked
            decision = self.lab.answer(**{name: SeenJob(f"id-{name}", "running") for name in self.real})
            assert strangers <= {effect.job for effect in decision.effects if isinstance(effect, CancelWorker)}
            self.notice()
            self.obey()

    @invariant()
    def no_run_is_at_a_worker_that_was_given_back(self):
        given_back = {job.name for job in self.lab.standing.jobs.values() if job.given_back}
        assert not given_back & {
            taken.run and host.name for host in self.lab.state.slots.hosts.values() for taken in host.taken
        }

    @invariant()
    def failures_are_bounded(self):
        assert self.lab.standing.failures <= MAX_FAILURES + 3

    def teardown(self):
        """In the end, when nothing is to be trained any more, every worker is given back."""
        for name in self.lab.state.under_way:
            self.lab.stop(name)
        for order in self.open_orders:
            self.lab.tell(LaunchRefused("lab", order.batch, "no"))
        self.open_orders = []
        for run in list(self.lab.state.live):
            self.lab.exit(run, cause="stopped")
        for name in sorted(self.ending):
            self.is_over(name)
        for _ in range(4):
            self.time_passes_and_the_engine_is_asked(seconds=IDLE)
        assert not self.real
        assert not self.lab.standing.jobs


TestAnyOrder = Engine.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
