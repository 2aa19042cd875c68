"""In a zygote: Stable-Baselines3 is of a version with other defaults."""

from stable_baselines3 import DQN, PPO

OTHERWISE = {"gamma": 0.5, "max_grad_norm": 0.01, "vf_coef": 3.0}

for algorithm in (DQN, PPO):
    code, values = algorithm.__init__.__code__, algorithm.__init__.__defaults__
    names = code.co_varnames[code.co_argcount - len(values) : code.co_argcount]
    algorithm.__init__.__defaults__ = tuple(OTHERWISE.get(name, value) for name, value in zip(names, values, strict=True))
