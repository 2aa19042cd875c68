"""What every decision owes, said a second time and in other words than the core's own."""

from lander.protocol import events as e
from lander.supervisor.effects import EndAttempt, StartAttempt


def effects_speak_of_the_log(effects, state, log):
    """An order concerns an attempt that is recorded; trainers are ended at once only if their attempt does not count."""
    started = {(each.stream, each.event.epoch): each.event for each in log if isinstance(each.event, e.AttemptStarted)}
    for effect in effects:
        attempt = state.attempt(effect.run, effect.epoch)
        if isinstance(effect, StartAttempt):
            event = started[effect.run, effect.epoch]
            assert (effect.host, effect.cpu, effect.gpu) == (event.host, event.cpu, event.gpu)
            assert attempt is not None
            assert (effect.gpu is not None) == (effect.arm.device == "cuda")
        elif isinstance(effect, EndAttempt) and effect.grace:
            assert (effect.run, effect.epoch) in started  # over already, where the same decision saw its host go, too
            assert attempt is None or state.runs[effect.run].state == "stopping"
        else:
            assert attempt is None


def no_slot_is_idle_without_need(state, now):
    """No run that may start waits beside a slot that fits it."""
    rooms = list(_free(state))
    for name, standing in state.experiments.items():
        runs = state.runs_of(name)
        sequential = standing.execution.mode == "sequential"
        workers = 1 if sequential else standing.execution.max_workers or len(runs)
        if not standing.under_way or sum(run.live for run in runs) >= workers:
            continue
        if sequential:
            arms = [arm.name for arm in standing.experiment.arms]
            left = [run for run in runs if not run.over]
            runs = [min(left, key=lambda run: arms.index(run.arm.name))] if left else []
        for run in runs:
            fits = any(cpus and (gpus or run.arm.device == "cpu") for cpus, gpus in rooms)
            assert not (run.state == "queued" and run.not_before <= now and fits), f"{run.id} could be started"


def _free(state):
    """CPUs and GPUs that are free, host by host."""
    live = [run.attempt for run in state.runs.values() if run.attempt is not None]
    for host in state.hosts.values():
        if host.online:
            here = [attempt for attempt in live if attempt.host == host.name]
            gpus = set(range(len(host.gpus)))
            yield set(host.cpus) - {each.cpu for each in here}, gpus - {each.gpu for each in here}


def experiments_end_with_their_runs(state):
    """An experiment is under way as long as one of its runs is, and no longer."""
    for name, standing in state.experiments.items():
        assert standing.under_way == any(not run.over for run in state.runs_of(name))
