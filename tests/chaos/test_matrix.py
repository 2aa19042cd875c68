"""Exact resume over the whole matrix, with real SIGKILLs."""

import pytest

from tests.chaos.test_chaos import SEED
from tests.support.interrupted_runs import differences, kill_each, starts, submit_twins
from tests.support.matrix import ALGORITHMS, MATRIX, of_cells


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_killed_three_times_every_cell_has_the_bits_of_its_undisturbed_twin(shared_home, algorithm):
    wanted = of_cells(
        f"matrix-{algorithm.lower()}", [cell for cell in MATRIX if cell[0] == algorithm], eval_frequency=500, eval_episodes=1
    )
    twin = submit_twins(shared_home, wanted)
    kill_each(shared_home, wanted, seed=SEED)
    assert shared_home.wait_ended(wanted.experiment_id)["state"] == "completed"
    assert shared_home.wait_ended(twin.experiment_id)["state"] == "completed"
    assert differences(shared_home, wanted, twin) == {}
    for run in wanted.runs:
        resumed = [start.resume for start in starts(shared_home, run.id) if start.from_step > 0]
        assert resumed, "no kill came after the first checkpoint"
        assert set(resumed) == {"exact"}
