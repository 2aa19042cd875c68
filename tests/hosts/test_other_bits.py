"""A machine that computes other bits: nothing goes on elsewhere unasked, and what did is named wherever it is read."""

import pytest

from tests.hosts.attempts import attempts
from tests.hosts.cluster import lander, machines_with_a_head
from tests.support.networks import MISSING
from tests.support.waiting import wait

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(600), pytest.mark.skipif(bool(MISSING), reason=MISSING)]
FILE = {
    "experiment_id": "x",
    "environment": "CartPole-v1",
    "algorithm": "PPO",
    "training_steps": 16_384,
    "checkpoint_frequency": 2048,
    "seeds": [0],
    "eval_episodes": 0,
    "baseline": {"hyperparameters": {"n_steps": 256, "batch_size": 64}},
    "variants": {"variant": {"hyperparameters": {"learning_rate": 1e-3}}},
}
RUN, PAIR = "x/baseline/0", "x/variant/0"


def test_a_run_leaves_its_class_of_bits_only_if_it_may_and_then_all_say_what_is_not_exact(tmp_path):
    """The worker has one slot, so the variant of the same seed has not begun, and waits for it, too."""
    with machines_with_a_head(3, tmp_path) as cluster:
        odd, other = cluster.workers
        cluster.listen()
        cluster.enrol("w1", odd, environment={"ATEN_CPU_CAPABILITY": "default"})
        cluster.leave_all_to_workers()
        cluster.submit(FILE)
        wait(lambda: attempts(cluster.home)[RUN][-1].checkpoints, "a checkpoint")
        cluster.enrol("w2", other)
        cluster.processes["w1"].terminate()
        assert cluster.processes["w1"].wait(90) == 0
        hosts = cluster.hosts()
        assert hosts["w1"]["bits"] != hosts["w2"]["bits"] == hosts["local"]["bits"] != ""
        said = cluster.ctl("status", "x")
        assert "baseline/0 waits for a host that computes the same bits as w1, where it has trained" in said
        assert [run["state"] for run in cluster.runs().values()] == ["queued", "queued"]

        cluster.submit(FILE | {"other_hardware": "allow"})
        cluster.wait_completed()
        before, after = attempts(cluster.home)[RUN]
        assert (before.host, after.host, after.resume) == ("w1", "w2", "other_bits")
        assert [(each.host, each.resume) for each in attempts(cluster.home)[PAIR]] == [("w2", "fresh")]
        at = after.from_step
        assert "completed (other bits)" in cluster.ctl("status", "x")
        report = cluster.ctl("report", "x")
        assert "computes other bits, and are not what an undisturbed run is: baseline/0 (completed)" in report
        assert "the runs of seed 0 trained on machines that compute different bits" in report
    code, said = lander(cluster.home, "verify", RUN)
    first, second = said.split(f"{RUN}: steps {at + 1:,} to 16,384 ")
    assert code == 1
    assert first.startswith(f"{RUN}: steps 1 to {at:,} do NOT come out the same once more")
    assert "note: these steps were trained on w1, which computes other bits than this machine" in first
    assert second.startswith("come out the same once more")
    assert f"note: the run went on at step {at:,} on w2, which computes other bits than the host before" in second
    code, said = lander(cluster.home, "verify", PAIR)
    assert code == 0
    assert "note" not in said
