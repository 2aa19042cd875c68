"""In a supervisor: its store acknowledges first, and then takes for ever to commit what a trainer said."""

import asyncio

from lander.store.writers.sqlite_store import SqliteEventStore

_run = SqliteEventStore._run


async def run(self, commit):
    self._announce(commit)
    if any(event.producer for event in commit.recorded):
        await asyncio.Event().wait()
    await _run(self, commit)
    commit.recorded, commit.appends = [], []  # announced already


SqliteEventStore._run = run
