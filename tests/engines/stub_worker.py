"""`stub_worker.py DIRECTORY worker HOST:PORT --token-file F --name N …`: what a launcher can see of a worker, in no time.

Writes a line into DIRECTORY/N for all that happens to it, and stays until SIGTERM, or until its pipe ends.
"""

import os
import select
import signal
import sys
from pathlib import Path


def main() -> int:
    directory, _, head, *words = sys.argv[1:]
    options = dict(zip(words[::2], words[1::2], strict=True))
    if head == "fail:1":
        print("error: this worker cannot start", file=sys.stderr)
        return 3
    token_file = options["--token-file"]
    token = sys.stdin.readline() if token_file == "-" else Path(token_file).read_text()
    with (Path(directory) / options["--name"]).open("a", buffering=1) as log:
        wake, pipe = os.pipe2(os.O_NONBLOCK)
        signal.set_wakeup_fd(pipe)
        signal.signal(signal.SIGTERM, lambda *_: None)
        print(f"started {os.getpid()} on {Path('/proc/self/ns/net').readlink()} with {token.strip()}", file=log)
        launcher = [int(options["--leave-with"])] if "--leave-with" in options else []
        ready, _, _ = select.select([wake, *launcher], [], [])
        print("left by signal" if wake in ready else "left with its launcher", file=log)
    return 0


if __name__ == "__main__":
    sys.exit(main())
