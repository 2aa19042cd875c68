"""What becomes of a batch while the files that it names are looked at."""

from lander.protocol.commands import Append
from lander.supervisor.intake import Intake


class Store:
    """Takes nothing: what is appended is an error."""


async def test_an_attempt_that_ends_while_its_files_are_settled_is_not_recorded():
    current = [True]

    async def settle(batch):
        current.clear()

    intake = Intake(None, Store(), lambda: None, settle)
    assert await intake.store("key", Append(run="e/fast/0", epoch=1, first_seq=1, events=()), lambda: bool(current))
