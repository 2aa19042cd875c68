"""The connection of an agent to its supervisor, as far as it needs no supervisor."""

import asyncio

import pytest

from lander.actors.host import supervisor_link
from lander.actors.host.agent_settings import AgentSettings
from lander.actors.host.supervisor_link import SupervisorLink
from tests.support.peers import new_keys


@pytest.mark.parametrize("guest", [True, False])
async def test_a_worker_that_no_supervisor_answers_says_so_once(tmp_path, monkeypatch, guest):
    monkeypatch.setattr(supervisor_link, "NOBODY_SECONDS", 0.0)
    keys, said = new_keys(), []
    settings = AgentSettings(
        name="far",
        home=str(tmp_path),
        endpoint="tcp://127.0.0.1:1",
        server_key=new_keys().public,
        public_key=keys.public,
        secret_key=keys.secret,
        guest=guest,
    )
    link = SupervisorLink(settings, said.append, asyncio.Event().wait, lambda: None)
    link.open()
    try:
        for _ in range(3):
            await link.watch(1)
    finally:
        link._monitor.close(linger=0)
        link.close()
    assert said == ["no supervisor answers at tcp://127.0.0.1:1; this host joins when one does"] * guest
