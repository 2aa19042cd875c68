"""How what is recorded of hosts and tokens changes the state."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from lander.protocol import events as e
from lander.supervisor.core.standing import LOCAL_HOST, HostStanding, TokenStanding
from lander.supervisor.core.state import State

_HOST: Final = e.host_stream("")
_TOKEN: Final = e.token_stream("")


def _host_joined(state: State, name: str, event: e.HostJoined) -> State:
    before = state.hosts.get(name)
    drained = before is not None and before.drained
    offer = (event.cpus, event.gpus, event.bits, event.labels, event.devices)
    host = HostStanding(name, event.pid, event.incarnation, *offer, drained=drained)
    if before is not None and (before.pid, before.incarnation) != (event.pid, event.incarnation):
        state = _ask_again(state, name)
    return _with_host(state, host)


def _host_unfit(state: State, name: str, event: e.HostUnfit) -> State:
    if event.lack == "disk":
        return replace(state, without_room={**state.without_room, name: state.without_room.get(name, 0) + 1})
    unfit = state.unfit.get(event.needs, frozenset()) | {name}
    return replace(state, unfit={**state.unfit, event.needs: unfit})


def _ask_again(state: State, name: str) -> State:
    """The state in which nothing is known of what a host lacks."""
    unfit = {needs: hosts - {name} for needs, hosts in state.unfit.items()}
    return replace(
        state,
        unfit={needs: hosts for needs, hosts in unfit.items() if hosts},
        without_room={other: times for other, times in state.without_room.items() if other != name},
    )


def _host_gone(state: State, name: str, event: e.HostLeft | e.HostLost) -> State:
    return _change_host(state, name, online=False)


def _host_drained(state: State, name: str, event: e.HostDrained) -> State:
    return _change_host(state, name, drained=True)


def _host_reopened(state: State, name: str, event: e.HostReopened) -> State:
    return _change_host(state, name, drained=False)


def _host_enrolled(state: State, name: str, event: e.HostEnrolled) -> State:
    token = state.tokens.get(event.token)
    tokens = state.tokens
    if token is not None:
        tokens = {**tokens, event.token: replace(token, uses=token.uses - 1, enrolled=(*token.enrolled, name))}
    return replace(state, host_keys={**state.host_keys, name: event.public_key}, tokens=tokens)


def _host_revoked(state: State, name: str, event: e.HostRevoked) -> State:
    """A token with uses left does not let the same key in again; another token does."""
    key = state.host_keys.get(name)
    turned_away = {
        token: replace(each, turned_away=each.turned_away | {key})
        for token, each in state.tokens.items()
        if key is not None and name in each.enrolled
    }
    return forget_host(replace(state, tokens={**state.tokens, **turned_away}), name)


def _token_issued(state: State, token: str, event: e.TokenIssued) -> State:
    issued = TokenStanding(event.name, event.uses, event.expires_at / 1_000_000)
    return replace(state, tokens={**state.tokens, token: issued})


def _token_revoked(state: State, token: str, event: e.TokenRevoked) -> State:
    if token not in state.tokens:  # forgotten, since another event of it could not be read
        return state
    return replace(state, tokens={**state.tokens, token: replace(state.tokens[token], revoked=True)})


def forget_host(state: State, name: str) -> State:
    """The state without a host and its key: it must enrol again, and join."""
    return replace(
        _ask_again(state, name),
        slots=state.slots.offered(name, ()),
        hosts={other: each for other, each in state.hosts.items() if other != name},
        host_keys={other: key for other, key in state.host_keys.items() if other != name},
    )


def forget(state: State, stream: str) -> State | None:
    """The state without the host or token of a stream with an event that cannot be read; None for any other stream."""
    if stream.startswith(_HOST):
        return forget_host(state, stream.removeprefix(_HOST))
    if stream.startswith(_TOKEN):
        forgotten = stream.removeprefix(_TOKEN)
        return replace(state, tokens={token: each for token, each in state.tokens.items() if token != forgotten})
    return None


def _change_host(state: State, name: str, **changes: Any) -> State:
    if name not in state.hosts:  # forgotten, since another event of it could not be read
        return state
    return _with_host(state, replace(state.hosts[name], **changes))


def _with_host(state: State, host: HostStanding) -> State:
    """The state with this host, and with what it offers: nothing unless it is there and open for runs."""
    return replace(_offering(state, host), hosts={**state.hosts, host.name: host})


def _offering(state: State, host: HostStanding) -> State:
    """Where launchers start the workers, the supervisor's own machine trains nothing."""
    set_aside = host.name == LOCAL_HOST and any(each.in_use for each in state.launchers.values())
    open_for_runs = host.online and not host.drained and not set_aside
    cpus, gpus = (host.cpus, host.gpu_slots) if open_for_runs else ((), ())
    return replace(state, slots=state.slots.offered(host.name, cpus, gpus, host.groups))


def reoffer_local(state: State) -> State:
    """The state with what the supervisor's own machine offers, after a launcher has changed."""
    local = state.hosts.get(LOCAL_HOST)
    return state if local is None else _offering(state, local)


def _by_name(handler: Callable[[State, str, Any], State]) -> Callable[[State, e.Recorded, Any], State]:
    """A handler of events, from one that takes the name of a host or token."""
    return lambda state, recorded, event: handler(state, recorded.stream.partition(":")[2], event)


HANDLERS: Final[Mapping[type[e.Event | e.Unreadable], Callable[[State, e.Recorded, Any], State]]] = {
    e.HostJoined: _by_name(_host_joined),
    e.HostLeft: _by_name(_host_gone),
    e.HostLost: _by_name(_host_gone),
    e.HostEnrolled: _by_name(_host_enrolled),
    e.HostRevoked: _by_name(_host_revoked),
    e.HostDrained: _by_name(_host_drained),
    e.HostReopened: _by_name(_host_reopened),
    e.HostUnfit: _by_name(_host_unfit),
    e.TokenIssued: _by_name(_token_issued),
    e.TokenRevoked: _by_name(_token_revoked),
}
