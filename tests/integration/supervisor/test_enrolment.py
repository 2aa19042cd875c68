"""Who is let in, as a matrix: tokens, keys, versions, roles. A cell that is refused is refused by name, and leaves no trace.

What the handshake decides is tried once more at a gate that lets everybody in: there it has to fail.
"""

import contextlib

import pytest
import zmq
import zmq.asyncio
from hypothesis import Phase, find, settings

from lander.app import enrolment
from lander.home import handshakes, keys, tokens
from lander.home.handshakes import Handshakes
from lander.protocol import commands as c
from lander.protocol import versions
from lander.protocol.errors import ConflictError, LanderError, NotFoundError, UsageError
from lander.protocol.transfer import Ask, Offer, Welcome
from lander.protocol.wire import encode
from lander.store.log.reader import DATABASE, open_reader
from lander.supervisor.gate import Principal
from tests.support.in_process_supervisor import InProcessSupervisor, in_process_supervisor, in_thread
from tests.support.message_strategies import COMMANDS
from tests.support.peers import new_keys, open_peers, until
from tests.support.transfers import hear, raw_peer, serving

TOKEN = "0123456789abcdef"
GREETING = b"\x92\xa5Hello\x83\xa7release\xa50.1.0\xa6oldest\x01\xa6newest\x01"
GREETED = b"\x92\xa8Accepted\x82\xa7subject\xa11\xa6detail\xa50.1.0"
HELLO = c.Hello(release="1", oldest=versions.OLDEST, newest=versions.NEWEST)


@pytest.fixture
async def supervised(tmp_path):
    (tmp_path / "head").mkdir()
    async with in_process_supervisor(tmp_path / "head") as in_process:
        in_process.refused = []
        refuse = in_process.supervisor.gate.refuse

        def noted(why, what):
            in_process.refused.append((why, what))
            refuse(why, what)

        in_process.supervisor.gate.refuse = noted
        yield in_process


async def issued(supervised, token=TOKEN, **fields):
    command = c.IssueToken(**({"token": token, "name": "gpu", "seconds": 60.0, "operator": "me"} | fields))
    assert await supervised.peer("client").ask(command) == c.Accepted(subject=token)
    return tokens.issued(supervised.supervisor.principals.supervisor, token)


async def enrolled(supervised, token=TOKEN, **fields):
    """A host's key pair that a token has let in."""
    holder, pair = await issued(supervised, token, **fields), new_keys()
    assert (await supervised.peer(holder.keys).ask(c.Enrol(public_key=pair.public, name="x"))).kind == "Accepted"
    return pair


async def revoked(supervised):
    """The key pair of a host that is turned away."""
    pair = await enrolled(supervised)
    assert (await supervised.peer("client").ask(c.RevokeHost(host="gpu", operator="me"))).kind == "Accepted"
    return pair


@contextlib.contextmanager
def nothing_recorded(supervised):
    """What happens here is in no log."""

    def log():
        with contextlib.closing(open_reader(supervised.home / DATABASE)) as reader:
            return reader.execute("SELECT count(*), max(position) FROM events").fetchone()

    before = log(), supervised.supervisor.state
    yield
    assert (log(), supervised.supervisor.state) == before


# --- tokens -----------------------------------------------------------------------------------------------------------


async def used_up(supervised):
    token = await issued(supervised)
    assert (await supervised.peer(token.keys).ask(c.Enrol(public_key=new_keys().public, name="x"))).subject == "gpu"
    return token


async def expired(supervised):
    return await issued(supervised, seconds=1e-6)


async def revoked_token(supervised):
    token = await issued(supervised)
    assert (await supervised.peer("client").ask(c.RevokeToken(token=TOKEN, operator="me"))).kind == "Accepted"
    return token


async def of_another_supervisor(supervised):
    return tokens.issued(new_keys(), TOKEN)


async def never_issued(supervised):
    return tokens.issued(supervised.supervisor.principals.supervisor, "f" * 16)


async def for_a_name_that_is_taken_since(supervised):
    token = await issued(supervised)
    await enrolled(supervised, "f" * 16)
    return token


ANOTHER = "lander-ctl token makes another"
REFUSED_TOKENS = {
    "used up": (used_up, UsageError, f"token {TOKEN}: was used already; it let in gpu; {ANOTHER}"),
    "expired": (expired, UsageError, f"token {TOKEN}: has expired; {ANOTHER}"),
    "revoked": (revoked_token, UsageError, f"token {TOKEN}: was revoked; {ANOTHER}"),
    "of another supervisor": (
        of_another_supervisor,
        NotFoundError,
        "no supervisor answers that made this token; is the address",
    ),
    "never issued": (never_issued, UsageError, "does not know this token; lander-ctl token makes one there; is this the port"),
    "for a name that is taken since": (
        for_a_name_that_is_taken_since,
        ConflictError,
        "gpu: a host of this name is enrolled; lander-ctl hosts revoke gpu turns it away, or "
        "lander-ctl token --name OTHER makes a token for another name",
    ),
}


async def let_in(supervised, text, home):
    """What a worker with this token is called by the supervisor."""
    token = tokens.parse(text)
    return (await in_thread(enrolment.enrol, supervised.supervisor.gate.endpoint, token, home, "machine")).name


@pytest.mark.parametrize("cell", REFUSED_TOKENS)
async def test_a_token_that_does_not_let_in_is_refused_by_name(supervised, tmp_path, monkeypatch, cell):
    prepare, error, words = REFUSED_TOKENS[cell]
    monkeypatch.setattr(enrolment, "ANSWER_MILLISECONDS", 20_000 if error is not NotFoundError else 500)
    token = await prepare(supervised)
    with nothing_recorded(supervised), pytest.raises(error) as refused:
        await let_in(supervised, token.text(), tmp_path / "worker")
    assert words in str(refused.value)
    assert enrolment.remembered(tmp_path / "worker") is None


def cut_short(text):
    return text[:-9]


def with_another_letter(text):
    return f"{text[:30]}{'A' if text[30] != 'A' else 'B'}{text[31:]}"


@pytest.mark.parametrize("damage", [cut_short, with_another_letter], ids=lambda damage: damage.__name__)
async def test_a_token_that_was_cut_short_or_changed_is_refused_before_anybody_is_asked(supervised, tmp_path, damage):
    text = (await issued(supervised)).text()
    with nothing_recorded(supervised), pytest.raises(UsageError, match=r"not whole: .*copy its line again"):
        await let_in(supervised, damage(text), tmp_path / "worker")
    assert supervised.refused == []


async def test_a_token_lets_a_worker_in_under_its_name_and_once(supervised, tmp_path):
    text = (await issued(supervised)).text()
    assert await let_in(supervised, text, tmp_path / "worker") == "gpu"
    assert await let_in(supervised, text, tmp_path / "worker") == "gpu", "the same one, as the answer may have been lost"
    assert list(supervised.supervisor.state.host_keys) == ["gpu"]
    with pytest.raises(UsageError, match="was used already"):
        await let_in(supervised, text, tmp_path / "other")


@pytest.mark.parametrize(
    ("name", "words"), [("gpu", "a host of this name is enrolled"), ("local", "is the name of the supervisor's own machine")]
)
async def test_no_token_is_made_for_a_name_that_is_taken(supervised, name, words):
    await enrolled(supervised)
    command = c.IssueToken(token="f" * 16, name=name, seconds=60.0, operator="me")
    with nothing_recorded(supervised):
        refused = await supervised.peer("client").ask(command)
    assert (refused.error, words in refused.detail, "token --name OTHER makes" in refused.detail) == ("conflict", True, True)


async def test_what_a_token_and_a_key_are_worth_is_the_same_after_the_supervisor_was_killed(supervised, tmp_path):
    pair = await enrolled(supervised)
    await supervised.crash()
    await supervised.open()
    assert await supervised.peer(pair).handshake()
    token = tokens.issued(supervised.supervisor.principals.supervisor, TOKEN)
    with pytest.raises(UsageError, match="was used already"):
        await let_in(supervised, token.text(), tmp_path / "worker")


# --- keys -------------------------------------------------------------------------------------------------------------


async def a_stranger(supervised):
    return new_keys()


async def of_a_token_never_issued(supervised):
    return keys.of_token(supervised.supervisor.principals.supervisor, "f" * 16)


async def of_a_token_of_another_supervisor(supervised):
    await issued(supervised)
    return keys.of_token(new_keys(), TOKEN)


async def of_a_host_not_enrolled_yet(supervised):
    await issued(supervised)
    return new_keys()


REFUSED_KEYS = {
    "a stranger": a_stranger,
    "of a token never issued": of_a_token_never_issued,
    "of a token of another supervisor": of_a_token_of_another_supervisor,
    "of a host not enrolled yet": of_a_host_not_enrolled_yet,
    "of a host that was revoked": revoked,
}


async def refused_at_the_handshake(supervised, cell):
    pair = await REFUSED_KEYS[cell](supervised)
    supervised.refused.clear()
    with nothing_recorded(supervised):
        was_let_in = await supervised.peer(pair).handshake()
    assert not was_let_in, f"{cell} was let in"
    assert ("stranger", "a handshake with an unknown key") in supervised.refused


@pytest.mark.parametrize("cell", REFUSED_KEYS)
async def test_a_key_that_is_nobodys_is_refused_at_the_handshake(supervised, cell):
    await refused_at_the_handshake(supervised, cell)


async def test_who_has_no_key_or_the_wrong_one_of_the_supervisor_is_not_let_in(supervised):
    """No handshake is completed, so there is nobody whom the gate could tell anything."""
    pair = await enrolled(supervised)
    with nothing_recorded(supervised), open_peers() as connect_peer, zmq.asyncio.Context() as context:
        wrong = connect_peer(supervised.supervisor.gate.endpoint, new_keys().public, pair)
        with context.socket(zmq.DEALER) as none:
            none.setsockopt(zmq.LINGER, 0)
            none.connect(supervised.supervisor.gate.endpoint)
            await none.send(encode(c.Ping()))
            heard = await none.poll(300), await wrong.socket.poll(300)
    assert heard == (0, 0)
    assert await supervised.peer(pair).handshake(), "the gate serves the others"


async def test_a_host_that_is_revoked_is_told_so_at_its_next_message(supervised):
    host = supervised.peer(await enrolled(supervised))
    await host.say(c.JoinHost(name="as it likes", pid=7, cpus=(0,), memory_mb=1.0))
    await until(lambda: "gpu" in supervised.supervisor.state.hosts)
    assert (await host.ask(HELLO)).kind == "Accepted"
    answer = await supervised.peer("client").ask(c.RevokeHost(host="gpu", operator="me"))
    assert answer == c.Accepted(subject="gpu", detail="is turned away")
    with nothing_recorded(supervised):
        assert await host.ask(HELLO) == c.Fenced()
    assert supervised.refused[-1] == ("fenced", "a message with a key that is no longer valid")


# --- the same with the check switched off -----------------------------------------------------------------------------

REAL_OPTION = zmq.Socket.setsockopt


def without_a_domain(monkeypatch):
    """CURVE by itself accepts any key."""

    def setsockopt(socket, option, value):
        if option != zmq.ZAP_DOMAIN:
            REAL_OPTION(socket, option, value)

    monkeypatch.setattr(zmq.Socket, "setsockopt", setsockopt)


def whose_handler_knows_everybody(monkeypatch):
    monkeypatch.setattr("lander.supervisor.principals.Principals.get", lambda principals, key: Principal("client"))


def whose_handler_is_not_bound(monkeypatch):
    def open_nothing(self):
        self._zap = self._context.socket(zmq.REP)
        self._task = handshakes.asyncio.create_task(handshakes.asyncio.sleep(3600))

    monkeypatch.setattr(Handshakes, "open", open_nothing)


def whose_handler_is_dead(monkeypatch):
    monkeypatch.setattr(Handshakes, "_answer", lambda self: handshakes.asyncio.sleep(0))


LETS_EVERYBODY_IN = [without_a_domain, whose_handler_knows_everybody]


@pytest.mark.parametrize(
    "defect", [*LETS_EVERYBODY_IN, whose_handler_is_not_bound, whose_handler_is_dead], ids=lambda defect: defect.__name__
)
async def test_a_supervisor_with_a_gate_that_does_not_check_does_not_start(tmp_path, monkeypatch, defect):
    defect(monkeypatch)
    monkeypatch.setattr(handshakes, "_PROOF_SECONDS", 1.0)
    with open_peers() as connect_peer:
        in_process = InProcessSupervisor(tmp_path, connect_peer)
        try:
            with pytest.raises(LanderError, match=r"the gate .*; not starting"):
                await in_process.open()
        finally:
            await in_process.supervisor.gate.close()
            await in_process.store.close()
            in_process.close()


@pytest.mark.parametrize("cell", ["a stranger", "of a token never issued"])
@pytest.mark.parametrize("defect", LETS_EVERYBODY_IN, ids=lambda defect: defect.__name__)
async def test_with_such_a_gate_the_cells_that_the_handshake_decides_fail(tmp_path, monkeypatch, defect, cell):
    """The control of `refused_at_the_handshake`, for the cells in which nobody has to be let in before."""
    defect(monkeypatch)

    async def believe(self, endpoint, what):
        pass

    monkeypatch.setattr(Handshakes, "prove_closed", believe)
    async with in_process_supervisor(tmp_path) as in_process:
        in_process.refused = []
        with pytest.raises(AssertionError, match="was let in"):
            await refused_at_the_handshake(in_process, cell)


# --- versions ---------------------------------------------------------------------------------------------------------

VERSIONS = {
    "ours": (2, 3, "3"),
    "the release before": (1, 2, "2"),
    "the release after": (3, 4, "3"),
    "too old": (1, 1, None),
    "too new": (4, 5, None),
}


@pytest.mark.parametrize("who", ["host", "newcomer"])
@pytest.mark.parametrize("cell", VERSIONS)
async def test_the_newest_common_version_is_spoken_and_without_one_both_are_named(supervised, monkeypatch, who, cell):
    monkeypatch.setattr(versions, "OLDEST", 2)
    monkeypatch.setattr(versions, "NEWEST", 3)
    oldest, newest, spoken = VERSIONS[cell]
    pair = await enrolled(supervised) if who == "host" else (await issued(supervised)).keys
    with nothing_recorded(supervised):
        answer = await supervised.peer(pair).ask(c.Hello(release="9.9", oldest=oldest, newest=newest))
    if spoken is not None:
        assert answer == c.Accepted(subject=spoken, detail=versions.release())
    else:
        assert answer.error == "conflict"
        for words in ("the worker is lander-ctl 9.9 and speaks protocol", "the supervisor is lander-ctl", "and speaks 2 to 3"):
            assert words in answer.detail
        assert answer.detail.endswith(f": pip install lander-ctl=={versions.release()} on the worker's machine")


async def test_what_two_releases_tell_each_other_that_by_never_changes(supervised, monkeypatch):
    """Recorded from 0.1.0: a greeting and its answer, byte for byte."""
    monkeypatch.setattr(versions, "release", lambda: "0.1.0")
    host = supervised.peer(await enrolled(supervised))
    await host.say_frames(GREETING)
    assert await host.socket.recv() == GREETED


# --- roles ------------------------------------------------------------------------------------------------------------

ALLOWED = {"client": c.CLIENT, "host": c.HOST, "trainer": c.TRAINER, "newcomer": c.NEWCOMER}


def one_of_each(kinds):
    """A command of each kind, as simple as it can be."""
    quick = settings(max_examples=50, database=None, deadline=None, phases=[Phase.generate])
    return [find(COMMANDS[kind], lambda _: True, settings=quick) for kind in kinds]


async def of_role(supervised, role):
    match role:
        case "client":
            return supervised.peer("client")
        case "host":
            return supervised.peer(await enrolled(supervised))
        case "newcomer":
            return supervised.peer((await issued(supervised)).keys)
        case "trainer":
            order = (await supervised.begin())["x/baseline/0"]
            return supervised.peer(keys.KeyPair(order.public_key, order.secret_key))


@pytest.mark.parametrize("role", ALLOWED)
async def test_who_has_a_role_may_say_what_is_its_own_and_nothing_of_another(supervised, role):
    forbidden = one_of_each(kind for name, kind in c.COMMAND_TYPES.items() if kind not in ALLOWED[role])
    peer = await of_role(supervised, role)
    with nothing_recorded(supervised):
        await peer.say(*forbidden)
        await until(lambda: len(supervised.refused) == len(forbidden))
    assert supervised.refused == [("not allowed", f"{command.kind} from a {role}") for command in forbidden]


async def test_files_travel_to_and_from_hosts_alone_and_a_hosts_commands_mean_nothing_there(tmp_path):
    supervisor, host, gone = new_keys(), new_keys(), new_keys()
    others = (new_keys(), keys.of_token(supervisor, TOKEN), keys.of_attempt(supervisor, "x/baseline/0", 1), gone)
    async with serving(tmp_path / "home", {"w1": host, "w2": gone}) as server:
        del server.hosts["w2"]
        server.tell({"hosts": server.hosts})
        with raw_peer(server, host) as peer:
            await peer.say(c.JoinHost(name="w1", pid=1, cpus=(0,), memory_mb=1.0), c.Ping(), Ask(sha256s=()))
            assert await hear(peer, Welcome) == Welcome()
            await until(lambda: "malformed" in server.log.read_text())
        for pair in others:
            with raw_peer(server, pair) as peer:
                assert not await peer.handshake()


async def test_words_of_the_transfer_mean_nothing_to_the_gate(supervised):
    host = supervised.peer(await enrolled(supervised))
    with nothing_recorded(supervised):
        await host.say(Offer(files=()), Ask(sha256s=()))
        await until(lambda: len(supervised.refused) == 2)
    assert {why for why, _ in supervised.refused} == {"malformed"}
