"""A training that a rule ends: decided as the log decides it again, and resumed exactly in the middle of its patience."""

from itertools import takewhile

import pytest

from lander.actors.state import callbacks_part
from lander.protocol.ending_rules import EndingRules, Watch
from lander.protocol.events import EndDecided, EpisodeFinished, EvaluationFinished, MetricsLogged, WarningRaised
from tests.integration.actors.test_exact_resume import differences
from tests.support.in_process_training import CutError, InProcessTraining
from tests.support.recorded import recorded_arm

ROLLOUT = 64
SMALL = {"n_steps": ROLLOUT, "batch_size": 32, "n_epochs": 1, "policy_kwargs": {"net_arch": [8]}}
TOTAL = 40 * ROLLOUT
RULES = {
    "patience": {"early_stopping": {"patience": 3, "min_improvement": 1.0}},
    "evaluations": {"early_stopping": {"metric": "eval/mean_reward", "patience": 3, "min_improvement": 500.0}},
    "threshold": {"convergence_threshold": 21},
    "episodes": {"budget": {"episodes": 30}},
}


def training(home, rule, **more):
    arm = recorded_arm(
        {
            "name": "baseline",
            "role": "baseline",
            "algorithm": "PPO",
            "environment": "CartPole-v1",
            "environment_kwargs": {},
            "training_steps": TOTAL,
            "seeds": [3],
            "hyperparameters": {**SMALL, **rule},
        }
    )
    evaluated = {"eval_frequency": 2 * ROLLOUT, "eval_episodes": 2} if "eval/" in str(rule) else {}
    return InProcessTraining(arm, home, frequency=3 * ROLLOUT, **evaluated, **more)


def end(of):
    """The one decision of a training, and where it ended."""
    *_, decided = of.heard(EndDecided)
    assert of.ended.cause == "completed"
    assert of.ended.step == decided.step < TOTAL
    assert of.lineage()[-1].finished
    return decided


def folded(of):
    """What the log decides: the rules see the same events, and are asked where a rollout has ended.

    The final evaluation follows from the end, so it is none of what decides it.
    """
    watch, episodes = Watch(EndingRules.of(of.arm.hyperparameters)), [each.last_step for each in of.heard(EpisodeFinished)]
    logged = {}
    for event in takewhile(lambda event: not getattr(event, "final", False), of.said):
        if isinstance(event, MetricsLogged):
            logged.setdefault(event.step, []).append(event.values)
    for step in range(ROLLOUT, TOTAL + 1, ROLLOUT):
        for values in logged.get(step, []):
            watch.see(values)
        if decided := watch.ended(sum(last <= step for last in episodes), 0.0):
            return step, decided.rule, decided.why
    return None


@pytest.mark.parametrize("rule", RULES)
def test_the_log_folded_again_decides_the_same(rule, tmp_path):
    whole = training(tmp_path, RULES[rule])
    whole.train()
    decided = end(whole)
    assert folded(whole) == (decided.step, decided.rule, decided.why)
    assert len(whole.heard(EndDecided)) == 1
    assert not any("ended the training" in each.message for each in whole.heard(WarningRaised)), "an event says it"


@pytest.mark.parametrize("rule", RULES)
def test_cut_off_in_the_middle_of_its_patience_it_ends_where_it_would_have(rule, tmp_path):
    whole, cut = training(tmp_path / "whole", RULES[rule]), training(tmp_path / "cut", RULES[rule])
    whole.train()
    last = end(whole).step
    with pytest.raises(CutError):
        cut.train(cut_after=last - ROLLOUT // 2)
    with pytest.raises(CutError):
        cut.continue_(cut_after=ROLLOUT // 4)
    cut.continue_()
    assert end(cut) == end(whole)
    assert differences(whole, cut) == set()


@pytest.mark.parametrize("rule", ["patience", "evaluations"])
def test_what_the_rules_have_seen_is_needed(rule, tmp_path, monkeypatch):
    """The negative control: forgotten at the resume, patience begins anew."""
    whole, cut = training(tmp_path / "whole", RULES[rule]), training(tmp_path / "cut", RULES[rule])
    whole.train()
    with pytest.raises(CutError):
        cut.train(cut_after=end(whole).step - ROLLOUT // 2)
    monkeypatch.setattr(callbacks_part.Watch, "restore", lambda self, state: None)
    cut.continue_()
    assert cut.ended.step > whole.ended.step


def test_an_end_is_no_other_training_up_to_there(tmp_path):
    """The rules change no bit before the end: the weights are those of a training with as many steps."""
    early = training(tmp_path / "early", RULES["episodes"])
    early.train()
    full = training(tmp_path / "full", {})
    full.train(cut_after=None)
    assert not full.heard(EndDecided)
    at_the_checkpoints = {checkpoint.step: checkpoint.weights for checkpoint in full.lineage()}
    compared = [at_the_checkpoints[each.step] == each.weights for each in early.lineage() if each.step in at_the_checkpoints]
    assert compared
    assert all(compared)


def test_after_its_end_it_has_ended_and_trains_no_more(tmp_path):
    whole = training(tmp_path, RULES["patience"])
    whole.train()
    steps, weights = whole.ended.step, whole.weights
    whole.continue_()
    assert (whole.ended.step, whole.weights) == (steps, weights)
    assert len(whole.heard(EndDecided)) == 1


@pytest.mark.parametrize("patience", [2, 3, 4])
def test_an_extended_training_ends_where_one_that_was_as_long_from_the_beginning_ends(patience, tmp_path):
    """Its last evaluation counts only if the long one makes it, too: here every second rollout is evaluated."""
    rule = {"early_stopping": {"metric": "eval/mean_reward", "patience": patience, "min_improvement": 500.0}}
    whole = training(tmp_path / "whole", rule)
    whole.train()
    for rollouts in (3, 4, 5, 6):
        extended = training(tmp_path / f"extended-{rollouts}", rule)
        long, extended.arm = extended.arm, extended.arm.model_copy(update={"training_steps": rollouts * ROLLOUT})
        extended.train()
        if extended.heard(EndDecided):
            continue
        extended.arm = long
        extended.continue_()
        assert (extended.ended.step, extended.weights) == (whole.ended.step, whole.weights)


def test_what_the_rules_have_seen_is_no_state_of_the_training(tmp_path):
    """Up to the end, it has the digests of a training without rules: so it can be verified without them."""
    early, full = training(tmp_path / "early", RULES["evaluations"]), training(tmp_path / "full", {})
    early.train()
    full.train()
    shared = early.digests().keys() & full.digests().keys()
    assert shared
    assert {step: early.digests()[step] for step in shared} == {step: full.digests()[step] for step in shared}


def test_a_fork_from_its_end_begins_with_patience_of_its_own(tmp_path):
    whole = training(tmp_path, RULES["patience"])
    whole.train()
    at = end(whole).step
    origin = whole.lineage()[-1]
    whole.train(origin=origin, checkpoints=())
    assert whole.ended.step > at + 2 * ROLLOUT


def test_a_rule_whose_metric_is_never_logged_says_so(tmp_path):
    silent = training(tmp_path, {"early_stopping": {"metric": "rollout/reward", "patience": 1}})
    silent.train()
    assert silent.ended.step == TOTAL
    (warning,) = silent.heard(WarningRaised)
    assert warning.message == "early_stopping ended nothing: rollout/reward was never logged"


def test_the_policy_at_the_end_is_evaluated_once_more_as_final(tmp_path):
    evaluated = training(tmp_path, RULES["evaluations"])
    evaluated.train()
    *_, last = evaluated.heard(EvaluationFinished)
    assert last.final
    assert last.step == end(evaluated).step
