"""What a worker offers by `--slots`, and that no two workers offer the same GPU."""

import os

import pytest

from lander.actors.host import cores
from lander.app.worker import gpus, wanted_slots
from lander.home.shared_cores import SHARE
from lander.protocol.errors import ConflictError, UsageError

IDS = [f"GPU-{os.getpid()}-{number}" for number in range(3)]
"""GPUs that no machine has, so that nobody else locks them."""


@pytest.mark.parametrize(
    ("text", "found"),
    [(None, {}), ("cpu=4", {"cpu": 4}), ("cpu=4,gpu=1", {"cpu": 4, "gpu": 1}), ("gpu=0", {"gpu": 0})],
)
def test_the_numbers_of_cores_and_gpus_are_read(text, found):
    assert wanted_slots(text) == found


@pytest.mark.parametrize("text", ["4", "cpu=0", "cpu=4,", "cpu=4,cpu=5", "gpu=-1", "cpu=4 gpu=1", "cpu=\u0664", "gpu=1e3"])
def test_what_is_no_such_number_is_refused_with_an_example(text):
    with pytest.raises(UsageError, match="cpu=4,gpu=1"):
        wanted_slots(text)


def test_no_two_workers_offer_the_same_gpu(monkeypatch):
    monkeypatch.delenv(SHARE)
    locked = []
    take = cores.take
    monkeypatch.setattr(cores, "take", lambda *asked: locked.append(take(*asked)) or locked[-1])
    try:
        assert gpus(None, 2, IDS) == (*IDS[:2],), "as many as cores"
        assert gpus(None, 4, IDS) == (IDS[2],)
        with pytest.raises(ConflictError, match="0 of 1 GPUs are free"):
            gpus(1, 4, IDS)
    finally:
        for held in locked[:2]:
            cores.release(held)
    with pytest.raises(UsageError, match="may use 3 GPUs"):
        gpus(4, 4, IDS)
    monkeypatch.setenv(SHARE, "1")
    assert gpus(None, 8, IDS) == gpus(3, 1, IDS) == tuple(IDS)
