"""What this machine makes of a fixed set of operations, each as a digest: equal digests mean equal bits.

Libraries choose their code by the processor, and round differently with another. So two machines are compared by what they
compute, and not by their names. Run as a program, since it sets the threads of the libraries before it imports them.
"""

import gc
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from lander.actors.environment.parent_death import die_with_parent
from lander.actors.host.one_thread import ONE_THREAD

_ROLLOUT: Final = 200
PACKAGES: Final = ("torch", "numpy", "gymnasium", "box2d", "stable_baselines3")
"""Packages with which the operations are computed, and training is."""
CHANGING: Final = (
    "ATEN_CPU_CAPABILITY",
    "DNNL_MAX_CPU_ISA",
    "MKL_CBWR",
    "MKL_DEBUG_CPU_TYPE",
    "MKL_ENABLE_INSTRUCTIONS",
    "NPY_DISABLE_CPU_FEATURES",
    "ONEDNN_MAX_CPU_ISA",
    "OPENBLAS_CORETYPE",
)
"""Environment variables by which libraries choose other code than they would for this processor."""


def main() -> None:
    """Answer on the given file descriptor with the digests, and with what computed them."""
    answers, parent = map(int, sys.argv[1:])
    die_with_parent(parent)
    os.environ.update(ONE_THREAD)
    gc.disable()  # the imports make little garbage, and looking for it takes a fifth of their time
    with open(answers, "w", encoding="utf-8") as channel:  # noqa: PTH123 - a file descriptor
        print(json.dumps({"digests": digests()} | computed_with()), file=channel, flush=True)


def digests() -> dict[str, str]:
    """The digest of each operation, by its name; on one thread, as trainers have it."""
    import torch

    torch.set_num_threads(1)
    return {name: _digest(operation()) for name, operation in OPERATIONS.items()}


def computed_with() -> dict[str, Any]:
    """The versions, the kind of processor that torch sees, and the CUDA version that torch was built for, if any."""
    import platform
    from importlib.metadata import version

    import torch

    return {
        "versions": {package: version(package).partition("+")[0] for package in PACKAGES},
        "machine": platform.machine(),
        "processor": f"{torch.backends.cpu.get_cpu_capability()}, {' '.join(platform.libc_ver())}",
        "cuda": torch.version.cuda,
    }


def _digest(arrays: Iterable[Any]) -> str:
    """The first 16 hex digits of the SHA-256 of the arrays' bytes: enough to tell machines apart."""
    import numpy as np

    found = hashlib.sha256()
    for array in arrays:
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()[:16]


def _numbers(*shape: int) -> Any:
    """The same numbers everywhere: integers by the Mersenne Twister, divided by a power of two."""
    import numpy as np

    drawn = np.random.RandomState(0).randint(-(2**20), 2**20, shape)
    return (drawn / 2.0**18).astype(np.float32)


def _tensor(*shape: int) -> Any:
    import torch

    return torch.from_numpy(_numbers(*shape))


def _matmul() -> Iterable[Any]:
    """A layer of the usual policy for one observation and for a minibatch, and a larger product."""
    yield _tensor(1, 8) @ _tensor(8, 64)
    yield _tensor(64, 64) @ _tensor(64, 64)
    yield _tensor(256, 512) @ _tensor(512, 64)


def _convolution() -> Iterable[Any]:
    """The first layer of Stable-Baselines3's network for pictures."""
    from torch.nn.functional import conv2d

    yield conv2d(_tensor(2, 4, 84, 84), _tensor(32, 4, 8, 8), stride=4)


def _softmax() -> Iterable[Any]:
    """What makes probabilities of a network's output, and the usual activation."""
    import torch

    yield torch.softmax(_tensor(64, 6), dim=-1)
    yield torch.log_softmax(_tensor(64, 6), dim=-1)
    yield torch.tanh(_tensor(64, 64))


def _orthogonal() -> Iterable[Any]:
    """How Stable-Baselines3 begins: the weights of a policy's layer."""
    import torch

    yield torch.nn.init.orthogonal_(torch.empty(64, 8), 2**0.5, torch.Generator().manual_seed(0))


def _gradients() -> Iterable[Any]:
    """Three steps of Adam on a small network.

    By the function that `torch.optim.Adam` calls: the class itself imports torch's compiler, for as long as all else takes.
    """
    import torch
    from torch.optim.adam import adam

    weights = [_tensor(64, 8).mul_(0.1).requires_grad_(), _tensor(4, 64).mul_(0.1).requires_grad_()]
    means, squares = ([torch.zeros_like(each) for each in weights] for _ in range(2))
    state: Any = ([], [torch.tensor(0.0) for _ in weights])  # no maxima of the squares; the steps done so far
    rates: Any = {"lr": 3e-4, "beta1": 0.9, "beta2": 0.999, "eps": 1e-5, "weight_decay": 0.0}
    for _ in range(3):
        loss = (torch.tanh(_tensor(64, 8) @ weights[0].T) @ weights[1].T).square().mean()
        gradients = list(torch.autograd.grad(loss, weights))
        with torch.no_grad():
            adam(weights, gradients, means, squares, *state, amsgrad=False, maximize=False, **rates)
    return [each.detach() for each in weights]


def _numpy() -> Iterable[Any]:
    """Elementwise functions and sums, as environments and normalization use them."""
    import numpy as np

    numbers = _numbers(4096)
    for values in (numbers, numbers.astype(np.float64)):
        yield from (np.exp(values), np.tanh(values), np.sin(values), np.log(np.abs(values) + 1), np.var(values))


def _generators() -> Iterable[Any]:
    """The streams of the Mersenne Twisters and of Gymnasium's generator, and a permutation."""
    import random

    import numpy as np
    import torch

    python, old, new = random.Random(0), np.random.RandomState(0), np.random.default_rng(0)
    yield np.array([python.random() for _ in range(1000)])
    yield from (old.random_sample(1000), old.permutation(2048), new.random(1000))
    yield torch.rand(1000, generator=torch.Generator().manual_seed(0))


def _normal_draws() -> Iterable[Any]:
    """Draws from normal distributions, which need logarithms and roots besides."""
    import random

    import numpy as np
    import torch

    python = random.Random(0)
    yield np.array([python.gauss(0, 1) for _ in range(1000)])
    yield from (np.random.RandomState(0).standard_normal(1000), np.random.default_rng(0).standard_normal(1000))
    yield torch.randn(1000, generator=torch.Generator().manual_seed(0))


def _box2d() -> Iterable[Any]:
    """A flight of LunarLander-v3, with actions by a fixed rule."""
    import gymnasium

    environment = gymnasium.make("LunarLander-v3")
    observation, _ = environment.reset(seed=0)
    yield observation
    for step in range(_ROLLOUT):
        observation, reward, terminated, truncated, _ = environment.step(step * 7 // 3 % 4)
        yield from (observation, float(reward))
        if terminated or truncated:
            observation, _ = environment.reset()
            yield observation
    environment.close()


OPERATIONS: Final[Mapping[str, Callable[[], Iterable[Any]]]] = {
    "matmul": _matmul,
    "convolution": _convolution,
    "softmax": _softmax,
    "orthogonal": _orthogonal,
    "gradients": _gradients,
    "numpy": _numpy,
    "generators": _generators,
    "normal draws": _normal_draws,
    "Box2D": _box2d,
}
"""The operations by name. One that changes gets another name, since its old digests say nothing about it."""


if __name__ == "__main__":
    main()
