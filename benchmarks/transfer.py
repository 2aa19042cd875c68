"""A file from a worker to the home, durable and checked, against the same bytes over plain TCP into a file that is flushed.

The server is a process of its own on both sides; what is ours is encrypted, hashed and published.
"""

import asyncio
import hashlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import uvloop
import zmq

from benchmarks.row import Row, show, spread
from lander.home.keys import KeyPair
from lander.transfer.client import Transfer

SIZE = 256 << 20
TURNS = 5
RECEIVER = """
import os, socket, sys
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
connection, _ = server.accept()
with open(sys.argv[1], "wb") as file:
    while data := connection.recv(1 << 18):
        file.write(data)
    file.flush()
    os.fsync(file.fileno())
connection.sendall(b"k")
"""


def plain(path: Path, directory: Path) -> float:
    """Bytes per second of `sendfile` over loopback."""
    command = [sys.executable, "-c", RECEIVER, str(directory / "received")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as receiver:
        assert receiver.stdout is not None
        port = int(receiver.stdout.readline())
        with socket.create_connection(("127.0.0.1", port)) as connection, path.open("rb") as file:
            began = time.perf_counter()
            connection.sendfile(file)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1)
            return SIZE / (time.perf_counter() - began)


async def ours(path: Path, sha256: str, directory: Path) -> float:
    """Bytes per second from the call of `send` to its return."""
    pair, host = (KeyPair(*(half.decode() for half in zmq.curve_keypair())) for _ in range(2))
    home = directory / "home"
    home.mkdir()
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "lander.transfer.server", str(home)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    settings = {"listen": "127.0.0.1:0", "public_key": pair.public, "secret_key": pair.secret, "hosts": {"w": host.public}}
    server.stdin.write(json.dumps(settings).encode() + b"\n")
    port = json.loads(await server.stdout.readline())["port"]
    transfer = Transfer(directory / "worker", f"tcp://127.0.0.1:{port}", pair.public, host)
    began = time.perf_counter()
    await transfer.send({sha256: path})
    seconds = time.perf_counter() - began
    await transfer.close()
    server.stdin.close()
    await server.wait()
    return SIZE / seconds


def measure() -> Sequence[Row]:
    """The ratio of medians over alternating turns."""
    sent, received = [], []
    with tempfile.TemporaryDirectory(prefix="lander-bench-") as directory:
        path = Path(directory) / "file"
        content = os.urandom(SIZE)
        path.write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        for _ in range(TURNS):
            with tempfile.TemporaryDirectory(dir=directory) as turn:
                received.append(plain(path, Path(turn)) / 1e6)
                sent.append(uvloop.run(ours(path, sha256, Path(turn))) / 1e6)
    ratio = median(sent) / median(received)
    return [
        Row(
            f"a file of {SIZE >> 20} MiB to the home: encrypted, hashed, durable",
            spread(sent, " MB/s"),
            f"plain TCP into a flushed file {spread(received, ' MB/s')}",
            f"{ratio:.3f} ×",
            "≥ 0.1 ×",
            ratio >= 0.1,
        )
    ]


if __name__ == "__main__":
    show(measure)
