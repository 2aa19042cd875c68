"""`python -m tests.support.gate_process SETTINGS`: a gate in a process of its own, which may die.

It reads nothing until it is told. The settings are JSON: the keys it lets in, and `hwm`, if its receive queue is to have
another bound. It prints a line of JSON with its ports, the relay's and libzmq's; with the first line on standard input it
begins to read, and at the second it leaves. Every message is then counted, in the line of JSON that it prints last.
"""

import asyncio
import json
import sys

import zmq

from lander.home.keys import KeyPair
from lander.supervisor import gate as gate_module
from lander.supervisor.gate import Gate, Principal


async def line():
    return await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


async def main(settings):
    gate_module.MAX_QUEUED = settings.get("hwm", gate_module.MAX_QUEUED)
    gate = Gate(KeyPair(*settings["gate"]), {key: Principal("client") for key in settings["clients"]}.get)
    port = await gate.open(None)
    behind = int(gate._router.getsockopt(zmq.LAST_ENDPOINT).rstrip(b"\0").rpartition(b":")[2])
    print(json.dumps({"port": port, "behind": behind}), flush=True)
    await line()
    messages = 0

    async def read():
        nonlocal messages
        while True:
            messages += len(await gate.receive())

    reading = asyncio.create_task(read())
    await line()
    reading.cancel()
    print(json.dumps({"messages": messages, "refused": gate.refused}), flush=True)
    await gate.close()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
