"""Hosts that have been silent for too long: when one is given up, and when it is waited for.

To give a host up costs each of its runs the work since its last checkpoint, and the host may return a moment later. So that is
done only where it gains something: a run of it can go on elsewhere, or none of them is to go on.
"""

from lander.supervisor.core.decision import Decision
from lander.supervisor.core.hosts import host_gone
from lander.supervisor.core.leases import seconds_left
from lander.supervisor.core.messages import HostGone, HostSilent
from lander.supervisor.core.placement import can_go_on_elsewhere
from lander.supervisor.core.standing import RunStanding
from lander.supervisor.core.state import State
from lander.supervisor.core.timers import Timers


def host_silent(decision: Decision, message: HostSilent) -> None:
    """Give a silent host up, unless it has been heard since, or the slot that one of its runs could use is taken by now."""
    if may_be_given_up(decision.state, decision.timers, message.name):
        silent = HostGone(message.name, f"silent for {decision.timers.silence.lost_seconds:.0f} s")
        host_gone(decision, silent, out_of_reach=True)


def may_be_given_up(state: State, timers: Timers, host: str) -> bool:
    """Whether a host is overdue, and it gains something to give it up."""
    if host not in timers.silence.overdue:
        return False
    runs = [state.runs[taken.run] for taken in state.slots.here(host)]
    going_on = [run for run in runs if run.state != "stopping"]
    if not going_on:
        return True
    return any(not _may_act(state, timers, run) and can_go_on_elsewhere(state, timers, run) for run in going_on)


def _may_act(state: State, timers: Timers, run: RunStanding) -> bool:
    """Whether a run still holds a lease: until that is over, it would only wait elsewhere."""
    return run.attempt is not None and seconds_left(state, timers, run, run.attempt) is not None
