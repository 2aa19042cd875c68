"""Entries of RL Baselines3 Zoo end with the zoo's own bits, which were recorded from `rl_zoo3.train`.

`make field` compares with the zoo itself, and with its own entries.
"""

import pytest

from lander.actors.host.host_bits import host_bits
from lander.actors.sb3.defaults import with_defaults
from tests.field.zoo_program import policy_of
from tests.golden.zoo_policies import CASES, SEED, digest, recorded
from tests.support.recorded import recorded as experiment_of


def test_entries_in_one_experiment_end_with_the_policies_that_the_zoo_ended_with(shared_home, measured):
    computed, theirs = recorded()
    here = host_bits(measured, print)
    if (here.digests, here.versions) != (computed.digests, computed.versions):
        pytest.skip("the zoo's policies were recorded on a machine that computes other bits")
    arms = [
        {
            "name": case.name,
            "role": "variant" if number else "baseline",
            "zoo": {"algorithm": case.algorithm, "environment": case.environment, "file": str(case.file)},
        }
        for number, case in enumerate(CASES)
    ]
    form = {"experiment_id": "zoo", "seeds": [SEED], "eval_episodes": 1, "arms": arms}
    shared_home.carry_out(with_defaults(experiment_of(form)))
    ours = {case.name: digest(policy_of(shared_home.model(f"zoo/{case.name}/{SEED}"))) for case in CASES}
    assert ours == theirs
    assert len(set(theirs.values())) == len(CASES) >= 10  # no two of them could be taken for each other
