"""Every private name of Stable-Baselines3, torch and Gymnasium that the actors use, and why.

Look at these when one of the libraries has a new release. A test fails when a name without a row is used, and when a row is
not used. `BaseCallback._on_step` and `_on_rollout_start` are not here: they are documented, and meant to be defined.
"""

from collections.abc import Mapping
from typing import Final

PRIVATE_NAMES: Final[Mapping[str, str]] = {
    # Stable-Baselines3: BaseAlgorithm
    "_n_updates": "a counter that goes into a checkpoint; also tells the callback whether there was an update to look at",
    "_episode_num": "a counter that goes into a checkpoint: off-policy algorithms log by it",
    "_n_calls": "a counter that goes into a checkpoint: DQN updates its target network by it",
    "_num_timesteps_at_start": "set when a training continues, so that `time/fps` is that of this attempt",
    "_total_timesteps": "how far the training is to go: the callback ends it there, and schedules follow from it",
    "_update_current_progress_remaining": "computes schedules anew when a training continues, maybe to another end",
    "_current_progress_remaining": "what DQN's exploration rate is computed from when a training continues",
    "_get_torch_save_params": "says where an algorithm keeps its optimizers, and its tensors that belong to no network",
    "_stats_window_size": "the length of the buffers of episodes that are put back",
    "_last_obs": "what the next action answers: part of a checkpoint, and set anew where new episodes begin",
    "_last_original_obs": "the same before normalisation, which off-policy algorithms put into their replay buffer",
    "_last_episode_starts": "which environments have just begun: part of a checkpoint, and set anew where new episodes begin",
    # Stable-Baselines3: HerReplayBuffer
    "_current_ep_start": "where the current episodes began: part of a checkpoint",
    # sb3-contrib: RecurrentPPO
    "_last_lstm_states": "what a recurrent policy remembers: part of a checkpoint",
    # sb3-contrib: ARS
    "_do_one_update": "before it ARS can be interrupted: its candidates are drawn in it",
    # gymnasium: Space
    "_np_random": "the generator of a space or an environment, which is put back; `np_random` of a space cannot be set",
    # gymnasium: Env and Wrapper; what decides nothing is not compared when an environment was restored
    "_np_random_seed": "not compared: it becomes -1 when a generator is set",
    "_cached_spec": "not compared: made when somebody asks for `spec`",
    "_saved_kwargs": "not compared: the arguments of a wrapper",
    "_action_space": "not compared: the generators of action spaces are restored with the training",
    "_observation_space": "not compared: a wrapper's own space, which is a constant",
    "_metadata": "not compared: a wrapper's own description, which is a constant",
    # torch: Module
    "_parameters": "shortcut: made attributes, and watched for changes",
    "_modules": "shortcut: made attributes, and watched for changes",
    "_forward_hooks": "shortcut: calls go directly while there is none",
    "_forward_pre_hooks": "shortcut: calls go directly while there is none",
    "_backward_hooks": "shortcut: calls go directly while there is none",
    "_backward_pre_hooks": "shortcut: calls go directly while there is none",
    "_global_forward_hooks": "shortcut: calls go directly while there is none",
    "_global_forward_pre_hooks": "shortcut: calls go directly while there is none",
    "_global_backward_hooks": "shortcut: calls go directly while there is none",
    "_global_backward_pre_hooks": "shortcut: calls go directly while there is none",
    "_compiled_call_impl": "shortcut: a module that was compiled is left to be called so",
    # torch: the package itself
    "_dynamo": "the compiler, in whose place a small module stands until something compiles",
    # Stable-Baselines3: SubprocVecEnv and DummyVecEnv
    "_worker": "the loop of a worker, which a worker that records its environment runs, too",
    "_obs_from_buf": "shortcut: given a method that copies one array plainly",
}
