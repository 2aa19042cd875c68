"""What every decision owes, said a second time and in other words than the core's own."""

from collections import Counter

from lander.protocol import events as e
from lander.supervisor.core.effects import EndAttempt, EraseExperiment, RequestCheckpoint, StartAttempt


def effects_speak_of_the_log(effects, state, log):
    """An order concerns an attempt that is recorded, and asks of it what is recorded of it."""
    started = {(each.stream, each.event.epoch): each.event for each in log if isinstance(each.event, e.AttemptStarted)}
    for effect in effects:
        if isinstance(effect, EraseExperiment):
            assert effect.experiment in state.deleted
            continue
        attempt = state.attempt(effect.run, effect.epoch)
        match effect:
            case StartAttempt():
                event = started[effect.run, effect.epoch]
                order = effect.order
                assert (effect.host, order.cpu, order.gpu) == (event.host, event.cpu, event.gpu)
                assert attempt is not None
                assert (order.gpu is not None) == (order.arm.device == "cuda")
                submitted = next(
                    each.event for each in log if isinstance(each.event, e.ExperimentSubmitted) and run_of(each, effect)
                )
                assert order.origin == e.CheckpointCommitted.forked(submitted.experiment, order.seed)
            case RequestCheckpoint():
                assert attempt is not None
                assert state.runs[effect.run].state == "running"
            case EndAttempt(grace=0.0, traceback=False):
                assert attempt is None  # ended at once, and without a word: it does not count
            case EndAttempt():
                assert (effect.run, effect.epoch) in started  # over already, where the same decision saw its host go, too
                assert attempt is None or state.runs[effect.run].state == "stopping"
                assert attempt is None or not effect.traceback or attempt.stop_reason == "stalled"


def run_of(submission, effect):
    """Whether the run belongs to what was submitted."""
    return effect.run.split("/")[0] == submission.stream


def checkpoints_are_of_the_lineage(state, log):
    """Worked out from the whole log: what a later attempt left behind is not offered, and what is offered was said."""
    for run in state.runs.values():
        said = [
            each for each in log if each.stream == run.id and isinstance(each.event, e.CheckpointCommitted | e.TrainingStarted)
        ]
        counting = {}
        trained = 0
        for each in said:
            if isinstance(each.event, e.TrainingStarted) and each.producer > trained:
                trained = each.producer
                counting = {step: one for step, one in counting.items() if step <= each.event.from_step}
            elif isinstance(each.event, e.CheckpointCommitted) and each.producer == trained:
                counting = {step: one for step, one in counting.items() if step < each.event.step} | {
                    each.event.step: each.event
                }
        offered = [each.step for each in run.checkpoints]
        assert offered == sorted(offered, reverse=True)
        assert all(counting.get(each.step) == each for each in run.checkpoints)
        assert offered[:1] == sorted(counting, reverse=True)[:1]
        assert len(offered) <= 3


def retries_are_bounded(log, max_retries):
    """Between two checkpoints, or since somebody forgave it, a run is tried again so often and not more often.

    What its machine did to it does not count.
    """
    retries = Counter()
    for each in log:
        if isinstance(each.event, e.RunResumed | e.CheckpointCommitted):
            retries[each.stream] = 0
        elif isinstance(each.event, e.RunQueued) and each.event.reason.startswith("retry ") and _own(each.event.reason):
            retries[each.stream] += 1
            assert retries[each.stream] <= max_retries


def _own(reason):
    return "lost_contact" not in reason


def what_is_over_stays_over(log):
    """Out of an end leads `RunResumed` (or `ExperimentResumed`) and nothing else; only skipping may still be added."""
    ends = ("RunCompleted", "RunFailed", "RunStopped", "RunSkipped")
    ends_of_experiments = ("ExperimentCompleted", "ExperimentFailed", "ExperimentStopped")
    over = {}
    for each in log:
        kind = each.event.kind
        if kind in ("RunResumed", "ExperimentResumed"):
            over.pop(each.stream, None)
        elif kind in (*ends, *ends_of_experiments):
            assert each.stream not in over or (kind == "RunSkipped" and over[each.stream] in ("RunStopped", "RunFailed"))
            over[each.stream] = kind
        elif kind in ("AttemptStarted", "RunQueued", "RunPaused", "StopRequested", "ExperimentStarted"):
            assert each.stream not in over


def no_slot_is_idle_without_need(state, timers):
    """No run that may start waits beside a slot that fits it."""
    for name, standing in state.experiments.items():
        runs = state.runs_of(name)
        sequential = standing.execution.mode == "sequential"
        workers = 1 if sequential else standing.execution.max_workers or len(runs)
        if not standing.under_way or sum(run.live for run in runs) >= workers:
            continue
        if sequential:
            arms = [arm.name for arm in standing.experiment.arms]
            left = [run for run in runs if run.state == "queued"]
            runs = [min(left, key=lambda run: arms.index(run.arm.name))] if left else []
        for run in runs:
            fits = any(cpus and (gpus or run.arm.device == "cpu") for cpus, gpus in _free(state, timers, run))
            assert not (run.state == "queued" and timers.over(run) and fits), f"{run.id} could be started"


def _free(state, timers, run):
    """CPUs and GPUs that are free, host by host, where a run may be placed."""
    closed = {*timers.silence.suspects, *timers.closed(state), *state.unfit.get(run.needs, ())}
    live = [run.attempt for run in state.runs.values() if run.attempt is not None]
    for host in state.hosts.values():
        if host.online and host.name not in closed:
            here = [attempt for attempt in live if attempt.host == host.name]
            gpus = set(range(len(host.gpus)))
            yield set(host.cpus) - {each.cpu for each in here}, gpus - {each.gpu for each in here}


def a_host_is_given_up_for_a_gain(state, timers, host):
    """Nothing of the host was to go on; or a slot for one of its runs is free elsewhere, even once all that wait have one."""
    going_on = [run for run in state.runs.values() if run.attempt and run.attempt.host == host and run.state != "stopping"]
    waiting = [run for run in state.runs.values() if run.state == "queued" and run.delay and not timers.over(run)]
    return not going_on or any(_numbers_free(state, timers, run) > len(waiting) for run in going_on)


def _numbers_free(state, timers, run):
    with_gpu = run.arm.device == "cuda"
    return sum(min(len(cpus), len(gpus)) if with_gpu else len(cpus) for cpus, gpus in _free(state, timers, run))


def nothing_is_placed_where_it_cannot_train(state, log):
    """Worked out from the whole log: what the agent of a host has lacked once, no run of the same needs is given to it."""
    agents, lacking = {}, {}
    for each in log:
        host = each.stream.removeprefix("host:")
        match each.event:
            case e.HostJoined(pid=pid, incarnation=incarnation) if agents.get(host) != (pid, incarnation):
                agents[host], lacking[host] = (pid, incarnation), set()
            case e.HostUnfit(lack=lack, needs=needs) if lack != "disk":
                lacking[host].add(needs)
            case e.AttemptStarted(host=place) if each.stream in state.runs:
                assert state.runs[each.stream].needs not in lacking[place]


def experiments_end_with_their_runs(state):
    """An experiment is under way as long as one of its runs is, and no longer."""
    for name, standing in state.experiments.items():
        assert standing.under_way == any(not run.over for run in state.runs_of(name))
