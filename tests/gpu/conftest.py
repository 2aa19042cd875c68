"""A supervisor on a machine with a GPU; without one, every test here is skipped, and the reason says what is missing."""

import pytest

from lander.actors.host.gpus import Gpus, torch_without_cuda
from tests.support.live_home import started


def _missing() -> str:
    if not (found := Gpus()).names:
        return "this machine has no NVIDIA GPU with a working driver"
    if installed := torch_without_cuda():
        return f"{found.names[0]} is here, but torch {installed} was built without CUDA"
    return ""


@pytest.fixture(scope="session")
def gpus():
    """The GPUs of this machine."""
    if reason := _missing():
        pytest.skip(reason)
    return Gpus()


@pytest.fixture(scope="session")
def gpu_home(gpus, tmp_path_factory):
    """A home whose supervisor trains on the GPUs of this machine."""
    with started(tmp_path_factory.mktemp("gpu") / "home") as home:
        yield home
