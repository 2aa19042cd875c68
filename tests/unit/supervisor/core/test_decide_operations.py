"""The decision core by examples: what people ask for a target, and what they ask next."""

import pytest

from lander.protocol import commands as c
from lander.protocol import events as e
from lander.supervisor.core.decide import LimitReached, Stalled, Tick
from lander.supervisor.core.effects import RequestCheckpoint
from lander.supervisor.core.restart_policy import STOP_GRACE
from tests.support.decision_driver import NOT_THERE, SIGNALLED, DecisionDriver

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
    driver = DecisionDriver(cpus=1 if state in ("queued", "delayed") else 2)
    driver.submit(max_retries=1 if state == "delayed" else 0)
    match state:
        case "queued":
            driver.train(A)
            return driver, B
        case "running":
            driver.train(A)
        case "paused" | "stopped" | "skipped":
            driver.ask(VERBS[{"paused": "pause", "stopped": "stop", "skipped": "skip"}[state]], A)
            driver.exit(A, cause="stopped")
        case "completed":
            driver.complete(A)
        case "failed" | "delayed":
            driver.crash(A)
    driver.train(B)
    return driver, A


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
    driver, run = a_desk_with(state)
    before = driver.run(run)
    driver.ask(VERBS[verb], run)
    if verb in LATER and state in ("starting", "running"):
        assert driver.kinds() == [("x", "OperatorCommanded"), (run, "StopRequested")]
        assert driver.ended() == [(run, 1, STOP_GRACE)]
        assert driver.run(run).state == "stopping"
        driver.exit(run, cause="stopped")
        (ended,) = driver.said("AttemptEnded")
        cause = "paused" if verb == "pause" else "stopped"
        assert (driver.run(run).state, ended.cause, driver.run(run).failures) == (LATER[verb][0], cause, ())
    elif (verb, state) in AT_ONCE:
        assert driver.kinds()[0] == ("x", "OperatorCommanded")
        assert driver.run(run).state == AT_ONCE[verb, state]
        assert driver.last.answer == c.Accepted(subject=run)
    else:
        assert (driver.last.events, driver.last.effects, driver.run(run)) == ([], [], before)
        said = "queued" if state == "delayed" else state
        assert driver.last.answer == c.Accepted(subject=run, detail=f"nothing to {verb}: it is {said}")


@pytest.mark.parametrize("state", STATES)
def test_what_retrying_makes_of_a_run(state):
    driver, run = a_desk_with(state)
    driver.ask(c.RetryTarget, run)
    if state in ("failed", "skipped"):
        assert driver.said("RunResumed") == [e.RunResumed(reason="retried")]
        assert driver.last.answer.detail == "is tried again"
    elif state == "delayed":
        assert driver.said("RunQueued") == [e.RunQueued(reason="retried")]
        assert driver.run(run).not_before == 0.0
        driver.complete(B)
        assert [run for run, *_ in driver.started()] == [A]
    else:
        assert driver.last.events == []
        hint = f"; lander-ctl resume {run} goes on with what is {state}" if state in ("stopped", "paused") else ""
        assert driver.last.answer.detail == f"nothing to retry: it is {state}{hint}"


@pytest.mark.parametrize("state", STATES)
def test_what_trains_is_asked_for_a_checkpoint_and_goes_on(state):
    driver, run = a_desk_with(state)
    driver.ask(c.CheckpointTarget, run)
    if state == "running":
        assert driver.kinds() == [("x", "OperatorCommanded")]
        assert driver.last.effects == [RequestCheckpoint(run=run, epoch=1)]
        assert driver.run(run).state == "running"
    else:
        assert (driver.last.events, driver.last.effects) == ([], [])


@pytest.mark.parametrize("verb", VERBS)
def test_of_what_does_not_exist_nothing_can_be_asked(verb):
    driver = DecisionDriver()
    driver.submit()
    for target in NOT_THERE:
        driver.ask(VERBS[verb], target)
        assert driver.last.answer == c.Refused(error="not-found", detail=NOT_THERE[target])
        assert driver.last.events == []


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "checkpoint"])
def test_who_asked_is_recorded_before_what_follows(verb):
    driver, run = a_desk_with("failed" if verb in ("resume", "retry") else "running")
    driver.ask(VERBS[verb], "x")
    assert driver.last.events[0] == ("x", e.OperatorCommanded(command=verb, target="x", operator="me@here"))
    assert any(stream == run for stream, _ in driver.last.events[1:])


def test_the_answer_says_how_things_are_where_there_is_nothing_to_do():
    driver = DecisionDriver(cpus=1)
    driver.submit(seeds=[0, 1])
    driver.complete(A)
    assert driver.resume("x").answer.detail == "nothing to resume: of its runs 1 is completed, 1 is starting, 2 are queued"
    driver.stop("x")
    assert driver.retry("x").answer.detail == (
        "nothing to retry: of its runs 1 is completed, 1 is stopping, 2 are stopped;"
        " lander-ctl resume x goes on with what is stopped"
    )
    driver.exit(B, cause="stopped")
    assert driver.stop("x/v").answer.detail == "nothing to stop: all its runs are stopped"


def test_a_retry_says_how_many_runs_it_means_and_which_if_they_are_few():
    driver = DecisionDriver(cpus=8)
    driver.submit(seeds=[0, 1, 2, 3], max_retries=0)
    for seed in (0, 1, 2):
        driver.train(f"x/v/{seed}")
        driver.crash(f"x/v/{seed}")
    assert driver.retry("x/v/0").answer.detail == "is tried again"
    assert driver.retry("x").answer.detail == "2 of 8 runs are tried again: x/v/1, x/v/2"
    for run in [f"x/{arm}/{seed}" for seed in (0, 1, 2) for arm in ("baseline", "v")]:
        driver.train(run)
        driver.crash(run)
    driver.pause("x/v/3")
    driver.exit("x/v/3", cause="stopped")
    named = "x/baseline/0, x/v/0, x/baseline/1, x/v/1, x/baseline/2 and 1 more"
    resume = "lander-ctl resume x goes on with what is paused"
    assert driver.retry("x").answer.detail == f"6 of 8 runs are tried again: {named}; {resume}"


@pytest.mark.parametrize(("on_limit", "state"), [("stop", "stopped"), ("pause", "paused")])
def test_a_retry_of_what_exceeded_a_limit_says_which_one_is_to_be_raised(on_limit, state):
    driver = DecisionDriver()
    driver.submit(on_limit=on_limit)
    driver.train(A)
    driver.tell(LimitReached(A, 1, "memory_mb", 2.0, 1.0))
    driver.exit(A, **SIGNALLED)
    assert driver.retry(A).answer.detail == (
        f"nothing to retry: it is {state}; lander-ctl resume {A} goes on with what is {state};"
        " before that, raise resource_limits.memory_mb in the experiment file, or by"
        " lander-ctl run x resource_limits.memory_mb=N"
    )
    driver.resume(A)
    driver.stop(A)
    driver.tell(LimitReached(A, 2, "memory_mb", 2.0, 1.0))
    driver.exit(A, cause="stopped")
    assert "resource_limits" not in driver.retry(A).answer.detail, "a person stopped it"


# --- what it means for the experiment ---------------------------------------------------------------------------------


def test_while_a_run_is_paused_its_experiment_is_under_way_and_the_supervisor_idle():
    driver = DecisionDriver()
    driver.submit()
    driver.pause(A)
    driver.exit(A, cause="stopped")
    assert not driver.state.idle
    driver.complete(B)
    assert driver.experiment_state() == "running"
    assert driver.state.idle
    driver.stop("x")
    assert driver.experiment_state() == "stopped"


def test_a_pause_frees_the_slot():
    driver = DecisionDriver(cpus=1)
    driver.submit()
    driver.pause(A)
    driver.exit(A, cause="stopped")
    assert driver.started() == [(B, 1, 10, None)]


def test_in_sequence_a_paused_run_gives_up_its_turn_and_takes_it_again():
    driver = DecisionDriver(cpus=8)
    driver.submit(seeds=[0, 1], mode="sequential")
    driver.pause(A)
    driver.exit(A, cause="stopped")
    assert [run for run, *_ in driver.started()] == ["x/baseline/1"]
    driver.resume(A)
    driver.complete("x/baseline/1")
    assert [run for run, *_ in driver.started()] == [A]


@pytest.mark.parametrize(("verb", "state"), [("resume", "stopped"), ("resume", "failed"), ("retry", "failed")])
def test_an_experiment_that_had_ended_is_under_way_again_before_its_runs_are(verb, state):
    driver, run = a_desk_with(state)
    driver.complete(B)
    assert driver.experiment_state() == state
    driver.ask(VERBS[verb], "x")
    assert driver.kinds() == [
        ("x", "OperatorCommanded"),
        ("x", "ExperimentResumed"),
        (run, "RunResumed"),
        (run, "AttemptStarted"),
    ]
    assert driver.experiment_state() == "running"
    driver.complete(run)
    assert driver.experiment_state() == "completed"


def test_without_the_run_that_failed_an_experiment_has_completed():
    driver, run = a_desk_with("failed")
    driver.complete(B)
    assert driver.experiment_state() == "failed"
    driver.ask(c.SkipTarget, run)
    assert driver.kinds()[1:] == [("x", "ExperimentResumed"), (run, "RunSkipped"), ("x", "ExperimentCompleted")]


@pytest.mark.parametrize("cpus", [0, 2])
def test_an_experiment_of_which_nothing_completed_has_not_completed(cpus):
    """Whether it had begun or not."""
    driver = DecisionDriver(cpus=cpus)
    driver.submit()
    driver.ask(c.SkipTarget, "x")
    for run in driver.state.live:
        driver.exit(run, cause="stopped")
    assert driver.last.events[-1] == ("x", e.ExperimentFailed(detail="every run was skipped, and none completed"))
    driver.join()
    driver.resume(A)
    driver.complete(A)
    assert driver.experiment_state() == "completed"


def test_of_an_aborted_experiment_the_rest_is_still_stopped_when_the_culprit_completes_after_all():
    driver = DecisionDriver(cpus=1)
    driver.submit(on_failure="abort")
    driver.crash(A)
    assert (driver.experiment_state(), driver.run(B).stop_reason) == ("failed", "aborted")
    driver.resume(A)
    driver.complete(A)
    assert driver.experiment_state() == "stopped"
    driver.resume("x")
    driver.complete(B)
    assert driver.experiment_state() == "completed"


def test_resuming_forgives():
    """Negative control: without it, the second failure is one too many."""
    for forgiven in (True, False):
        driver = DecisionDriver()
        driver.submit(max_retries=1)
        driver.crash(A)
        if forgiven:
            driver.pause(A)
            driver.resume(A)
        else:
            driver.now += 60.0
            driver.tell(Tick())
        driver.crash(A)
        assert driver.run(A).state == ("queued" if forgiven else "failed")


# --- the later wish wins ----------------------------------------------------------------------------------------------

WISHES = ["stop", "pause", "skip", "resume"]
OUTCOME = {"stop": "stopped", "pause": "paused", "skip": "skipped", "resume": "queued"}


@pytest.mark.parametrize("first", ["stop", "pause", "skip"])
@pytest.mark.parametrize("second", WISHES)
@pytest.mark.parametrize("how", [{"cause": "stopped"}, SIGNALLED], ids=["asked", "killed"])
def test_of_two_wishes_for_a_run_the_later_one_comes_true(first, second, how):
    driver = DecisionDriver()
    driver.submit()
    driver.train(A)
    driver.ask(VERBS[first], A)
    driver.ask(VERBS[second], A)
    assert driver.run(A).state == "stopping"
    driver.leaving = True  # else what is queued would be placed at once
    driver.exit(A, **how)
    assert (driver.run(A).state, driver.run(A).failures) == (OUTCOME[second], ())


def test_a_wish_said_twice_is_recorded_once():
    driver = DecisionDriver()
    driver.submit()
    driver.pause(A)
    driver.pause(A)
    assert (driver.kinds(), driver.ended()) == ([("x", "OperatorCommanded")], [(A, 1, STOP_GRACE)])


@pytest.mark.parametrize("wish", ["stop", "pause", "skip"])
@pytest.mark.parametrize("reason", [Stalled(A, 1, 601.0), LimitReached(A, 1, "memory_mb", 2.0, 1.0)], ids=["stalled", "limit"])
def test_a_wish_stands_above_what_the_supervisor_would_have_done(wish, reason):
    driver = DecisionDriver()
    driver.submit(on_limit="stop")
    driver.train(A)
    driver.tell(reason)
    driver.ask(VERBS[wish], A)
    driver.exit(A, **SIGNALLED)
    assert driver.run(A).state == OUTCOME[wish]


@pytest.mark.parametrize(("wish", "state"), [("stop", "stopped"), ("skip", "skipped"), ("pause", "stopped")])
def test_an_abort_leaves_what_was_asked_to_end_for_good_as_it_was_asked(wish, state):
    driver = DecisionDriver()
    driver.submit(on_failure="abort")
    driver.train(A, B)
    driver.ask(VERBS[wish], B)
    driver.crash(A)
    driver.exit(B, cause="stopped")
    assert driver.run(B).state == state


def resubmit(driver):
    driver.submit(on_failure="abort")


def resume(driver):
    driver.resume("x")


@pytest.mark.parametrize("go_on", [resubmit, resume])
def test_of_what_is_being_aborted_nothing_is_left_behind_by_who_wants_it_to_go_on(go_on):
    driver = DecisionDriver()
    driver.submit(on_failure="abort")
    driver.train(A, B)
    driver.crash(A)
    assert driver.states() == {"baseline/0": "failed", "v/0": "stopping"}
    go_on(driver)
    driver.exit(B, cause="stopped")
    driver.complete(A)
    driver.complete(B)
    assert driver.experiment_state() == "completed"


def test_an_abort_takes_paused_runs_with_it():
    driver = DecisionDriver()
    driver.submit(on_failure="abort")
    driver.pause(B)
    driver.exit(B, cause="stopped")
    driver.crash(A)
    assert (driver.run(B).state, driver.experiment_state()) == ("stopped", "failed")


@pytest.mark.parametrize("wish", ["stop", "pause", "skip"])
def test_what_completed_before_it_could_be_asked_is_complete(wish):
    driver = DecisionDriver()
    driver.submit()
    driver.ask(VERBS[wish], A)
    driver.complete(A)
    assert driver.run(A).state == "completed"
