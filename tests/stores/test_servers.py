"""Files through real servers of S3: uploads that are cut, workers that are killed, keys that are wrong, servers that stop."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lander.app import client, host_table, service
from lander.app.proved_store import prove_store
from lander.home.layout import artifact_path
from lander.protocol.errors import UsageError
from lander.transfer import object_store
from lander.transfer.client import Transfer
from lander.transfer.object_store import ObjectStore
from tests.support import stores
from tests.support.live_home import LiveHome, experiment
from tests.support.peers import new_keys
from tests.support.transfers import Cable, file_of, holds, serving

pytestmark = pytest.mark.stores
SIZE = 48 << 20
RATE = 16 << 20
WORKER = """
import asyncio, json, sys
from pathlib import Path
from lander.home.keys import KeyPair
from lander.transfer.client import Transfer
home, endpoint, key, pair, store, sha256, path = json.loads(sys.argv[1])
asyncio.run(Transfer(Path(home), endpoint, key, KeyPair(*pair), store).send({sha256: Path(path)}))
"""


@pytest.fixture(params=["moto", "rclone"])
def store(request, tmp_path, monkeypatch):
    with getattr(stores, request.param)(tmp_path / "store") as served:
        served.set(monkeypatch)
        yield served


@pytest.fixture
def keys():
    return {"w1": new_keys()}


async def reach(condition, seconds=60):
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - nothing tells what another process has done
            await asyncio.sleep(0.02)


async def test_an_upload_that_is_cut_sends_the_pieces_under_way_again_and_shows_nothing_before(
    store, tmp_path, keys, monkeypatch
):
    sha256, path = file_of(tmp_path / "there", SIZE)
    async with serving(tmp_path / "home", keys, store=store.url) as server, Cable(lambda: store.port, RATE) as cable:
        store.at(cable.endpoint).set(monkeypatch)
        objects = ObjectStore(store.url, server.keys.public)
        transfer = Transfer(tmp_path / "w1", server.endpoint, server.keys.public, keys["w1"], store.url)
        sending = asyncio.create_task(transfer.send({sha256: path}))
        for share in (1 / 3, 2 / 3):
            await reach(lambda share=share: cable.up > share * SIZE)
            assert await objects.size(sha256) is None
            assert not artifact_path(server.home, sha256).exists()
            cable.cut()
        await sending
        assert holds(server.home, [sha256])
        await transfer.close()
    again = 2 * object_store.AT_A_TIME * object_store.PIECE
    assert SIZE <= cable.up <= 1.05 * SIZE + again, f"{cable.up / SIZE:.2f} times the bytes"


async def test_a_worker_that_is_killed_in_the_middle_leaves_nothing_to_see_and_the_next_sends_it_all(
    store, tmp_path, keys, monkeypatch
):
    sha256, path = file_of(tmp_path / "there", SIZE)
    async with serving(tmp_path / "home", keys, store=store.url) as server, Cable(lambda: store.port, RATE) as cable:
        objects = ObjectStore(store.url, server.keys.public)
        await objects.names()  # opened without the cable
        store.at(cable.endpoint).set(monkeypatch)
        pair = [keys["w1"].public, keys["w1"].secret]
        told = json.dumps([str(tmp_path / "w1"), server.endpoint, server.keys.public, pair, store.url, sha256, str(path)])
        (tmp_path / "w1").mkdir()
        worker = await asyncio.create_subprocess_exec(sys.executable, "-c", WORKER, told)
        await reach(lambda: cable.up > SIZE // 2)
        worker.kill()
        await worker.wait()
        assert await objects.names() == set()
        assert not artifact_path(server.home, sha256).exists()
        worker = await asyncio.create_subprocess_exec(sys.executable, "-c", WORKER, told)
        assert await asyncio.wait_for(worker.wait(), 60) == 0
        assert holds(server.home, [sha256])
    assert cable.up <= 2.05 * SIZE


def test_a_wrong_key_is_refused_in_the_stores_words_and_not_repeated(tmp_path, monkeypatch):
    (tmp_path / "home").mkdir(mode=0o700)
    with stores.rclone(tmp_path / "store") as store:
        store.set(monkeypatch)
        prove_store(tmp_path / "home", store.url)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another1another1")
        with pytest.raises(UsageError, match="403 Forbidden") as refused:
            prove_store(tmp_path / "home", store.url)
    assert "another1" not in str(refused.value)
    assert stores.ACCESS not in str(refused.value)


@pytest.mark.timeout(300)
def test_a_run_on_a_worker_whose_files_go_through_a_store_has_the_same_bits_though_the_store_stops_for_a_while(
    tmp_path, monkeypatch
):
    settings = {"n_steps": 64, "batch_size": 64}
    how = {"training_steps": 512, "checkpoint_frequency": 64}
    with stores.rclone(tmp_path / "store") as store:
        store.set(monkeypatch)
        head = LiveHome(tmp_path / "home")
        service.stay(head.home, service.Listening("127.0.0.1:0", store=store.url))
    worker = None
    try:
        at_home = head.carry_out(experiment("here", settings, **how))
        worker = start_worker(head, tmp_path / "w")
        head.wait(lambda: hosts(head).get("far", {}).get("state") == "online", "the worker to join")
        ctl(head, "hosts", "drain", "local")
        head.submit(experiment("there", settings, **how))
        head.wait(lambda: bool(hosts(head)["far"]["files_wait"]), "the host to say that files wait")
        for command in ("hosts", "status"):
            said = " ".join(ctl(head, command).split())
            assert re.search(rf"far: (a file waits|\d+ files wait): {store.url}: Generic S3 error", said)
        with stores.rclone(tmp_path / "store", store.port):
            there = head.wait_ended("there")
            assert [run["checkpoint"]["digest"] for run in there["runs"]] == [
                run["checkpoint"]["digest"] for run in at_home["runs"]
            ]
            assert there["state"] == "completed"
            assert {run["host"] for run in there["runs"]} == {"far"}
        assert_nowhere(stores.SECRET, head.home, tmp_path / "w")
    finally:
        if worker is not None:
            worker.send_signal(signal.SIGTERM)
            worker.wait(60)
        head.close()


def ctl(head, *words):
    command = [sys.executable, "-m", "lander", *words, "--home", str(head.home)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout


def hosts(head):
    return {host["name"]: host for host in json.loads(host_table.as_json(head.home))["hosts"]}


def start_worker(head, home):
    token = home.with_suffix(".token")
    token.touch(0o600)
    command = [sys.executable, "-m", "lander", "token", "--name", "far", "--home", str(head.home)]
    token.write_text(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    listen = client.running(head.home).listen
    words = ["worker", listen, "--home", str(home), "--slots", "cpu=1", "--token-file", str(token)]
    return subprocess.Popen([sys.executable, "-m", "lander", *words])


def assert_nowhere(secret, *homes):
    """In no file of these homes, and in no argument of any process."""
    files = [each for home in homes for each in home.rglob("*") if each.is_file()]
    assert len(files) > 20
    assert not [each for each in files if secret.encode() in each.read_bytes()]
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        words = b""
        if os.access(each, os.R_OK):
            try:
                words = each.read_bytes()
            except OSError:
                continue
        assert b"rclone" in words or secret.encode() not in words
