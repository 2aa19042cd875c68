"""Policies that remember an episode or need masks, in evaluations: each environment has a player of its own."""

import gymnasium
import numpy as np
import pytest
import torch

from lander.actors.trainer.evaluation import evaluate, play_by_step
from lander.actors.trainer.saved_policy import Policy
from lander.protocol.events import TrainingStarted, WarningRaised
from lander.protocol.experiment import EVALUATION_SEED
from tests.integration.actors.test_exact_resume import arm
from tests.support.in_process_training import CutError, InProcessTraining


@pytest.fixture(scope="module")
def recurrent(tmp_path_factory):
    trained = InProcessTraining(arm("recurrent-ppo"), tmp_path_factory.mktemp("recurrent"))
    trained.train()
    return trained


@pytest.fixture(scope="module")
def policy(recurrent):
    """A policy whose actions depend on what it remembers: one that has barely learned always does the same."""
    torch.manual_seed(1)
    for parameter in recurrent.model.policy.parameters():
        torch.nn.init.normal_(parameter, std=2.0)
    return Policy(recurrent.model, recurrent.arm)


def as_sb3_plays(model, seed, *, remembers=True):
    """The length of an episode, as `evaluate_policy` of Stable-Baselines3 plays it."""
    env = gymnasium.make("CartPole-v1")
    observation, _ = env.reset(seed=seed)
    state, start, total, over = None, np.ones(1, bool), 0, False
    while not over:
        action, state = model.predict(observation[None], state=state, episode_start=start, deterministic=True)
        observation, _, terminated, truncated, _ = env.step(action[0])
        start, total, over = np.full(1, not remembers), total + 1, terminated or truncated
    return total


def test_a_recurrent_policy_is_evaluated_with_what_it_remembers(policy):
    seeds = range(EVALUATION_SEED, EVALUATION_SEED + 6)
    expected = [as_sb3_plays(policy.model, seed) for seed in seeds]
    assert [each.length for each in evaluate(policy, policy.arm, 6)] == expected
    assert [as_sb3_plays(policy.model, seed, remembers=False) for seed in seeds] != expected


def test_players_of_one_policy_do_not_share_what_they_remember(policy):
    seeds = range(EVALUATION_SEED, EVALUATION_SEED + 2)
    alone = [[*play_by_step(policy, gymnasium.make("CartPole-v1"), seed)][-1] for seed in seeds]
    together = dict(enumerate(play_by_step(policy, gymnasium.make("CartPole-v1"), seed) for seed in seeds))
    played = {}
    while together:
        for place, steps in list(together.items()):
            played[place] = next(steps, None) or (together.pop(place) and played[place])
    assert [played[place] for place in range(2)] == alone


def test_masks_hold_in_evaluations_and_where_the_environment_is_tried_out(tmp_path):
    """The environment raises for an action that is not valid."""
    masked = InProcessTraining(arm("maskable-ppo"), tmp_path, frequency=64, eval_frequency=128, eval_episodes=3)
    with pytest.raises(CutError):
        masked.train(cut_after=150)
    masked.continue_()
    assert [start.resume for start in masked.heard(TrainingStarted)] == ["fresh", "exact"]
    assert not [each for each in masked.heard(WarningRaised) if "forget" in each.message]
    masked.model.policy.action_net.bias.data = torch.tensor([9.0, 0.0, 0.0])  # it would always take the first
    assert len(evaluate(Policy(masked.model, masked.arm), masked.arm, 2)) == 2
