"""Changing what is recorded, as nobody may: for those who must notice it."""

import contextlib
import sqlite3

from lander.store.log.reader import DATABASE


def tampered(home, *statements):
    """Change the file behind the store's back, its triggers out of the way."""
    with contextlib.closing(sqlite3.connect(home / DATABASE, isolation_level=None)) as connection:
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)
        for _, sql in triggers:
            connection.execute(sql)
