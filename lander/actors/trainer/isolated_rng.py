"""The random generators that all code in this process shares: seed them, put them back, keep one set for each player.

They are Python's `random`, NumPy's legacy generator, and torch's on the CPU and, once CUDA is in use, on each GPU.
"""

import contextlib
import random
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch

T = TypeVar("T")


class GeneratorStates(NamedTuple):
    """The states of all these generators at one moment; `cuda` is empty while CUDA is not in use."""

    python: tuple[Any, ...]
    numpy: Any
    torch: torch.Tensor
    cuda: Sequence[torch.Tensor]


def seed_generators(seed: int) -> None:
    """Seed all of them alike."""
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)  # `torch.manual_seed` would also queue a seed for a GPU not yet in use
    if _cuda_in_use():
        torch.cuda.manual_seed_all(seed)


@contextlib.contextmanager
def generators_restored() -> Iterator[None]:
    """Set all generators back on exit to where they stood on entry."""
    states = _capture_generators()
    try:
        yield
    finally:
        _restore_generators(states)


def with_isolated_rng(playing: Iterator[T]) -> Iterator[T]:
    """Yield what `playing` yields, and give it generator states of its own.

    Several players take turns in one process. Few environments draw from the shared generators, and none should. Those that
    do get the same numbers beside others as they get alone.
    """
    own = _capture_generators()
    while True:
        others = _capture_generators()
        _restore_generators(own)
        try:
            item = next(playing)
        except StopIteration:
            return
        finally:
            own = _capture_generators()
            _restore_generators(others)
        yield item


def _cuda_in_use() -> bool:
    """Whether this process has started CUDA. Asking a GPU's generator would start it, which takes time and GPU memory."""
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]  # torch does not type it


def shared_generators() -> bytes:
    """The states of those on the CPU: the same bytes before and after something that draws from none of them."""
    python, numpy, torch_state, _ = _capture_generators()
    name, keys, *rest = numpy
    return b"".join((repr((python, name, rest)).encode(), bytes(keys), bytes(torch_state.numpy())))


def _capture_generators() -> GeneratorStates:
    cuda = torch.cuda.get_rng_state_all() if _cuda_in_use() else ()
    return GeneratorStates(random.getstate(), np.random.get_state(), torch.get_rng_state(), cuda)


def _restore_generators(states: GeneratorStates) -> None:
    random.setstate(states.python)
    np.random.set_state(states.numpy)
    torch.set_rng_state(states.torch)
    torch.cuda.set_rng_state_all(states.cuda)
