"""What a checkpoint consists of."""

from lander.protocol.events import CheckpointCommitted
from lander.protocol.experiment import Branch


def test_its_files_are_its_state_its_pages_and_the_history_of_its_environments():
    names = [letter * 64 for letter in "abcde"]
    checkpoint = CheckpointCommitted(
        step=1,
        episodes=0,
        digest="0" * 64,
        weights="0" * 64,
        sha256=names[0],
        pages=tuple(names[1:3]),
        history=tuple(names[3:]),
    )
    assert checkpoint.files == tuple(names)


def test_a_fork_names_all_of_them():
    assert {"sha256", "pages", "history"} <= Branch.model_fields.keys() & CheckpointCommitted.model_fields.keys()
