"""Players that take turns in one process, each with the random generators of the process as it left them."""

import random
from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np
import torch

T = TypeVar("T")


def with_isolated_rng(playing: Iterator[T]) -> Iterator[T]:
    """What `playing` yields; what others draw between two of its steps changes nothing for it, nor what it draws for them.

    Few environments draw from these generators, as none should; among others they so play as they do alone.
    """
    own = _states()
    while True:
        others = _states()
        _restore(own)
        try:
            item = next(playing)
        except StopIteration:
            return
        finally:
            own = _states()
            _restore(others)
        yield item


def _states() -> tuple[Any, ...]:
    return random.getstate(), np.random.get_state(), torch.get_rng_state()


def _restore(states: tuple[Any, ...]) -> None:
    python, numpy, torch_ = states
    random.setstate(python)
    np.random.set_state(numpy)
    torch.set_rng_state(torch_)
