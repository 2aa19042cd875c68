"""Computing the bits of a machine in a process of its own: what that imports, and where it fails."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from lander.actors.host import bits, bits_process
from lander.actors.host.bounded_process import Ending
from lander.protocol.errors import LanderError, TooSlowError


@pytest.mark.parametrize(
    ("ending", "why"),
    [
        (
            Ending(exceeded="time"),
            "were not computed: it took more than 60 seconds, perhaps because other programs keep this machine busy",
        ),
        (Ending(exceeded="memory"), "fail here: it took more memory than it may"),
        (Ending(), "fail here: it said nothing"),
    ],
)
def test_a_failure_says_why(ending, why, monkeypatch):
    monkeypatch.setattr(bits_process, "run_bounded", lambda *args: ending)
    with pytest.raises(LanderError) as raised:
        bits_process.compute_bits()
    assert str(raised.value).endswith(why)
    assert isinstance(raised.value, TooSlowError) == (ending.exceeded == "time")


def test_no_operation_imports_the_compiler_of_torch():
    """It takes as long to import as torch, and each new worker waits for these operations."""
    program = "import sys; from lander.actors.host import bits; bits.digests(); print('torch._dynamo' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_the_gradients_are_those_of_the_optimizer_that_training_uses():
    weights = [bits._tensor(64, 8).mul_(0.1).requires_grad_(), bits._tensor(4, 64).mul_(0.1).requires_grad_()]
    optimizer = torch.optim.Adam(weights, lr=3e-4, eps=1e-5)
    for _ in range(3):
        optimizer.zero_grad()
        (torch.tanh(bits._tensor(64, 8) @ weights[0].T) @ weights[1].T).square().mean().backward()
        optimizer.step()
    for ours, usual in zip(bits._gradients(), weights, strict=True):
        np.testing.assert_array_equal(ours.numpy(), usual.detach().numpy())
