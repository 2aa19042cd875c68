"""Tokens, and the hosts that they let in."""

from lander.protocol import commands as c
from lander.protocol import events as e
from lander.protocol.errors import ConflictError, NotFoundError, UsageError
from lander.supervisor.core.decision import Decision
from lander.supervisor.core.messages import Enrolment
from lander.supervisor.core.standing import LOCAL_HOST, TokenStanding

_ANOTHER = "lander-ctl token makes another"
_OTHER_NAME = "lander-ctl token --name OTHER makes a token for another name"


def issue_token(decision: Decision, message: c.IssueToken) -> None:
    """Record a token; raises `ConflictError` if there is one of this id, or if its hosts could not have the name."""
    if message.token in decision.state.tokens:
        raise ConflictError(f"token {message.token}: exists already")
    if message.uses == 1 and message.name:
        _refuse_taken(decision, message.name)
    issued = e.TokenIssued(
        name=message.name,
        uses=message.uses,
        expires_at=e.microseconds(decision.now + message.seconds),
        operator=message.operator,
    )
    decision.say(e.token_stream(message.token), issued)
    decision.answer = c.Accepted(subject=message.token)


def revoke_token(decision: Decision, message: c.RevokeToken) -> None:
    """Record that a token lets nobody in any more; raises `NotFoundError` if there is none of this id."""
    token = decision.state.tokens.get(message.token)
    if token is None:
        raise NotFoundError(f"token {message.token}: no such token")
    if not token.revoked:
        decision.say(e.token_stream(message.token), e.TokenRevoked(operator=message.operator))
    decision.answer = c.Accepted(subject=message.token, detail=_enrolled(token))


def enrol(decision: Decision, message: Enrolment) -> None:
    """Record a host's key; one that is enrolled is answered with its name, as the answer before may have been lost."""
    token = decision.state.tokens.get(message.token)
    if token is None:
        raise NotFoundError(f"token {message.token}: not known here any more; {_ANOTHER}")
    if message.public_key in token.turned_away:
        raise UsageError(f"token {message.token}: the host with this key was revoked; {_ANOTHER}")
    known = next((name for name, key in decision.state.host_keys.items() if key == message.public_key), None)
    name = known or _name_for(decision, message, token)
    if known is None:
        decision.say(e.host_stream(name), e.HostEnrolled(public_key=message.public_key, token=message.token))
    decision.answer = c.Accepted(subject=name)


def _name_for(decision: Decision, message: Enrolment, token: TokenStanding) -> str:
    """What a newcomer is called; raises `UsageError` if its token does not let it in."""
    if token.revoked:
        raise UsageError(f"token {message.token}: was revoked; {_ANOTHER}")
    if token.uses == 0:
        raise UsageError(f"token {message.token}: was used already; {_enrolled(token)}; {_ANOTHER}")
    if decision.now > token.expires_at:
        raise UsageError(f"token {message.token}: has expired; {_ANOTHER}")
    wanted = token.name or message.name
    if token.several or not token.name:
        return _free(decision, wanted)
    _refuse_taken(decision, wanted)
    return wanted


def _refuse_taken(decision: Decision, name: str) -> None:
    if name == LOCAL_HOST:
        raise ConflictError(f"{name}: is the name of the supervisor's own machine; {_OTHER_NAME}")
    if name in decision.state.host_keys:
        raise ConflictError(
            f"{name}: a host of this name is enrolled; lander-ctl hosts revoke {name} turns it away, or {_OTHER_NAME}"
        )


def _free(decision: Decision, name: str) -> str:
    taken = {LOCAL_HOST, *decision.state.host_keys}
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free


def _enrolled(token: TokenStanding) -> str:
    if not token.enrolled:
        return "it let nobody in"
    return f"it let in {', '.join(token.enrolled[:5])}{' …' if len(token.enrolled) > 5 else ''}"
