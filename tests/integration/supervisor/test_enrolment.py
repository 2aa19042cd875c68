"""Workers at the door: who holds a token may enrol and nothing else, who is enrolled is a host, who is revoked is nobody."""

import pytest

from lander.home import keys, tokens
from lander.protocol import commands as c
from lander.protocol import versions
from tests.support.in_process_supervisor import in_process_supervisor
from tests.support.peers import new_keys, until

TOKEN = "0123456789abcdef"
HELLO = c.Hello(release="1", oldest=versions.OLDEST, newest=versions.NEWEST)


@pytest.fixture
async def supervised(tmp_path):
    async with in_process_supervisor(tmp_path) as in_process:
        yield in_process


async def issued(supervised, token=TOKEN, **fields):
    command = c.IssueToken(**({"token": token, "name": "gpu", "seconds": 60.0, "operator": "me"} | fields))
    assert await supervised.peer("client").ask(command) == c.Accepted(subject=token)
    return tokens.issued(supervised.supervisor.principals.supervisor, token)


async def enrolled(supervised):
    """A host's key pair that a token has let in."""
    token, pair = await issued(supervised), new_keys()
    assert await supervised.peer(token.keys).ask(c.Enrol(public_key=pair.public, name="x")) == c.Accepted(subject="gpu")
    return pair


def join(pid=7):
    return c.JoinHost(name="as it likes", pid=pid, cpus=(0,), memory_mb=1.0)


async def test_a_host_that_was_let_in_joins_under_the_name_of_its_token(supervised):
    host = supervised.peer(await enrolled(supervised))
    assert (await host.ask(HELLO)).subject == str(versions.NEWEST)
    await host.say(join())
    await until(lambda: "gpu" in supervised.supervisor.state.hosts)
    assert supervised.supervisor.state.hosts["gpu"].cpus == (0,)


async def test_before_its_key_is_enrolled_nobody_is_let_in_with_it(supervised):
    """Control for the test above: it is the enrolment that lets in."""
    await issued(supervised)
    assert not await supervised.peer(new_keys()).handshake()


async def test_the_key_of_a_token_of_another_supervisor_is_a_strangers(supervised):
    await issued(supervised)
    assert not await supervised.peer(keys.of_token(new_keys(), TOKEN)).handshake()


async def test_the_key_of_a_token_that_was_never_issued_is_a_strangers(supervised):
    token = await issued(supervised)
    assert await supervised.peer(token.keys).handshake()
    assert not await supervised.peer(keys.of_token(supervised.supervisor.principals.supervisor, "f" * 16)).handshake()


NOT_ALLOWED = (
    *(c.Ping(), c.ShutDown(), join(), c.Append(run="x/v/0", epoch=1, first_seq=1, events=())),
    c.RevokeToken(token=TOKEN, operator="me"),
)


@pytest.mark.parametrize("command", NOT_ALLOWED, ids=lambda command: command.kind)
async def test_who_holds_a_token_may_enrol_and_nothing_else(supervised, command):
    newcomer = supervised.peer((await issued(supervised)).keys)
    await newcomer.say(command)
    assert (await newcomer.ask(HELLO)).kind == "Accepted"  # the first that is answered
    assert supervised.supervisor.gate.refusals["not allowed"] == 1


async def test_a_host_that_is_revoked_is_told_so_and_its_key_is_a_strangers(supervised):
    pair = await enrolled(supervised)
    host = supervised.peer(pair)
    await host.say(join())
    assert (await host.ask(HELLO)).kind == "Accepted"
    revoked = await supervised.peer("client").ask(c.RevokeHost(host="gpu", operator="me"))
    assert revoked == c.Accepted(subject="gpu", detail="is turned away")
    assert await host.ask(HELLO) == c.Fenced()
    assert not await supervised.peer(pair).handshake()


async def test_all_of_it_is_so_after_the_supervisor_was_killed(supervised):
    pair = await enrolled(supervised)
    await supervised.crash()
    await supervised.open()
    assert await supervised.peer(pair).handshake()
    token = tokens.issued(supervised.supervisor.principals.supervisor, TOKEN)
    refused = await supervised.peer(token.keys).ask(c.Enrol(public_key=new_keys().public, name="x"))
    assert "was used already" in refused.detail


@pytest.mark.parametrize("who", ["host", "newcomer"])
async def test_who_speaks_no_common_version_is_told_both(supervised, who):
    pair = await enrolled(supervised) if who == "host" else (await issued(supervised)).keys
    refused = await supervised.peer(pair).ask(c.Hello(release="9.9", oldest=98, newest=99))
    assert refused == c.Refused(error="conflict", detail=versions.refusal("9.9", 98, 99))
