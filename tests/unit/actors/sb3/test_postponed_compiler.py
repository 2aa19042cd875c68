"""PyTorch's compiler is left where it is until something compiles; then it is there, and optimizers are left uncompiled."""

import json
import subprocess
import sys

import pytest

PROGRAM = """
import json, os, sys
import torch
from lander.actors.sb3.postponed_compiler import postpone_compiler

def trained(optimizer, weights, times=3):
    for _ in range(times):
        optimizer.zero_grad()
        (weights * torch.arange(1.0, 5.0)).square().sum().backward()
        optimizer.step()
    return weights.detach().numpy().tobytes().hex()

def imported():
    return "torch._dynamo.eval_frame" in sys.modules

def begun():
    weights = torch.nn.Parameter(torch.linspace(-1, 1, 4))
    return torch.optim.Adam([weights], lr=0.1), weights

postponed = os.fork() != 0
if postponed:
    os.wait()
    postpone_compiler()
found = {"process": "postponed" if postponed else "plain"}
ours = begun()
found["weights"], found["before"] = trained(*ours), imported()
if postponed:
    hasattr(sys.modules["torch._dynamo"], "__file__")
    found["looked at"] = imported()
    compiled = torch.compile(lambda x: torch.sin(x) + 1, backend="eager")
    found["compiled"] = torch.equal(compiled(torch.ones(2)), torch.sin(torch.ones(2)) + 1)
    found["after"] = imported()
    found["the module"] = torch._dynamo is sys.modules["torch._dynamo"] and hasattr(torch._dynamo, "__file__")
found["trained on"] = trained(*ours)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found():
    """What two processes found: one as it is, and one in which the compiler is postponed."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=90, check=True)
    return {each["process"]: each for each in map(json.loads, done.stdout.splitlines())}


def test_optimizers_do_not_import_it_and_what_compiles_does(found):
    postponed = found["postponed"]
    assert (postponed["before"], postponed["looked at"], postponed["after"]) == (False, False, True)
    assert (postponed["compiled"], postponed["the module"]) == (True, True)


def test_without_that_the_first_optimizer_imports_it(found):
    """The negative control: once PyTorch does not do so any more, there is nothing to postpone."""
    assert found["plain"]["before"]


def test_the_weights_have_the_same_bits_before_and_after_it_is_there(found):
    plain, postponed = found["plain"], found["postponed"]
    assert (postponed["weights"], postponed["trained on"]) == (plain["weights"], plain["trained on"])


def test_a_module_of_it_that_is_imported_first_is_the_one_that_it_uses():
    program = """
from lander.actors.sb3.postponed_compiler import postpone_compiler
postpone_compiler()
import torch._dynamo.config as config
config.recompile_limit = 3
import sys, torch
print(config is sys.modules["torch._dynamo.config"] is torch._dynamo.config, torch._dynamo.config.recompile_limit)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=90, check=True)
    assert done.stdout == "True 3\n"
