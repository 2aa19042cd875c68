"""The environments of a training, recorded: in its own process, or each in a process of its own (`vec_env: subproc`)."""

from functools import partial

from stable_baselines3.common.vec_env import VecEnv

from lander.actors.environment.history import History
from lander.actors.environment.recording import RecordedEnvironment, Recording
from lander.actors.environment.separate_processes import RemoteRecording, SeparateEnvironments
from lander.actors.sb3.algorithms import build_environment, count_environments
from lander.actors.sb3.defaults import setting
from lander.protocol.experiment import Arm


def is_separate(arm: Arm) -> bool:
    """Whether each environment has a process of its own."""
    return bool(setting(arm, "vec_env") == "subproc")


def build_recorded(arm: Arm, seed: int, history: History | None) -> tuple[VecEnv, Recording]:
    """The vector environment, and the recording of what its environments do; raises what their constructors raise."""
    n_envs = count_environments(arm)
    if not is_separate(arm):
        recording = Recording(n_envs, history)
        return build_environment(arm, seed, partial(RecordedEnvironment, recording=recording)), recording
    remote = RemoteRecording(n_envs, history)
    env = build_environment(arm, seed, partial(RecordedEnvironment, recording=remote), SeparateEnvironments)
    remote.watch(env.unwrapped)
    return env, remote
