"""Freed memory is used again: counted in page faults, which unlike seconds are the same on a busy machine."""

import subprocess
import sys

from lander.actors.trainer import freed_memory

PROGRAM = """
import ctypes, resource, sys
from lander.actors.trainer.freed_memory import keep_freed_memory
import torch
torch.set_num_threads(1)
if sys.argv[1] == "kept":
    keep_freed_memory()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for number in range(100):
    torch.ones(1_280_000 + 2_048 * number)  # each larger than the one before, which the C library takes from the kernel
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    """Page faults of a hundred blocks of 5 MB, each freed before the next."""
    return int(subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True).stdout)


def test_memory_that_is_freed_is_used_again_without_the_kernel():
    pages_of_a_block = 1_280_000 * 4 // 4096
    assert faults("kept") < 30 * pages_of_a_block, "the heap grows a little, as each block is larger"
    assert faults("given back") > 90 * pages_of_a_block, "the control: so much is to be saved"


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(freed_memory.ctypes, "CDLL", lambda name: object())
    freed_memory.keep_freed_memory()
