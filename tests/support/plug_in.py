"""A package that adds algorithms, as an installed distribution: its module, and the entry points in its metadata."""

from pathlib import Path

CODE = '''
import numpy as np
from stable_baselines3 import PPO


class Drifting(PPO):
    """PPO whose learning rate depends on how many updates there were, by a count of its own."""

    def __init__(self, policy, env, drift=0.5, **rest):
        self.drift, self.updates = drift, 0
        super().__init__(policy, env, **rest)

    def train(self):
        self.updates += 1
        self.lr_schedule = lambda _: 1e-3 / (1 + self.drift * self.updates)
        super().train()


class Remembering(Drifting):
    def get_state(self):
        return {"updates": self.updates}

    def set_state(self, state):
        self.updates = state["updates"]


class ByNumber(Remembering):
    def get_state(self):
        return {0: self.updates}
'''
ENTRY_POINTS = """[lander.algorithms]
Drifting = drifting_algorithms:Drifting
Remembering = drifting_algorithms:Remembering
ByNumber = drifting_algorithms:ByNumber
PPO = drifting_algorithms:Drifting
"""


def install(directory: Path) -> None:
    """Put the distribution into a directory, which is then to be put on `sys.path`."""
    metadata = directory / "drifting_algorithms-1.0.dist-info"
    metadata.mkdir(parents=True)
    (directory / "drifting_algorithms.py").write_text(CODE)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: drifting-algorithms\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS)
    (metadata / "top_level.txt").write_text("drifting_algorithms\n")
    (metadata / "RECORD").write_text("drifting_algorithms.py,,\ndrifting_algorithms-1.0.dist-info/METADATA,,\n")
