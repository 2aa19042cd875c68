"""The worker's side, to whom the home says what it likes."""

import asyncio

import pytest

from lander.protocol.transfer import RefuseFile
from lander.transfer.client import RefusedFileError, Transfer
from tests.support.peers import new_keys, until
from tests.support.transfers import file_of


@pytest.mark.parametrize("detail", ["", "is something else"])
async def test_a_file_that_is_refused_is_not_sent_whatever_is_said_of_it(tmp_path, detail):
    sha256, path = file_of(tmp_path, 100)
    transfer = Transfer(tmp_path / "w1", "tcp://127.0.0.1:9", new_keys().public, new_keys())
    sending = asyncio.create_task(transfer.send({sha256: path}))
    try:
        await until(lambda: sha256 in transfer._outgoing)
        await asyncio.sleep(0)
        transfer._handle(RefuseFile(sha256=sha256, detail=detail))
        with pytest.raises(RefusedFileError, match=detail or "the home refuses it"):
            await sending
    finally:
        await transfer.close()
