"""Object stores: a directory, and two servers of S3: moto knows its semantics, rclone checks signatures."""

import contextlib
import os
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import NamedTuple

BIN = Path(__file__).parents[2] / ".venv-stores" / "bin"
ACCESS, SECRET = "AKIALANDERTEST000001", "secret1234secret1234"
BUCKET = "artifacts"
START_SECONDS = 60.0


class Store(NamedTuple):
    """Its URL, and what the environment of those who use it has to have; `port` is the server's, 0 for none."""

    url: str
    environment: dict[str, str]
    port: int = 0

    def at(self, endpoint):
        """The same by another address, `tcp://HOST:PORT`."""
        return self._replace(environment=self.environment | {"AWS_ENDPOINT_URL": endpoint.replace("tcp:", "http:")})

    def set(self, monkeypatch):
        for name, value in self.environment.items():
            monkeypatch.setenv(name, value)


@contextlib.contextmanager
def directory(path):
    (path / "store").mkdir(parents=True)
    yield Store(f"file://{path / 'store'}", {})


@contextlib.contextmanager
def moto(path):
    port = _free_port()
    with _server(path, port, "moto_server", "-H", "127.0.0.1", "-p", str(port)):
        urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/{BUCKET}", method="PUT"))
        yield _s3(port)


@contextlib.contextmanager
def rclone(path, port=None):
    port = port or _free_port()
    (path / "served" / BUCKET).mkdir(parents=True, exist_ok=True)
    key = ("--auth-key", f"{ACCESS},{SECRET}")
    with _server(path, port, "rclone", "serve", "s3", "--addr", f"127.0.0.1:{port}", *key, str(path / "served")):
        yield _s3(port)


def _s3(port):
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": ACCESS,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
    }
    return Store(f"s3://{BUCKET}/some/prefix", environment, port)


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def _server(path, port, program, *words):
    path.mkdir(parents=True, exist_ok=True)
    with (path / f"{program}.log").open("ab") as log:
        process = subprocess.Popen([BIN / program, *words], stdout=log, stderr=log, env={**os.environ, "HOME": str(path)})
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.5):
                break
            assert process.poll() is None, f"see {path}"
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(30)
