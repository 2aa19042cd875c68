"""In a zygote: Stable-Baselines3 is of a version with other defaults, and says so in its source."""

from stable_baselines3 import DQN, PPO

from lander.actors.sb3 import defaults

_installed = defaults.installed_defaults
OTHERWISE = {"gamma": 0.5, "max_grad_norm": 0.01, "vf_coef": 3.0}


def installed(constructor):
    found = dict(_installed(constructor))
    return found | {name: value for name, value in OTHERWISE.items() if name in found}


defaults.installed_defaults = installed
for algorithm in (DQN, PPO):
    code, values = algorithm.__init__.__code__, algorithm.__init__.__defaults__
    names = code.co_varnames[code.co_argcount - len(values) : code.co_argcount]
    algorithm.__init__.__defaults__ = tuple(OTHERWISE.get(name, value) for name, value in zip(names, values, strict=True))
