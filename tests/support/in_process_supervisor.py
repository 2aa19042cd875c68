"""A real supervisor with its gate and store, in this process; the host and the trainers are played by the test."""

import asyncio
import contextlib
import threading

import zmq

from lander.actors.trainer import mailbox as mailbox_module
from lander.actors.trainer.mailbox import Connection, Mailbox
from lander.experiments.execution import execution_with
from lander.home import keys
from lander.protocol import commands as c
from lander.store.log import chain
from lander.store.log.reader import DATABASE, open_reader
from lander.store.writers.sqlite_store import SqliteEventStore
from lander.supervisor.supervisor import Supervisor
from tests.support.histories import HOST, experiment
from tests.support.peers import TIMEOUT_SECONDS, new_keys, open_peers


class InProcessSupervisor:
    """Opens, crashes and opens again at the same port; `connect_peer` makes peers that outlive its supervisor."""

    def __init__(self, home, connect_peer):
        self.home = home
        self.port = None
        self._connect_peer = connect_peer
        self._threads = zmq.Context()

    async def open(self):
        self.store = await SqliteEventStore.open(self.home / DATABASE)
        self.supervisor = Supervisor(self.home, self.store)
        self.supervisor._ensure_local_host = lambda: None
        self.port = await self.supervisor.open(self.port)
        works = (self.supervisor._receive(), self.supervisor._decide(), self.supervisor._erasing.run())
        self._tasks = [asyncio.create_task(work) for work in works]

    async def crash(self):
        """Gone without a word: no drain, no farewell; only what would keep this process from going on is tidied up."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.supervisor.gate.close()
        await self.store.close()

    def peer(self, who):
        """Somebody with a key of the home, by its name, or with a key of his own."""
        pair = keys.load(self.home, who) if isinstance(who, str) else who
        return self._connect_peer(self.supervisor.gate.endpoint, self.supervisor.public_key, pair)

    def other_host(self, name):
        """Somebody who may speak as a host of this name."""
        pair = new_keys()
        principals = self.supervisor.principals
        principals.follow({**principals._hosts, name: pair.public}, ())
        return self.peer(pair)

    async def begin(self, **form):
        """Submit an experiment and join as its host, with two slots; returns the host and its first orders, by run."""
        wanted = experiment(**form)
        answer = await self.peer("client").ask(c.SubmitExperiment(experiment=wanted, execution=execution_with(), manifest={}))
        assert isinstance(answer, c.Accepted)
        self.host = self.peer("host")
        return await self.join(pid=1)

    async def join(self, pid):
        await self.host.say(c.JoinHost(name=HOST, pid=pid, cpus=(0, 1), memory_mb=1.0))
        orders = [await self.host.hear() for _ in range(2)]
        return {start.order.run: start for start in orders}

    def connection(self):
        return Connection(endpoint=self.supervisor.gate.endpoint, server_key=self.supervisor.public_key)

    @contextlib.contextmanager
    def trainer(self, order):
        """The trainer's own end, as in its process."""
        with contextlib.closing(self._threads.socket(zmq.DEALER)) as socket:
            mailbox_module.connect(self.connection(), order.public_key, order.secret_key, socket)
            yield Mailbox(socket, order.order.run, order.order.epoch)

    def stored(self, run, epoch=1):
        """What of an attempt is in the log, in order; its numbers are 1, 2, 3 …"""
        with contextlib.closing(open_reader(self.home / DATABASE)) as reader:
            rows = reader.execute(
                "SELECT e.seq, e.kind, e.body FROM events e JOIN streams s ON s.id = e.stream"
                " WHERE s.name = ? AND e.producer = ? ORDER BY e.position",
                (run, epoch),
            ).fetchall()
        assert [seq for seq, _, _ in rows] == list(range(1, len(rows) + 1))
        return [(kind, body) for _, kind, body in rows]

    def close(self):
        self._threads.term()
        with contextlib.closing(open_reader(self.home / DATABASE)) as reader:
            chain.verify(reader)


@contextlib.asynccontextmanager
async def in_process_supervisor(home):
    """A supervisor in this process, whose log must be whole in the end."""
    with open_peers() as connect_peer:
        in_process = InProcessSupervisor(home, connect_peer)
        await in_process.open()
        try:
            yield in_process
        finally:
            await in_process.crash()
        in_process.close()


async def in_thread(function, *arguments):
    """What blocks, in a thread of its own, which must come to an end; if it does not, nobody waits for it."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def settle(how, value):
        if not done.done():
            getattr(done, how)(value)

    def work():
        try:
            how, value = "set_result", function(*arguments)
        except Exception as error:
            how, value = "set_exception", error
        with contextlib.suppress(RuntimeError):  # the loop may have been closed meanwhile
            loop.call_soon_threadsafe(settle, how, value)

    threading.Thread(target=work, daemon=True).start()
    async with asyncio.timeout(TIMEOUT_SECONDS):
        return await done
