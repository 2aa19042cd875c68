"""What each setting of an experiment file is for, in words: the JSON Schema and the reference say them."""

from collections.abc import Mapping
from typing import Final

MEANINGS: Final[Mapping[str, str]] = {
    "experiment_id": "The name of the experiment. The default is made of the algorithm, the environment and a digest.",
    "hypothesis": "The sentence that the experiment tests. Reports show it as their title.",
    "environment": "A Gymnasium environment id, or module:EnvId for an environment that a Python module of yours registers.",
    "environment_kwargs": "Arguments of the environment's constructor.",
    "wrappers": "The wrappers of each environment, the first one innermost: names, or names with arguments.",
    "vec_wrappers": "The wrappers of the vector environment, inside VecNormalize and stacked frames.",
    "frame_stack": "How many observations in a row the policy sees at once (VecFrameStack). null: one.",
    "vec_env": "Where the environments of a run are stepped: dummy, in its trainer, or subproc, each in a process of its own.",
    "monitor_kwargs": "Arguments of the Monitor around each environment.",
    "callbacks": "Callbacks of Stable-Baselines3 that training calls: names, or names with arguments.",
    "early_stopping": "Ends a training once a metric was logged so often (patience) without improving by min_improvement.",
    "convergence_threshold": "Ends a training once rollout/ep_rew_mean, or the metric of a mapping, reaches this value.",
    "budget": "Ends a training after so many episodes or hours, whichever comes first; its steps are the training_steps.",
    "algorithm": "The algorithm of Stable-Baselines3.",
    "training_steps": "How many timesteps each run trains.",
    "seeds": "The seeds: each arm is trained once with each seed. A list, or text such as 0-4 or 1,7.",
    "seed": "One seed, in place of seeds.",
    "device": "Where the networks are trained. cuda takes a GPU slot; auto is cuda if this machine has a GPU.",
    "hyperparameters": "Constructor arguments of the algorithm in Stable-Baselines3, and n_envs and normalize.",
    "zoo": "An entry of RL Baselines3 Zoo's hyperparameter files, as {algorithm: ppo, environment: LunarLander-v3}, with file"
    " for one of yours. The arm takes from it what nothing else says.",
    "on_failure": "What happens to an experiment when a run fails: abort the other runs, retry the run, or skip it.",
    "max_retries": "How many failures of one run within retry_period are tried again.",
    "retry_period": "The seconds of the run's attempts in which more than max_retries failures are too many.",
    "stall_timeout": "Seconds without progress after which a trainer is ended and tried again.",
    "resource_limits": "What one run may use.",
    "memory_mb": "Resident memory of the trainer and its children, in MB.",
    "cpu_percent": "Processor time of the trainer, in percent of one core, over about ten seconds.",
    "disk_gb": "What the checkpoints of the run take, in GB.",
    "wall_hours": "Hours that all attempts of the run took together.",
    "other_hardware": "What happens to a run when no host computes the bits with which it has trained: wait for one; warn, and"
    " go on elsewhere if none is there; allow any host. Only wait keeps every run bit-exact.",
    "exclusive": "Whether its environments act on something outside, such as a robot, so that no run may ever be trained by two"
    " processes at once: a host that loses its supervisor ends it before another one may begin.",
    "hosts": "What a host must have to train the arm.",
    "gpu": "Whether it must have a GPU. A number is the share of one that a run with device: cuda takes, and of its memory at"
    " most; several such runs train on one GPU at once.",
    "labels": "What it must be called: every one of these, of those that lander-ctl worker --labels gives it.",
    "on_limit": "What happens to a run that uses more than resource_limits: a warning, a pause, or a stop.",
    "checkpoint_frequency": "Timesteps between checkpoints. A stop and a pause write a checkpoint, too.",
    "eval_frequency": "Timesteps between evaluations of the policy. null: one evaluation, at the end.",
    "eval_episodes": "Episodes of each evaluation. 0: no evaluation.",
    "evaluation_environment": "The environment in which every arm is evaluated. null: each arm is evaluated in its own.",
    "compare_budgets": "Whether arms with different training_steps are compared. If not, there is no verdict on them.",
    "replay_limit": "The most timesteps that a resume plays again, if an environment remembers earlier episodes. null: all.",
    "origin": "The checkpoints that a fork continues. lander-ctl fork writes this.",
    "baseline": "The settings of the arm with which the others are compared.",
    "variants": "The other arms by name. Each one says only what differs from the baseline.",
    "variant": "One arm named variant, in place of variants.",
    "baseline_config": "The complete configuration of the baseline.",
    "variant_config": "The complete configuration of the variant.",
    "arms": "Every arm in full, the baseline first.",
    "name": "The name of the arm.",
    "role": "The first arm is the baseline, each other arm is a variant.",
}
"""The purpose of each setting in one sentence."""
