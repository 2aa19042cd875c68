"""The client of an object store: which URLs are taken, and what is said when it does not serve."""

import asyncio
import socket
import subprocess
import sys
import time
from io import BytesIO

import pytest

from lander.app.proved_store import prove_store
from lander.protocol.errors import UsageError
from lander.transfer import object_store
from lander.transfer.object_store import ObjectStore, ObjectStoreError, _words, check_url

SAID = (
    "Generic S3 error: Error performing PUT http://127.0.0.1:9/b/x?sig=SECRET in 4ms - 403 Forbidden: <?xml version='1.0'?>\n"
    "<Error><Code>SignatureDoesNotMatch</Code><Message>It does not match.</Message><Key>SECRET</Key></Error>"
    '\n\nDebug source:\nGeneric { uri: "http://127.0.0.1:9/b/x?sig=SECRET" }'
)


@pytest.mark.parametrize("url", ["s3://bucket", "s3://bucket/some/prefix", "gs://bucket/x", "az://container/x", "file:///a/b"])
def test_what_names_a_store_is_taken(url):
    assert check_url(url, "--store") == url


@pytest.mark.parametrize(
    "url", ["bucket", "s3://", "s3:bucket", "http://host/bucket", "file://", "file:///", "file://host/x", ""]
)
def test_what_names_none_is_refused_with_the_forms_there_are(url):
    with pytest.raises(UsageError, match=r"^--store: .* is no object store; one is s3://BUCKET/PREFIX"):
        check_url(url, "--store")


@pytest.mark.parametrize("url", ["s3://key:SECRET@bucket/x", "az://container/x?sig=SECRET", "gs://bucket/x#SECRET"])
def test_a_secret_in_a_url_is_refused_and_not_repeated(url):
    with pytest.raises(UsageError, match="credentials come from the environment") as refused:
        check_url(url, "--store")
    assert "SECRET" not in str(refused.value)


def test_a_stores_words_are_one_line_without_signatures_and_keys():
    before = "Generic S3 error: Error performing PUT http://127.0.0.1:9/b/x in 4ms - 403 Forbidden: "
    assert _words(SAID) == f"{before}SignatureDoesNotMatch: It does not match."


async def test_without_the_library_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(ObjectStoreError) as refused:
        await ObjectStore("s3://bucket", "key").names()
    assert str(refused.value) == "s3://bucket: an object store needs one more library: pip install 'lander-ctl[s3]'"


def test_the_library_is_not_imported_before_it_is_used():
    program = (
        "import sys, lander.transfer.client, lander.transfer.server, lander.app.service; sys.exit('obstore' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_store_is_proved_before_a_supervisor_uses_it(tmp_path):
    for name in ("home", "store"):
        (tmp_path / name).mkdir(mode=0o700)
    prove_store(tmp_path / "home", f"file://{tmp_path / 'store'}")
    assert not [each for each in (tmp_path / "store").rglob("*") if each.is_file()]
    (tmp_path / "file").touch()
    for name in ("file", "missing"):  # a directory that is missing may not be mounted yet
        with pytest.raises(UsageError, match=f"^--store file://{tmp_path / name}: "):
            prove_store(tmp_path / "home", f"file://{tmp_path / name}")
    assert not (tmp_path / "missing").exists()


def test_without_a_key_it_is_said_which_variables_a_store_of_s3_takes_it_from(tmp_path, monkeypatch):
    (tmp_path / "home").mkdir(mode=0o700)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(object_store, "RETRY_SECONDS", SECONDS)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", f"http://127.0.0.1:{port}")
    with pytest.raises(UsageError, match="AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set"):
        prove_store(tmp_path / "home", "s3://bucket/x")


# --- a store that says nothing ----------------------------------------------------------------------------------------

SECONDS = 0.5


@pytest.fixture
def at(monkeypatch):
    """Have a store be served at a port, and no request that carries no piece take longer than `SECONDS`."""

    def served_at(port):
        where = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_REGION": "us-east-1"}
        for name, value in (where | {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}).items():
            monkeypatch.setenv(name, value)

    monkeypatch.setattr(object_store, "ANSWER_SECONDS", SECONDS)
    monkeypatch.setattr(object_store, "RETRY_SECONDS", SECONDS)
    return served_at


def test_a_store_that_takes_a_connection_and_says_nothing_is_noticed_before_a_supervisor_uses_it(tmp_path, at):
    (tmp_path / "home").mkdir(mode=0o700)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        at(silent.getsockname()[1])
        began = time.monotonic()
        with pytest.raises(UsageError, match=r"^--store s3://bucket/x: .*error sending request"):
            prove_store(tmp_path / "home", "s3://bucket/x")
        assert time.monotonic() - began < 10 * SECONDS


class SlowStore:
    """A store that takes very long for a piece, and answers everything else at once, until it falls silent."""

    def __init__(self):
        self.silent = False
        self.asked = asyncio.Semaphore(0)
        """How often it was asked beside a piece."""
        self.done = asyncio.Event()
        self.connections = set()

    async def serve(self, reader, writer):
        self.connections.add(asyncio.current_task())
        try:
            await self._answer(reader, writer)
        finally:
            writer.close()

    async def _answer(self, reader, writer):
        while head := await reader.readuntil(b"\r\n\r\n"):
            sizes = [int(line.split(b":")[1]) for line in head.splitlines() if line.lower().startswith(b"content-length:")]
            await reader.readexactly(sum(sizes))
            answer = b"404 Not Found" if head.startswith(b"HEAD ") else b"200 OK\r\nETag: x"
            if head.startswith(b"HEAD ") and not self.silent:
                self.asked.release()
            else:
                await self.done.wait()
            writer.write(b"HTTP/1.1 " + answer + b"\r\nContent-Length: 0\r\n\r\n")

    async def close(self):
        for each in self.connections:
            each.cancel()
        await asyncio.gather(*self.connections, return_exceptions=True)


@pytest.fixture
async def slow(at):
    store = SlowStore()
    async with await asyncio.start_server(store.serve, "127.0.0.1", 0) as server:
        at(server.sockets[0].getsockname()[1])
        yield store
        await store.close()


def put(size):
    return asyncio.create_task(ObjectStore("s3://bucket/x", "key").put("0" * 64, BytesIO(bytes(size)), size))


async def test_a_slow_link_has_time_for_a_piece_as_long_as_the_store_answers(slow):
    async with asyncio.timeout(20 * SECONDS):
        putting = put(object_store.SMALL + 1)
        await slow.asked.acquire()
        await slow.asked.acquire()
        slow.done.set()
        await putting


async def test_a_store_that_falls_silent_in_the_middle_of_a_piece_is_noticed(slow):
    async with asyncio.timeout(20 * SECONDS):
        putting = put(object_store.SMALL + 1)
        await slow.asked.acquire()
        slow.silent = True
        with pytest.raises(ObjectStoreError, match="error sending request"):
            await putting
