"""Policies that remember an episode or need masks, in evaluations: each environment has a player of its own."""

import gymnasium
import numpy as np
import pytest

from lander.actors.trainer.evaluation import evaluate, play_by_step
from lander.actors.trainer.saved_policy import Policy
from lander.protocol.events import EvaluationFinished, TrainingStarted, WarningRaised
from lander.protocol.experiment import EVALUATION_SEED
from tests.integration.actors.test_exact_resume import arm
from tests.support.in_process_training import CutError, InProcessTraining


@pytest.fixture(scope="module")
def recurrent(tmp_path_factory):
    trained = InProcessTraining(arm("recurrent-ppo"), tmp_path_factory.mktemp("recurrent"), eval_episodes=3)
    trained.train()
    return trained


def as_sb3_plays(model, seed):
    """The return of an episode, as `evaluate_policy` of Stable-Baselines3 plays it."""
    env = gymnasium.make("CartPole-v1")
    observation, _ = env.reset(seed=seed)
    state, start, total, over = None, np.ones(1, bool), 0.0, False
    while not over:
        action, state = model.predict(observation[None], state=state, episode_start=start, deterministic=True)
        observation, reward, terminated, truncated, _ = env.step(action[0])
        start, total, over = np.zeros(1, bool), total + reward, terminated or truncated
    return total


def test_a_recurrent_policy_is_evaluated_with_what_it_remembers(recurrent):
    (evaluation,) = recurrent.heard(EvaluationFinished)
    expected = [as_sb3_plays(recurrent.model, EVALUATION_SEED + place) for place in range(3)]
    assert list(evaluation.returns) == expected
    assert len(set(expected)) > 1


def test_players_of_one_policy_do_not_share_what_they_remember(recurrent):
    policy = Policy(recurrent.model, recurrent.arm)
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
    assert len(evaluate(Policy(masked.model, masked.arm), masked.arm, 2)) == 2
