"""The decision core: (state, message, now, timers) → events to record, effects to carry out, and an answer.

Pure: no clock, no socket, no file. Each handler says events into a `Decision`, which folds them at once, so that what is
decided next already knows of them. The shell records the events, at the time `now`, and only then carries out the effects.
`now` is what people are shown; decisions depend on the `timers` alone.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from lander.protocol import commands as c
from lander.protocol import events as e
from lander.protocol.errors import NotFoundError, UsageError
from lander.protocol.text import cut
from lander.supervisor.core import (
    annotation_commands,
    attempts,
    enrolment,
    host_commands,
    hosts,
    launchers,
    scaling,
    silent_hosts,
    target_commands,
    unfit_hosts,
)
from lander.supervisor.core.decision import Decision
from lander.supervisor.core.deletion import delete, delete_unserved
from lander.supervisor.core.messages import (
    CheckLaunchers,
    DeleteUnserved,
    Drain,
    EngineAnswered,
    EngineSilent,
    Enrolment,
    HostGone,
    HostSilent,
    Launched,
    LaunchRefused,
    LimitReached,
    Message,
    Stalled,
    Tick,
)
from lander.supervisor.core.needs import part_of
from lander.supervisor.core.other_hardware import on_other_hardware
from lander.supervisor.core.placement import Slot, next_placement
from lander.supervisor.core.standing import RunStanding
from lander.supervisor.core.state import State
from lander.supervisor.core.submission import submit
from lander.supervisor.core.timers import Timers

__all__ = ["Decision", "Drain", "HostGone", "HostSilent", "LimitReached", "Stalled", "Tick", "decide"]


def decide(
    state: State, message: Message, now: float, timers: Timers, leaving: bool = False, *, alone: bool = False
) -> Decision:
    """What follows from a message; the decision's events, effects and answer are the decision.

    While the supervisor is `leaving`, from `Drain` on, nothing is placed: what is queued waits for the next one. `Alone`, where
    no supervisor serves, nothing is placed either, and no engine is asked. A bad request is answered with `Refused`; whatever
    is raised is a defect, and nothing is decided then.
    """
    decision = Decision(state, now, timers)
    handler = _HANDLERS[type(message)]
    try:
        handler(decision, message)
    except (UsageError, NotFoundError) as error:
        return Decision(state, now, timers, answer=c.Refused(error=error.code, detail=str(error)))
    if leaving or isinstance(message, Drain):
        scaling.give_all_back(decision)
    elif not alone:
        _place_runs(decision)
        scaling.order_workers(decision)
    _close_experiments(decision)
    return decision


def _place_runs(decision: Decision) -> None:
    """Fill the free slots."""
    while (placement := next_placement(decision.state, decision.timers)) is not None:
        run, slot, other_bits = placement
        if decision.state.experiments[run.experiment].state == "queued":
            decision.say(run.experiment, e.ExperimentStarted())
        if other_bits and decision.state.experiments[run.experiment].experiment.other_hardware == "warn":
            decision.say(run.id, e.WarningRaised(message=on_other_hardware(decision.state, run, slot.host.name, other_bits)))
        decision.say(run.id, _attempt_started(decision, run, slot))
        placed = decision.state.runs[run.id]
        if placed.attempt is not None:
            decision.start(placed, placed.attempt)


def _attempt_started(decision: Decision, run: RunStanding, slot: Slot) -> e.AttemptStarted:
    host, cpu, gpu, share = slot
    exclusive = decision.state.experiments[run.experiment].experiment.exclusive
    lease = decision.timers.silence.lease_seconds if exclusive else None
    started = e.AttemptStarted(epoch=run.epoch + 1, host=host.name, cpu=cpu, bits=host.bits, lease=lease)
    if gpu is None:
        return started
    on_gpu = {"gpu": gpu.place, "gpu_id": gpu.id, "gpu_share": part_of(share), "gpu_bits": gpu.bits}
    return started.model_copy(update=on_gpu)


def _close_experiments(decision: Decision) -> None:
    """Give every experiment whose runs are all over its own end."""
    for name in decision.state.under_way:
        if decision.state.experiments[name].exhausted:
            decision.say(name, _conclusion(decision.state.runs_of(name)))


def _conclusion(runs: list[RunStanding]) -> e.Event:
    failed = [run.id for run in runs if run.state == "failed"]
    stopped = [run for run in runs if run.state == "stopped"]
    if failed and all(run.stop_reason == "aborted" for run in stopped):
        return e.ExperimentFailed(detail=cut(f"failed: {', '.join(failed)}"))
    if stopped:
        return e.ExperimentStopped()
    if all(run.state == "skipped" for run in runs):
        return e.ExperimentFailed(detail="every run was skipped, and none completed")
    return e.ExperimentCompleted()


_HANDLERS: Final[Mapping[type[Message], Callable[[Decision, Any], None]]] = {
    c.SubmitExperiment: submit,
    c.StopTarget: target_commands.stop,
    c.PauseTarget: target_commands.pause,
    c.ResumeTarget: target_commands.resume,
    c.RetryTarget: target_commands.retry,
    c.SkipTarget: target_commands.skip,
    c.CheckpointTarget: target_commands.checkpoint,
    c.ArchiveExperiment: annotation_commands.archive,
    c.UnarchiveExperiment: annotation_commands.unarchive,
    c.AddNote: annotation_commands.add_note,
    c.ChangeTags: annotation_commands.change_tags,
    c.AmendHypothesis: annotation_commands.amend_hypothesis,
    c.DeleteExperiment: delete,
    DeleteUnserved: delete_unserved,
    c.IssueToken: enrolment.issue_token,
    c.RevokeToken: enrolment.revoke_token,
    c.ConfigureLauncher: launchers.configure_launcher,
    Enrolment: enrolment.enrol,
    c.DrainHost: host_commands.drain_host,
    c.ReopenHost: host_commands.reopen_host,
    c.RevokeHost: host_commands.revoke_host,
    c.JoinHost: hosts.join_host,
    c.LeaveHost: hosts.leave_host,
    HostGone: hosts.host_gone,
    HostSilent: silent_hosts.host_silent,
    c.TrainerExited: attempts.trainer_exited,
    c.CannotTrain: unfit_hosts.cannot_train,
    Stalled: attempts.stalled,
    LimitReached: attempts.limit_reached,
    Launched: launchers.launched,
    LaunchRefused: launchers.launch_refused,
    EngineAnswered: launchers.engine_answered,
    EngineSilent: launchers.engine_silent,
    CheckLaunchers: scaling.check_launchers,
    Drain: attempts.drain,
    Tick: lambda decision, message: None,
}
