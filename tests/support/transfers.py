"""A transfer server in a process of its own, clients of it, and a cable between them that can be cut, slow and corrupt."""

import asyncio
import contextlib
import hashlib
import json
import os
import sys

from lander.home.artifacts import read_artifact
from lander.home.layout import artifact_path
from lander.protocol.transfer import decode_transfer
from lander.transfer.client import Transfer
from tests.support.peers import new_keys, open_peers

TIMEOUT_SECONDS = 60.0


def file_of(directory, size, seed=0):
    """A file of random bytes; its SHA-256 and its path."""
    content = os.urandom(size) if seed is None else hashlib.shake_128(str((size, seed)).encode()).digest(size)
    sha256 = hashlib.sha256(content).hexdigest()
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{sha256[:16]}.bin"
    path.write_bytes(content)
    return sha256, path


def partial_path(home, sha256):
    path = artifact_path(home, sha256)
    return path.with_name(f".{sha256}.part")


class ServerProcess:
    """`python -m lander.transfer.server`, as a supervisor starts it."""

    def __init__(self, home, hosts, prefix=(), **settings):
        self.home = home
        self.keys = new_keys()
        self.hosts = {name: keys.public for name, keys in hosts.items()}
        self.port = 0
        self._prefix = prefix
        self._settings = settings
        self.log = home.with_name(f"{home.name}.log")

    async def start(self):
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self._prefix,
                *(sys.executable, "-m", "lander.transfer.server", str(self.home)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        listen = f"127.0.0.1:{self.port}"
        settings = {"listen": listen, "public_key": self.keys.public, "secret_key": self.keys.secret, "hosts": self.hosts}
        self.tell(settings | self._settings)
        async with asyncio.timeout(TIMEOUT_SECONDS):
            answer = json.loads(await self.process.stdout.readline())
        assert "port" in answer, answer
        self.port = answer["port"]

    def tell(self, fields):
        self.process.stdin.write(json.dumps(fields).encode() + b"\n")

    @property
    def endpoint(self):
        return f"tcp://127.0.0.1:{self.port}"

    async def kill(self):
        self.process.kill()
        await self.process.wait()

    async def end(self):
        """Close its standard input, as the death of its supervisor does."""
        self.process.stdin.close()
        async with asyncio.timeout(TIMEOUT_SECONDS):
            return await self.process.wait()


@contextlib.asynccontextmanager
async def serving(home, hosts, **settings):
    """A server for these hosts."""
    home.mkdir(exist_ok=True)
    server = ServerProcess(home, hosts, **settings)
    await server.start()
    try:
        yield server
    finally:
        if server.process.returncode is None:
            assert await server.end() == 0
        assert "Traceback" not in server.log.read_text()


@contextlib.asynccontextmanager
async def transfer_of(home, server, keys, endpoint=None):
    """A worker's side, with a home of its own."""
    transfer = Transfer(home, endpoint or server.endpoint, server.keys.public, keys)
    try:
        yield transfer
    finally:
        await transfer.close()


@contextlib.contextmanager
def raw_peer(server, keys):
    """One that says what it likes."""
    with open_peers() as connect_peer:
        yield connect_peer(server.endpoint, server.keys.public, keys)


async def hear(peer, kind):
    """The next message of this kind."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while not isinstance(message := decode_transfer(await peer.socket.recv()), kind):
            pass
        return message


class Cable:
    """A TCP proxy: counts the bytes in each direction, ends its connections on request, and may have a rate in bytes/s."""

    def __init__(self, target, rate=None):
        self._target = target
        self._rate = rate
        self.up = self.down = 0
        self.cuts = 0
        self._cut_at = None
        self._writers = set()
        self._free_at = {}

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.endpoint = f"tcp://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        self._server.close()
        self.cut()
        await self._server.wait_closed()
        await asyncio.sleep(0.05)

    def cut_at(self, *marks):
        """Cut when so many bytes have gone up."""
        self._cut_at = list(marks)

    def cut(self):
        for writer in list(self._writers):
            writer.transport.abort()

    async def _connected(self, reader, writer):
        try:
            upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", self._target())
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, upstream_writer}
        await asyncio.gather(self._pass(reader, upstream_writer, "up"), self._pass(upstream_reader, writer, "down"))
        for each in (writer, upstream_writer):
            self._writers.discard(each)
            each.transport.abort()

    async def _pass(self, reader, writer, direction):
        with contextlib.suppress(OSError):
            while data := await reader.read(64 << 10):
                if self._rate is not None:
                    await self._hold_back(direction, len(data))
                setattr(self, direction, getattr(self, direction) + len(data))
                writer.write(data)
                await writer.drain()
                if self._cut_at and self.up >= self._cut_at[0]:
                    self._cut_at.pop(0)
                    self.cuts += 1
                    self.cut()
            writer.transport.abort()

    async def _hold_back(self, direction, size):
        """First come, first served: what is sent waits for what was sent before it, on any connection."""
        now = asyncio.get_running_loop().time()
        free = max(self._free_at.get(direction, 0.0), now) + size / self._rate
        self._free_at[direction] = free
        await asyncio.sleep(free - now)


def flip(path):
    """Flip a bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def holds(home, files):
    """Whether the home has these files, whole."""
    return all(hashlib.sha256(read_artifact(home, sha256)).hexdigest() == sha256 for sha256 in files)
