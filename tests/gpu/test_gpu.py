"""On a GPU a run sees its own and no other, has the bits of the plain program, goes on exactly, and stays within its share."""

import json
import os
import signal
import subprocess
import sys

import pytest
import stable_baselines3

from lander.actors.sb3.defaults import with_defaults
from tests.support.live_home import experiment
from tests.support.recorded import recorded

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(240)]

SEEING = "tests.support.gpu_environments:Seeing-v0"
SMALL = {"n_steps": 64, "batch_size": 64, "n_epochs": 1}
OFF_POLICY = {"learning_starts": 100, "buffer_size": 1000, "batch_size": 64}
CASES = {
    "PPO": ("LunarLander-v3", 2, 2048, {"n_steps": 256, "n_epochs": 4}),
    "A2C": ("CartPole-v1", 2, 1000, {}),
    "DQN": ("LunarLander-v3", 1, 1000, OFF_POLICY | {"target_update_interval": 100}),
    "SAC": ("Pendulum-v1", 1, 400, OFF_POLICY),
    "TD3": ("Pendulum-v1", 1, 400, OFF_POLICY),
    "DDPG": ("Pendulum-v1", 1, 400, OFF_POLICY),
}


def completed(ended):
    assert [run["state"] for run in ended["runs"]] == ["completed"] * len(ended["runs"]), ended


def digests(home, wanted):
    """The digest of each run's whole state at its end."""
    return {run.id.partition("/")[2]: home.run(run.id)["checkpoint"]["digest"] for run in wanted.runs}


def test_a_run_sees_its_gpu_by_uuid_and_no_other(gpu_home, gpus, tmp_path):
    kwargs = {"file": str(tmp_path / "seen.json")}
    wanted = experiment("pinned", SMALL, environment=SEEING, environment_kwargs=kwargs, device="cuda")
    completed(gpu_home.carry_out(wanted))
    attempt = gpu_home.events("pinned/baseline/0", "AttemptStarted")[0]
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert attempt.gpu_id in {each.id for each in gpus.devices()}
    assert seen == {"visible": seen["visible"], "devices": 1, "deterministic": True, "workspace": ":4096:8"}
    assert seen["visible"] in {each.id for each in gpus.devices()}
    training = gpu_home.events("pinned/baseline/0", "TrainingStarted")[0]
    assert (training.device, training.deterministic) == ("cuda", True)


def test_a_run_on_the_cpu_sees_no_gpu(gpu_home, tmp_path):
    kwargs = {"file": str(tmp_path / "seen.json")}
    completed(gpu_home.carry_out(experiment("unpinned", SMALL, environment=SEEING, environment_kwargs=kwargs)))
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert (seen["visible"], seen["devices"], seen["deterministic"]) == ("", 0, False)


def plain(path, algorithm, seed):
    environment, n_envs, training_steps, hyperparameters = CASES[algorithm]
    task = {"algorithm": algorithm, "environment": environment, "n_envs": n_envs, "seed": seed}
    task |= {"training_steps": training_steps, "hyperparameters": hyperparameters}
    subprocess.run([sys.executable, "-m", "tests.gpu.plain_program", str(path)], input=json.dumps(task).encode(), check=True)
    return parameters(path, algorithm)


def parameters(path, algorithm):
    """The parameters of a saved policy, as bytes."""
    state = getattr(stable_baselines3, algorithm).load(path, device="cpu").policy.state_dict()
    return {name: tensor.numpy().tobytes() for name, tensor in state.items()}


@pytest.mark.parametrize("algorithm", CASES)
def test_a_run_on_a_gpu_has_the_bits_of_the_plain_program_there(gpu_home, tmp_path, algorithm):
    environment, n_envs, training_steps, hyperparameters = CASES[algorithm]
    form = {
        "experiment_id": f"identity-{algorithm}",
        "algorithm": algorithm,
        "environment": environment,
        "training_steps": training_steps,
        "seeds": [3],
        "device": "cuda",
        "hosts": {"gpu": 0.5},
        "eval_frequency": training_steps // 2,
        "eval_episodes": 1,
        "baseline": {"hyperparameters": hyperparameters | {"n_envs": n_envs}},
        "variants": {"variant": {"hyperparameters": {"gamma": 0.9}}},
    }
    completed(gpu_home.carry_out(with_defaults(recorded(form))))
    ours = parameters(gpu_home.model(f"identity-{algorithm}/baseline/3"), algorithm)
    assert ours == plain(tmp_path / "plain.zip", algorithm, seed=3)
    assert ours != parameters(gpu_home.model(f"identity-{algorithm}/variant/3"), algorithm), "the comparison can fail"


def test_killed_on_a_gpu_a_run_goes_on_exactly(gpu_home):
    form = {"environment": "LunarLander-v3", "device": "cuda", "training_steps": 8192, "checkpoint_frequency": 512}
    hyperparameters = {"n_steps": 256, "batch_size": 64, "n_epochs": 4}
    whole, cut = (experiment(name, hyperparameters, **form) for name in ("whole", "cut"))
    completed(gpu_home.carry_out(whole))
    gpu_home.submit(cut)
    for run in cut.runs:
        gpu_home.wait(lambda run=run: gpu_home.run(run.id)["checkpoint"] is not None, f"a checkpoint of {run.id}")
        os.kill(gpu_home.run(run.id)["pid"], signal.SIGKILL)
    completed(gpu_home.wait_ended("cut"))
    for run in cut.runs:
        resumed = [start for start in gpu_home.events(run.id, "TrainingStarted") if start.from_step > 0]
        assert [start.resume for start in resumed] == ["exact"], "the kill came after a checkpoint, and before the end"
    assert digests(gpu_home, cut) == digests(gpu_home, whole)


def test_a_run_that_takes_more_than_its_share_is_out_of_memory_and_says_what_helps(gpu_home):
    form = {"environment": SEEING, "environment_kwargs": {"taken": 0.1}, "device": "cuda", "max_retries": 1}
    ended = gpu_home.carry_out(experiment("too-much", SMALL, hosts={"gpu": 0.05}, **form))
    assert {(run["state"], run["cause"]) for run in ended["runs"]} == {("failed", "cuda_out_of_memory")}
    assert "hosts: {gpu: ...}" in gpu_home.events("too-much/baseline/0", "RunFailed")[0].why
    completed(gpu_home.carry_out(experiment("enough", SMALL, hosts={"gpu": 0.5}, **form)))


def test_two_runs_on_one_gpu_train_at_once_with_the_bits_that_each_has_alone(gpu_home):
    form = {"environment": "LunarLander-v3", "device": "cuda", "training_steps": 8192}
    hyperparameters = {"n_steps": 256, "batch_size": 64, "n_epochs": 4}
    alone = experiment("alone", hyperparameters, **form)
    completed(gpu_home.carry_out(alone, mode="sequential"))
    shared = experiment("shared", hyperparameters, hosts={"gpu": 0.4}, **form)
    gpu_home.submit(shared)
    gpu_home.wait(lambda: [run["state"] for run in gpu_home.status("shared")["runs"]] == ["running"] * 2, "both to train")
    completed(gpu_home.wait_ended("shared"))
    attempts = [gpu_home.events(run.id, "AttemptStarted")[0] for run in shared.runs]
    assert [each.gpu_share for each in attempts] == [40, 40]
    assert len({each.gpu_id for each in attempts}) == 1
    assert digests(gpu_home, shared) == digests(gpu_home, alone)


def test_what_a_run_has_of_a_gpu_is_measured(gpu_home):
    wanted = experiment("measured", {}, environment="LunarLander-v3", device="cuda", training_steps=20_480)
    completed(gpu_home.carry_out(wanted))
    samples = [stored.decode() for stored in gpu_home.stored("host:local", "ResourcesSampled")]
    usages = [each for sample in samples for each in sample.trainers if each.run == "measured/baseline/0"]
    assert any(each.gpu_percent is not None for each in usages)
    found = [each.gpu_memory_mb for each in usages if each.gpu_memory_mb is not None]
    if not found:
        pytest.skip("the driver names the processes by the ids of the machine, and this is a container with its own")
    assert max(found) > 10
