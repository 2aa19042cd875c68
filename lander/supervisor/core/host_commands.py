"""What a person may ask for a host: to be given no more runs, to be given some again, to be turned away for good."""

from lander.protocol import commands as c
from lander.protocol import events as e
from lander.protocol.errors import ConflictError, NotFoundError
from lander.protocol.refusals import did_you_mean
from lander.protocol.states import LOCAL
from lander.supervisor.core.decision import Decision
from lander.supervisor.core.hosts import attempts_on, lose_attempts


def drain_host(decision: Decision, message: c.DrainHost) -> None:
    """Place nothing more there, and ask what trains there to go back to the queue."""
    name = _joined(decision, message.host)
    if decision.state.hosts[name].drained:
        decision.answer = c.Accepted(subject=name, detail="drained already")
        return
    decision.say(e.host_stream(name), e.HostDrained(operator=message.operator))
    attempts = [(run, attempt) for run, attempt in attempts_on(decision, name) if attempt.stop_reason is None]
    for run, attempt in attempts:
        decision.ask_to_end(run, attempt, "drained")
    decision.answer = c.Accepted(subject=name, detail=f"is given no more runs{_going(len(attempts))}")


def _going(runs: int) -> str:
    if not runs:
        return ""
    leaving = "its run writes a checkpoint and goes" if runs == 1 else f"its {runs} runs write checkpoints and go"
    return f"; {leaving} back to the queue"


def reopen_host(decision: Decision, message: c.ReopenHost) -> None:
    """Place runs there again."""
    name = _joined(decision, message.host)
    if decision.state.hosts[name].drained:
        decision.say(e.host_stream(name), e.HostReopened(operator=message.operator))
    in_use = [launcher for launcher, standing in decision.state.launchers.items() if standing.in_use]
    if name == LOCAL and in_use:
        ends = "after lander-ctl down, only a launcher of lander.toml starts them again"
        decision.answer = c.Accepted(subject=name, detail=f"is set aside while {', '.join(in_use)} starts the workers; {ends}")
    else:
        decision.answer = c.Accepted(subject=name, detail="is given runs")


def revoke_host(decision: Decision, message: c.RevokeHost) -> None:
    """Accept its key no more; what trained there trains elsewhere."""
    name = message.host
    if _was_revoked(decision, name):
        decision.answer = c.Accepted(subject=name, detail="is turned away already")
        return
    if name not in decision.state.host_keys:
        if name in decision.state.hosts:
            raise ConflictError(f"{name}: is the supervisor's own machine; lander-ctl hosts drain {name} gives it no more runs")
        raise NotFoundError(f"{name}: no such host{did_you_mean(name, tuple(decision.state.host_keys))}")
    decision.say(e.host_stream(name), e.HostRevoked(operator=message.operator))
    lose_attempts(decision, name, "was revoked", out_of_reach=True)
    decision.answer = c.Accepted(subject=name, detail="is turned away")


def _was_revoked(decision: Decision, name: str) -> bool:
    """Whether a token has let in a host of this name and turned it away since, and none is let in now."""
    enrolled = any(token.turned_away and name in token.enrolled for token in decision.state.tokens.values())
    return enrolled and name not in decision.state.host_keys


def _joined(decision: Decision, name: str) -> str:
    if _was_revoked(decision, name):
        raise ConflictError(f"{name}: was revoked; with a new token it comes back: lander-ctl token --name {name}")
    if name not in decision.state.hosts:
        if name in decision.state.host_keys:
            raise NotFoundError(f"{name}: has not joined yet")
        if name == LOCAL:
            raise NotFoundError(f"{name}: has not joined yet; that takes some seconds after lander-ctl up")
        raise NotFoundError(f"{name}: no such host{did_you_mean(name, tuple(decision.state.hosts))}")
    return name
