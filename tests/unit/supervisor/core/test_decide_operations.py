"""The decision core by examples: what people ask for a target, and what they ask next."""

import pytest

from lander.protocol import commands as c
from lander.protocol import events as e
from lander.supervisor.core.decide import LimitReached, Stalled, Tick
from lander.supervisor.core.effects import RequestCheckpoint
from lander.supervisor.core.restart_policy import STOP_GRACE
from tests.support.decision_driver import SIGNALLED, DecisionDriver

A, B = "x/baseline/0", "x/v/0"
VERBS = {
    "stop": c.StopTarget,
    "pause": c.PauseTarget,
    "resume": c.ResumeTarget,
    "retry": c.RetryTarget,
    "skip": c.SkipTarget,
    "checkpoint": c.CheckpointTarget,
}


def a_desk_with(state):
    """A run in this state, beside another that goes on by itself."""
    desk = DecisionDriver(cpus=1 if state in ("queued", "delayed") else 2)
    desk.submit(max_retries=1 if state == "delayed" else 0)
    match state:
        case "queued":
            desk.train(A)
            return desk, B
        case "running":
            desk.train(A)
        case "paused" | "stopped" | "skipped":
            desk.ask(VERBS[{"paused": "pause", "stopped": "stop", "skipped": "skip"}[state]], A)
            desk.exit(A, cause="stopped")
        case "completed":
            desk.complete(A)
        case "failed" | "delayed":
            desk.crash(A)
    desk.train(B)
    return desk, A


# --- what an operation changes ----------------------------------------------------------------------------------------

AT_ONCE = {
    ("stop", "queued"): "stopped",
    ("stop", "delayed"): "stopped",
    ("stop", "paused"): "stopped",
    ("pause", "queued"): "paused",
    ("pause", "delayed"): "paused",
    ("resume", "paused"): "starting",
    ("resume", "stopped"): "starting",
    ("resume", "failed"): "starting",
    ("resume", "skipped"): "starting",
    ("retry", "failed"): "starting",
    ("retry", "skipped"): "starting",
    ("skip", "queued"): "skipped",
    ("skip", "delayed"): "skipped",
    ("skip", "paused"): "skipped",
    ("skip", "stopped"): "skipped",
    ("skip", "failed"): "skipped",
}
LATER = {"stop": ("stopped", "stopped"), "pause": ("paused", "paused"), "skip": ("skipped", "stopped")}
STATES = ["queued", "delayed", "starting", "running", "paused", "completed", "failed", "stopped", "skipped"]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("verb", ["stop", "pause", "resume", "skip"])
def test_what_an_operation_makes_of_a_run(verb, state):
    desk, run = a_desk_with(state)
    before = desk.run(run)
    desk.ask(VERBS[verb], run)
    if verb in LATER and state in ("starting", "running"):
        assert desk.kinds() == [("x", "OperatorCommanded"), (run, "StopRequested")]
        assert desk.ended() == [(run, 1, STOP_GRACE)]
        assert desk.run(run).state == "stopping"
        desk.exit(run, cause="stopped")
        (ended,) = desk.said("AttemptEnded")
        cause = "paused" if verb == "pause" else "stopped"
        assert (desk.run(run).state, ended.cause, desk.run(run).failures) == (LATER[verb][0], cause, ())
    elif (verb, state) in AT_ONCE:
        assert desk.kinds()[0] == ("x", "OperatorCommanded")
        assert desk.run(run).state == AT_ONCE[verb, state]
        assert desk.last.answer == c.Accepted(subject=run)
    else:
        assert (desk.last.events, desk.last.effects, desk.run(run)) == ([], [], before)
        said = "queued" if state == "delayed" else state
        assert desk.last.answer == c.Accepted(subject=run, detail=f"nothing to {verb}: it is {said}")


@pytest.mark.parametrize("state", STATES)
def test_what_retrying_makes_of_a_run(state):
    desk, run = a_desk_with(state)
    desk.ask(c.RetryTarget, run)
    if state in ("failed", "skipped"):
        assert desk.said("RunResumed") == [e.RunResumed(reason="retried")]
    elif state == "delayed":
        assert desk.said("RunQueued") == [e.RunQueued(reason="retried")]
        assert desk.run(run).not_before == 0.0
        desk.complete(B)
        assert [run for run, *_ in desk.started()] == [A]
    else:
        assert desk.last.events == []
        assert desk.last.answer.detail == f"nothing to retry: it is {state}"


@pytest.mark.parametrize("state", STATES)
def test_what_trains_is_asked_for_a_checkpoint_and_goes_on(state):
    desk, run = a_desk_with(state)
    desk.ask(c.CheckpointTarget, run)
    if state == "running":
        assert desk.kinds() == [("x", "OperatorCommanded")]
        assert desk.last.effects == [RequestCheckpoint(run=run, epoch=1)]
        assert desk.run(run).state == "running"
    else:
        assert (desk.last.events, desk.last.effects) == ([], [])


@pytest.mark.parametrize("verb", VERBS)
def test_of_what_does_not_exist_nothing_can_be_asked(verb):
    desk = DecisionDriver()
    desk.submit()
    for target in ("y", "x/b", "x/baseline/01", "", "x/"):
        desk.ask(VERBS[verb], target)
        assert desk.last.answer == c.Refused(error="not-found", detail=f"{target}: no such experiment or run")
        assert desk.last.events == []


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "checkpoint"])
def test_who_asked_is_recorded_before_what_follows(verb):
    desk, run = a_desk_with("failed" if verb in ("resume", "retry") else "running")
    desk.ask(VERBS[verb], "x")
    assert desk.last.events[0] == ("x", e.OperatorCommanded(command=verb, target="x", operator="me@here"))
    assert any(stream == run for stream, _ in desk.last.events[1:])


def test_the_answer_says_how_things_are_where_there_is_nothing_to_do():
    desk = DecisionDriver(cpus=1)
    desk.submit(seeds=[0, 1])
    desk.complete(A)
    assert desk.resume("x").answer.detail == "nothing to resume: of its runs 1 is completed, 1 is starting, 2 are queued"
    desk.stop("x")
    assert desk.retry("x").answer.detail == "nothing to retry: of its runs 1 is completed, 1 is stopping, 2 are stopped"
    desk.exit(B, cause="stopped")
    assert desk.stop("x/v").answer.detail == "nothing to stop: all its runs are stopped"


# --- what it means for the experiment ---------------------------------------------------------------------------------


def test_while_a_run_is_paused_its_experiment_is_under_way_and_the_supervisor_idle():
    desk = DecisionDriver()
    desk.submit()
    desk.pause(A)
    desk.exit(A, cause="stopped")
    assert not desk.state.idle
    desk.complete(B)
    assert desk.experiment_state() == "running"
    assert desk.state.idle
    desk.stop("x")
    assert desk.experiment_state() == "stopped"


def test_a_pause_frees_the_slot():
    desk = DecisionDriver(cpus=1)
    desk.submit()
    desk.pause(A)
    desk.exit(A, cause="stopped")
    assert desk.started() == [(B, 1, 10, None)]


def test_in_sequence_a_paused_run_gives_up_its_turn_and_takes_it_again():
    desk = DecisionDriver(cpus=8)
    desk.submit(seeds=[0, 1], mode="sequential")
    desk.pause(A)
    desk.exit(A, cause="stopped")
    assert [run for run, *_ in desk.started()] == ["x/baseline/1"]
    desk.resume(A)
    desk.complete("x/baseline/1")
    assert [run for run, *_ in desk.started()] == [A]


@pytest.mark.parametrize(("verb", "state"), [("resume", "stopped"), ("resume", "failed"), ("retry", "failed")])
def test_an_experiment_that_had_ended_is_under_way_again_before_its_runs_are(verb, state):
    desk, run = a_desk_with(state)
    desk.complete(B)
    assert desk.experiment_state() == state
    desk.ask(VERBS[verb], "x")
    assert desk.kinds() == [
        ("x", "OperatorCommanded"),
        ("x", "ExperimentResumed"),
        (run, "RunResumed"),
        (run, "AttemptStarted"),
    ]
    assert desk.experiment_state() == "running"
    desk.complete(run)
    assert desk.experiment_state() == "completed"


def test_without_the_run_that_failed_an_experiment_has_completed():
    desk, run = a_desk_with("failed")
    desk.complete(B)
    assert desk.experiment_state() == "failed"
    desk.ask(c.SkipTarget, run)
    assert desk.kinds()[1:] == [("x", "ExperimentResumed"), (run, "RunSkipped"), ("x", "ExperimentCompleted")]


@pytest.mark.parametrize("cpus", [0, 2])
def test_an_experiment_of_which_nothing_completed_has_not_completed(cpus):
    """Whether it had begun or not."""
    desk = DecisionDriver(cpus=cpus)
    desk.submit()
    desk.ask(c.SkipTarget, "x")
    for run in desk.state.live:
        desk.exit(run, cause="stopped")
    assert desk.last.events[-1] == ("x", e.ExperimentFailed(detail="every run was skipped, and none completed"))
    desk.join()
    desk.resume(A)
    desk.complete(A)
    assert desk.experiment_state() == "completed"


def test_of_an_aborted_experiment_the_rest_is_still_stopped_when_the_culprit_completes_after_all():
    desk = DecisionDriver(cpus=1)
    desk.submit(on_failure="abort")
    desk.crash(A)
    assert (desk.experiment_state(), desk.run(B).stop_reason) == ("failed", "aborted")
    desk.resume(A)
    desk.complete(A)
    assert desk.experiment_state() == "stopped"
    desk.resume("x")
    desk.complete(B)
    assert desk.experiment_state() == "completed"


def test_resuming_forgives():
    """Negative control: without it, the second failure is one too many."""
    for forgiven in (True, False):
        desk = DecisionDriver()
        desk.submit(max_retries=1)
        desk.crash(A)
        if forgiven:
            desk.pause(A)
            desk.resume(A)
        else:
            desk.now += 60.0
            desk.tell(Tick())
        desk.crash(A)
        assert desk.run(A).state == ("queued" if forgiven else "failed")


# --- the later wish wins ----------------------------------------------------------------------------------------------

WISHES = ["stop", "pause", "skip", "resume"]
OUTCOME = {"stop": "stopped", "pause": "paused", "skip": "skipped", "resume": "queued"}


@pytest.mark.parametrize("first", ["stop", "pause", "skip"])
@pytest.mark.parametrize("second", WISHES)
@pytest.mark.parametrize("how", [{"cause": "stopped"}, SIGNALLED], ids=["asked", "killed"])
def test_of_two_wishes_for_a_run_the_later_one_comes_true(first, second, how):
    desk = DecisionDriver()
    desk.submit()
    desk.train(A)
    desk.ask(VERBS[first], A)
    desk.ask(VERBS[second], A)
    assert desk.run(A).state == "stopping"
    desk.leaving = True  # else what is queued would be placed at once
    desk.exit(A, **how)
    assert (desk.run(A).state, desk.run(A).failures) == (OUTCOME[second], ())


def test_a_wish_said_twice_is_recorded_once():
    desk = DecisionDriver()
    desk.submit()
    desk.pause(A)
    desk.pause(A)
    assert (desk.kinds(), desk.ended()) == ([("x", "OperatorCommanded")], [(A, 1, STOP_GRACE)])


@pytest.mark.parametrize("wish", ["stop", "pause", "skip"])
@pytest.mark.parametrize("reason", [Stalled(A, 1, 601.0), LimitReached(A, 1, "memory_mb", 2.0, 1.0)], ids=["stalled", "limit"])
def test_a_wish_stands_above_what_the_supervisor_would_have_done(wish, reason):
    desk = DecisionDriver()
    desk.submit(on_limit="stop")
    desk.train(A)
    desk.tell(reason)
    desk.ask(VERBS[wish], A)
    desk.exit(A, **SIGNALLED)
    assert desk.run(A).state == OUTCOME[wish]


@pytest.mark.parametrize(("wish", "state"), [("stop", "stopped"), ("skip", "skipped"), ("pause", "stopped")])
def test_an_abort_leaves_what_was_asked_to_end_for_good_as_it_was_asked(wish, state):
    desk = DecisionDriver()
    desk.submit(on_failure="abort")
    desk.train(A, B)
    desk.ask(VERBS[wish], B)
    desk.crash(A)
    desk.exit(B, cause="stopped")
    assert desk.run(B).state == state


def resubmit(desk):
    desk.submit(on_failure="abort")


def resume(desk):
    desk.resume("x")


@pytest.mark.parametrize("go_on", [resubmit, resume])
def test_of_what_is_being_aborted_nothing_is_left_behind_by_who_wants_it_to_go_on(go_on):
    desk = DecisionDriver()
    desk.submit(on_failure="abort")
    desk.train(A, B)
    desk.crash(A)
    assert desk.states() == {"baseline/0": "failed", "v/0": "stopping"}
    go_on(desk)
    desk.exit(B, cause="stopped")
    desk.complete(A)
    desk.complete(B)
    assert desk.experiment_state() == "completed"


def test_an_abort_takes_paused_runs_with_it():
    desk = DecisionDriver()
    desk.submit(on_failure="abort")
    desk.pause(B)
    desk.exit(B, cause="stopped")
    desk.crash(A)
    assert (desk.run(B).state, desk.experiment_state()) == ("stopped", "failed")


@pytest.mark.parametrize("wish", ["stop", "pause", "skip"])
def test_what_completed_before_it_could_be_asked_is_complete(wish):
    desk = DecisionDriver()
    desk.submit()
    desk.ask(VERBS[wish], A)
    desk.complete(A)
    assert desk.run(A).state == "completed"
