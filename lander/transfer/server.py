"""`python -m lander.transfer.server HOME`: where files arrive in a home and leave it, a process beside the supervisor.

It reads JSON from standard input, line by line: first its settings (`Settings`), then, at each change, `{"hosts": …}`. It ends
when standard input does: its supervisor is gone, and the next one starts another. It prints one line of JSON on standard
output: `{"port": N}` when it listens, or `{"error": TEXT}`. Everything else goes to standard error.
"""

import asyncio
import json
import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import uvloop

from lander.protocol.errors import LanderError
from lander.transfer.serving import Settings, TransferServer

LOG: Final = logging.getLogger(__name__)
MAX_SETTINGS: Final = 16 << 20
"""The longest line of settings in bytes."""


async def _standard_input() -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=MAX_SETTINGS)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


async def _follow(server: TransferServer, lines: asyncio.StreamReader) -> None:
    while line := await lines.readline():
        server.follow(json.loads(line)["hosts"])


async def serve(home: Path) -> None:
    """Serve until standard input ends."""
    lines = await _standard_input()
    server = TransferServer(home, Settings.model_validate_json(await lines.readline()))
    try:
        _report({"port": await server.open()})
        work = [asyncio.create_task(each) for each in (server.run(), _follow(server, lines))]
        done, left = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        for task in done:
            task.result()
    finally:
        await server.close()


def _report(fields: Mapping[str, object]) -> None:
    print(json.dumps(fields), flush=True)


def main() -> int:
    """Serve a home; an error at the start is reported on standard output."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s transfer: %(message)s")
    os.umask(os.umask(0o022) | 0o022)
    try:
        uvloop.run(serve(Path(sys.argv[1])))
    except (LanderError, OSError, ValueError) as error:
        LOG.critical("%s", error)
        _report({"error": (error.strerror if isinstance(error, OSError) else None) or str(error)})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
