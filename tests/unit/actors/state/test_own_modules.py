"""What is looked at of the networks of somebody's own classes: all that no state dict has, and nothing else."""

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor

from lander.actors.sb3.shortcuts import apply_shortcuts
from lander.actors.state.own_modules import capture_own_modules, changed_attributes


class Keeping(BaseFeaturesExtractor):
    """Keeps a count, a generator, and a buffer that is not to be saved."""

    def __init__(self, observation_space):
        super().__init__(observation_space, 4)
        self.net = torch.nn.Linear(4, 4)
        self.calls, self.generator = 0, np.random.default_rng(0)
        self.register_buffer("saved", torch.zeros(2))
        self.register_buffer("passing", torch.zeros(2), persistent=False)

    def forward(self, observations):
        return self.net(observations)


def model(**policy_kwargs):
    made = PPO("MlpPolicy", "CartPole-v1", n_steps=8, batch_size=8, n_epochs=1, policy_kwargs=policy_kwargs, device="cpu")
    apply_shortcuts(made)
    return made


def test_what_changes_in_no_state_dict_is_named():
    made = model(features_extractor_class=Keeping)
    before = capture_own_modules(made)
    made.learn(16)
    assert changed_attributes(made, before) == []
    extractor = made.policy.features_extractor
    extractor.saved += 1
    assert changed_attributes(made, before) == []
    extractor.calls += 1
    extractor.generator.random()
    extractor.passing += 1
    named = [words.split()[0].rpartition(".")[2] for words in changed_attributes(made, before)]
    assert sorted(set(named)) == ["calls", "generator", "passing"]


def test_networks_of_the_libraries_are_not_looked_at():
    assert capture_own_modules(model()) is None
