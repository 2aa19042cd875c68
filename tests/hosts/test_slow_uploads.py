"""Twenty machines upload through one cable of 10 Mbit/s: they share it, and everybody else's messages pass."""

import asyncio
import json
import subprocess
import sys
import time

import pytest

from tests.support.networks import MISSING, Network
from tests.support.peers import new_keys
from tests.support.transfers import ServerProcess, file_of

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(300), pytest.mark.skipif(bool(MISSING), reason=MISSING)]
NUMBER = 20
PORT = 7412
SECONDS = 40.0
CLIENTS = """
import asyncio, json, sys
from pathlib import Path
from lander.home.keys import KeyPair
from lander.transfer.client import Transfer
directory, endpoint, server_key, workers = json.loads(sys.argv[1])
async def main():
    await asyncio.gather(*(
        Transfer(Path(directory) / name, endpoint, server_key, KeyPair(*pair)).send({sha256: Path(path)})
        for name, pair, sha256, path in workers))
asyncio.run(main())
"""
ECHO = """
import socket, sys
server = socket.create_server(("0.0.0.0", 7413))
while True:
    connection, _ = server.accept()
    while data := connection.recv(64): connection.sendall(data)
"""
PING = """
import socket, sys, time
address, seconds = sys.argv[1], float(sys.argv[2])
connection = socket.create_connection((address, 7413))
connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
end = time.monotonic() + seconds
while time.monotonic() < end:
    began = time.monotonic()
    connection.sendall(b"x" * 64)
    got = b""
    while len(got) < 64: got += connection.recv(64)
    print(time.monotonic() - began, flush=True)
    time.sleep(0.02)
"""


class HeadServer(ServerProcess):
    @property
    def endpoint(self):
        return self.at


async def test_twenty_uploads_share_a_slow_cable_and_leave_room_for_messages(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    with Network().machines(2) as (head, workers):
        shape = ["tc", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", "10mbit", "burst", "16kb", "latency", "2s"]
        if (await (await asyncio.create_subprocess_exec(*workers.command(*shape))).wait()) != 0:
            pytest.skip("needs tc, and a kernel with sch_tbf")
        keys = {f"w{number}": new_keys() for number in range(NUMBER)}
        server = HeadServer(home, keys, prefix=head.command(), listen=f"0.0.0.0:{PORT}")
        server.at = f"tcp://{head.address}:{PORT}"
        await server.start()
        files = {name: file_of(tmp_path / "there", 8 << 20, seed) for seed, name in enumerate(keys)}
        told = [str(tmp_path), server.endpoint, server.keys.public, [[n, keys[n], s, str(p)] for n, (s, p) in files.items()]]
        children = [
            await asyncio.create_subprocess_exec(*head.command(sys.executable, "-c", ECHO)),
            await asyncio.create_subprocess_exec(*workers.command(sys.executable, "-c", CLIENTS, json.dumps(told))),
        ]
        try:
            await asyncio.sleep(5.0)
            before = shares(home, files)
            began = time.monotonic()
            pinging = await asyncio.create_subprocess_exec(
                *workers.command(sys.executable, "-c", PING, head.address, SECONDS), stdout=subprocess.PIPE
            )
            printed, _ = await pinging.communicate()
            seconds = time.monotonic() - began
            got = [now - then for now, then in zip(shares(home, files), before, strict=True)]
        finally:
            for child in children:
                child.kill()
                await child.wait()
            await server.end()
    trips = sorted(map(float, printed.split()))
    p99 = trips[int(len(trips) * 0.99)]
    mean = sum(got) / NUMBER
    rate = sum(got) / seconds
    print(f"p99 {p99:.3f} s of {len(trips)}, shares {min(got) / mean:.2f} to {max(got) / mean:.2f}, {rate:.0f} B/s")
    assert p99 < 1.0
    assert 0.8 * mean <= min(got)
    assert max(got) <= 1.2 * mean
    assert rate > 0.8 * 1.25e6


def shares(home, files):
    """What of each file is at home."""
    return [sum(path.stat().st_size for path in home.rglob(f"*{sha256}*")) for sha256, _ in files.values()]
