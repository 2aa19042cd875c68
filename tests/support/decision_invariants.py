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
                assert (effect.host, order.cpu, order.gpu, order.gpu_id, order.gpu_share) == (
                    *(event.host, event.cpu, event.gpu, event.gpu_id or ("" if event.gpu is None else str(event.gpu))),
                    event.gpu_share,
                )
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
            if run.state == "queued" and timers.over(run):
                assert not _rooms(state, timers, run, _class_of(state, run)), f"{run.id} could be started"


def _free(state, host):
    """The CPUs that are free at a host, and how many hundredths of each GPU are, with the GPU's class."""
    here = [run.attempt for run in state.runs.values() if run.attempt is not None and run.attempt.host == host.name]
    left = {}
    for place in range(len(host.gpus)):
        device = host.devices[place] if host.devices else e.GpuDevice(id=str(place))
        used = sum(each.share for each in here if each.gpu_id == device.id)
        left[device.id] = (100 - used, f"{host.bits}+{device.bits}" if host.bits and device.bits else "")
    return set(host.cpus) - {each.cpu for each in here}, left


def _same(host, key):
    gpus = {f"{host.bits}+{each.bits}" for each in host.devices if host.bits and each.bits}
    return key in (host.bits, f"host:{host.name}", *gpus)


def _class_of(state, run):
    """The class on which a run has trained, if it left a checkpoint, or on which its seed is kept."""
    if run.continues_on:
        return run.continues_on
    standing = state.experiments[run.experiment]
    return standing.kept_on.get(run.id.partition("/")[2].partition("/")[2], "")


def _rooms(state, timers, run, key):
    """How many slots are free at each host where a run may start now, that is to train on the class of this key."""
    experiment = state.experiments[run.experiment].experiment
    wishes = experiment.hosts.get(run.arm.name)
    cuda = run.arm.device == "cuda"
    share = (wishes and wishes.gpu_share) or 100
    key = key if cuda else key.partition("+")[0]
    fitting = [
        host
        for host in state.hosts.values()
        if host.online and host.cpus and (host.gpus or not (cuda or (wishes and wishes.gpu)))
        if wishes is None or set(wishes.labels) <= set(host.labels)
        if host.name not in state.unfit.get(run.needs, ())
    ]
    free, of_class = {}, {}
    for host in fitting:
        cpus, left = _free(state, host)
        gpus = [gpu for room, gpu in left.values() if room >= share]
        same = [gpu for gpu in gpus if "+" not in key or gpu == key]
        for rooms, found in ((free, gpus), (of_class, same)):
            number = min(len(cpus), len(found)) if cuda else len(cpus)
            if number and host.name not in timers.closed(state) and (rooms is free or not key or _same(host, key)):
                rooms[host.name] = number
    same = {host.name for host in fitting if not key or _same(host, key)}
    if of_class:
        return of_class
    if experiment.other_hardware == "allow":
        return free
    if experiment.other_hardware == "warn" and not same - timers.silence.overdue:
        return free
    return {}


def a_host_is_given_up_for_a_gain(state, timers, host):
    """Nothing of the host was to go on; or a slot for one of its runs is free elsewhere, even once all that wait have one."""
    going_on = [run for run in state.runs.values() if run.attempt and run.attempt.host == host and run.state != "stopping"]
    waiting = [run for run in state.runs.values() if run.state == "queued" and run.delay and not timers.over(run)]

    def gains(run):
        rooms = _rooms(state, timers, run, _class_without(state, run, host))
        claims = sum(bool(rooms.keys() & _rooms(state, timers, each, _class_of(state, each))) for each in waiting)
        return sum(rooms.values()) > claims

    return not going_on or any(map(gains, going_on))


def _class_without(state, run, host):
    """The class on which a run would have to go on if no attempt of that host counted."""
    seed = run.id.rpartition("/")[2]
    stands = []
    for each in state.runs_of(run.experiment):
        if each.id.rpartition("/")[2] == seed:
            gone = each.attempt is None or each.attempt.host == host
            stands.append(each.continues_on if gone else each.attempt.bits)
    if run.continues_on:
        return run.continues_on
    kept = state.experiments[run.experiment].kept_on.get(seed)
    return kept if kept in stands else next(filter(None, stands), "")


def nothing_goes_on_elsewhere_in_silence(log, decision, experiments):
    """Worked out from the log before a decision: a run that goes on from a checkpoint does so on the class of its last
    attempt that trained, and one that is forked begins on that of its checkpoint; or its experiment says otherwise, and then
    it is told so, and warned of if the experiment wants that.
    """
    for effect in decision.effects:
        if not isinstance(effect, StartAttempt):
            continue
        said = [*((each.stream, each.producer, each.event) for each in log), *((name, 0, one) for name, one in decision.events)]
        placed, trained, warned = {}, None, None
        for stream, producer, event in said:
            if stream == effect.run and isinstance(event, e.AttemptStarted):
                placed[event.epoch] = event
            elif stream == effect.run and isinstance(event, e.TrainingStarted) and producer == max(placed):
                trained = placed[producer] if trained is None or producer > trained.epoch else trained
            elif stream == effect.run and isinstance(event, e.WarningRaised) and "other bits" in event.message:
                warned = len(placed)
        now = placed[effect.epoch]
        if not effect.order.checkpoints:
            trained = _of_origin(said, experiments[effect.run.partition("/")[0]].experiment, effect.run)
        known = trained is not None and (effect.order.origin or (effect.order.checkpoints and trained.epoch < effect.epoch))
        moved = bool(known and now.bits != trained.bits and not (trained.bits == "" and now.host == trained.host))
        moved = moved or bool(known and now.bits == trained.bits == "" and now.host != trained.host)
        gpus = known and now.gpu is not None and trained.gpu_bits  # a fork may take to a GPU, or leave it
        moved = moved or bool(gpus and now.bits == trained.bits != "" and now.gpu_bits != trained.gpu_bits)
        assert effect.order.other_bits == moved
        if moved:
            rule = experiments[effect.run.partition("/")[0]].experiment.other_hardware
            assert rule is not None
            assert rule == "allow" or warned == effect.epoch - 1


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


def _of_origin(said, experiment, run):
    """The attempt that had trained the step before the checkpoint from which a run is forked; None for any other run."""
    if experiment.origin is None:
        return None
    branch = experiment.origin.branch(int(run.rpartition("/")[2]))
    placed, began = {}, {}
    for stream, producer, event in said:
        if stream == run:
            break
        if stream == experiment.origin.run(branch.seed) and isinstance(event, e.AttemptStarted):
            placed[event.epoch] = event
        elif stream == experiment.origin.run(branch.seed) and isinstance(event, e.TrainingStarted) and producer == max(placed):
            began.setdefault(producer, event.from_step)
    reached = [epoch for epoch, step in began.items() if step < branch.step]
    return placed[reached[-1]] if reached else None
