"""Exact resume by SIGKILL for each kind of environment that people train in, with the wrappers that they train it with."""

import re
from typing import Any

import pytest

from lander.actors.sb3.defaults import with_defaults
from lander.protocol.events import WarningRaised
from tests.support.interrupted_runs import differences, kill_each, starts, submit_twins
from tests.support.recorded import recorded

pytestmark = [pytest.mark.field, pytest.mark.timeout(900)]

SMALL = {"n_steps": 64, "batch_size": 64, "n_epochs": 1}
OFF_POLICY = {
    "learning_starts": 100,
    "buffer_size": 2000,
    "batch_size": 32,
    "train_freq": 8,
    "policy_kwargs": {"net_arch": [16]},
}
ATARI = {"wrappers": ["AtariWrapper"], "frame_stack": 4, "policy": "CnnPolicy"}
DICT = {"policy": "MultiInputPolicy"}
HINDSIGHT = {"replay_buffer_class": "HerReplayBuffer", "replay_buffer_kwargs": {"n_sampled_goal": 4}}
SUCCESS = {"monitor_kwargs": {"info_keywords": ["is_success"]}}

# name: algorithm, environment, timesteps, hyperparameters
KINDS: dict[str, tuple[str, str, int, dict[str, Any]]] = {
    "atari": ("PPO", "ale_py:BreakoutNoFrameskip-v4", 1536, {**SMALL, **ATARI, "n_envs": 2}),
    "atari-off-policy": ("DQN", "ale_py:PongNoFrameskip-v4", 900, {**OFF_POLICY, **ATARI, "policy_kwargs": None}),
    "atari-sticky": ("A2C", "ale_py:ALE/Breakout-v5", 1200, {**ATARI, "n_envs": 2}),
    "atari-subproc": ("PPO", "ale_py:BreakoutNoFrameskip-v4", 1536, {**SMALL, **ATARI, "n_envs": 2, "vec_env": "subproc"}),
    "mujoco-4": ("SAC", "HalfCheetah-v4", 1200, OFF_POLICY),
    "mujoco-5": ("PPO", "Hopper-v5", 3000, {**SMALL, "normalize": True}),
    "minigrid": ("PPO", "minigrid:MiniGrid-Empty-5x5-v0", 3000, {**SMALL, "wrappers": ["minigrid.wrappers.FlatObsWrapper"]}),
    "highway": ("DQN", "highway_env:highway-fast-v0", 240, {**OFF_POLICY, "learning_starts": 50}),
    "highway-dict": ("SAC", "highway_env:parking-v0", 240, {**OFF_POLICY, **DICT, **SUCCESS, "learning_starts": 50}),
    "robotics": ("SAC", "gymnasium_robotics:PointMaze_UMaze-v3", 1200, {**OFF_POLICY, **DICT}),
    "robotics-her": ("SAC", "gymnasium_robotics:FetchReach-v4", 1200, {**OFF_POLICY, **DICT, **HINDSIGHT}),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_killed_and_resumed_a_run_has_the_bits_of_its_undisturbed_twin(shared_home, name):
    algorithm, environment, steps, hyperparameters = KINDS[name]
    wanted = with_defaults(
        recorded(
            {
                "experiment_id": f"kind-{name}",
                "algorithm": algorithm,
                "environment": environment,
                "training_steps": steps,
                "seeds": [3],
                "checkpoint_frequency": steps // 8,
                "eval_episodes": 1,
                "baseline": {"hyperparameters": hyperparameters},
            }
        )
    )
    twin = submit_twins(shared_home, wanted)
    kill_each(shared_home, wanted, kills=2)
    assert shared_home.wait_ended(wanted.experiment_id)["state"] == "completed"
    assert shared_home.wait_ended(twin.experiment_id)["state"] == "completed"
    (run,) = wanted.runs
    begun = [start for start in starts(shared_home, run.id) if start.from_step > 0]
    said = [event.message for event in shared_home.events(run.id, "WarningRaised") if isinstance(event, WarningRaised)]
    assert begun, "no kill came after the first checkpoint: nothing was resumed"
    assert {start.resume for start in begun} == {"exact"}, said
    assert differences(shared_home, wanted, twin) == {}
    assert not any(re.search("not exactly", message) for message in said)
