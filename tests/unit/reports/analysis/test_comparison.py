"""An experiment's findings: from a recorded log to what it shows, and to what whoever believes it should keep in mind."""

import json
import math
from statistics import fmean, stdev

import pytest

from lander.actors.sb3.defaults import with_defaults
from lander.protocol import events as e
from lander.protocol.code import Code
from lander.protocol.errors import NotFoundError
from lander.protocol.experiment import EVALUATION_SEED
from lander.reports.analysis import comparison, judgement, statistics
from lander.reports.analysis.comparability import notices, obstacle
from lander.reports.analysis.comparison import findings
from lander.reports.analysis.material import gather
from lander.reports.render.markdown import markdown
from lander.reports.render.page import page
from lander.reports.render.text_report import as_json, as_text
from lander.reports.render.verdict import verdict
from lander.store.log.event_store import batch_of
from lander.store.log.reader import Reader
from lander.store.records.run_record import Record
from lander.store.records.tries import OtherTries
from tests.support import written_homes
from tests.support.histories import HOST, submitted
from tests.support.recorded import recorded
from tests.support.written_homes import OTHER, RUN, attempt, episode, queued_experiment, write_log

FORM = {"experiment_id": "x", "environment": "CartPole-v1", "algorithm": "PPO", "training_steps": 1000, "hypothesis": "More"}
FAST = {"fast": {"hyperparameters": {"gamma": 0.9}}}
VARIANTS = {"fast": {"hyperparameters": {"gamma": 0.9}}, "slow": {"hyperparameters": {"gamma": 0.8}}}


def experiment(seeds, variants=VARIANTS, **settings):
    return recorded(FORM | {"seeds": list(seeds), "baseline": {}, "variants": variants} | settings)


def trained(*returns, evaluation=None, step=1000):
    """What a trainer says that finishes episodes with these returns, and evaluates to `evaluation` at the end."""
    words = [e.EpisodeFinished(env=0, first_step=n, last_step=n + 1, length=1, episode_return=v) for n, v in enumerate(returns)]
    return words if evaluation is None else [*words, evaluated(step, evaluation)]


def evaluated(step, *returns, final=True, seed=EVALUATION_SEED):
    return e.EvaluationFinished(step=step, first_seed=seed, returns=returns, lengths=(1,) * len(returns), final=final)


def completed(run, *words, epoch=1, from_step=0):
    """The batches of an attempt that completes its run."""
    started = e.TrainingStarted(epoch=epoch, pid=1, n_envs=1, device="cpu", from_step=from_step, from_episode=min(1, from_step))
    yield batch_of(run, e.AttemptStarted(epoch=epoch, host=HOST, cpu=0))
    yield batch_of(run, started, *words, producer=epoch)
    yield batch_of(run, e.AttemptEnded(epoch=epoch, cause="completed"), e.RunCompleted())


def failed(run):
    yield batch_of(run, e.AttemptStarted(epoch=1, host=HOST, cpu=0))
    yield batch_of(run, e.AttemptEnded(epoch=1, cause="crashed", signal="SIGKILL"), e.RunFailed(cause="crashed(SIGKILL)"))


@pytest.fixture
def found(tmp_path):
    """`found(seeds, ends)`: the findings of an experiment whose runs ended so; runs of which nothing is told are queued."""

    def find(seeds, ends, threshold=None, **settings):
        batches = [batch_of("x", submitted(experiment(seeds, **settings)), e.ExperimentStarted())]
        for run, words in ends.items():
            batches += failed(f"x/{run}") if words is None else completed(f"x/{run}", *words)
        write_log(tmp_path, groups=[batches])
        return read(threshold)

    def read(threshold=None):
        with Reader(tmp_path) as reader:
            return findings(reader, "x", threshold=threshold)

    find.again, find.home = read, tmp_path
    return find


def arms(**returns):
    """What each run of each arm says, one final return for each of its seeds, achieved in training."""
    return {f"{arm}/{seed}": trained(*[value] * 100) for arm, values in returns.items() for seed, value in enumerate(values)}


def evaluations(**returns):
    return {
        f"{arm}/{seed}": trained(*[0.0] * 100, evaluation=value)
        for arm, values in returns.items()
        for seed, value in enumerate(values)
    }


# --- what is found ----------------------------------------------------------------------------------------------------


def test_arms_are_summarised_and_variants_compared_seed_by_seed(found):
    ends = arms(baseline=[10.0, 20.0, 90.0, 40.0], slow=[7.0, 17.0, 87.5, 37.5], fast=[11.0, 24.0, 99.0, 41.0])
    ends["baseline/0"] = trained(*[0.0] * 50, *[10.0] * 100)  # the first 50 do not count: the last 100 do
    result = found(range(4), ends)
    baseline, fast, slow = result.arms
    assert (result.measure, baseline.role, fast.role, slow.name) == ("training", "baseline", "variant", "slow")
    assert baseline.returns == {0: 10.0, 1: 20.0, 2: 90.0, 3: 40.0}
    assert (baseline.mean.value, baseline.spread) == (40.0, pytest.approx(stdev([10, 20, 90, 40])))
    assert baseline.best.value == pytest.approx(40.0)
    first, second = result.contrasts
    assert (first.variant, first.compared, first.better, first.paired) == ("fast", 4, 4, True)
    assert first.difference.value == pytest.approx(fmean([1, 4, 9, 1]))
    assert (second.variant, second.better, second.test) == ("slow", 0, "paired t-test")
    assert second.difference.value == pytest.approx(-fmean([3, 3, 2.5, 2.5]))
    assert second.area.value == pytest.approx(fmean(run.area for run in slow.runs) - fmean(run.area for run in baseline.runs))
    assert [each.decision for each in result.contrasts] == ["undecided", "refuted"]
    assert second.p_adjusted == pytest.approx(2 * second.p_value)
    assert second.more_seeds is None
    assert first.more_seeds >= 1


def test_a_variant_that_is_better_beyond_chance_is_supported(found):
    ends = evaluations(baseline=[1.0, 2.0, 3.0, 2.0, 1.0], fast=[6.0, 8.0, 9.0, 9.0, 7.0])
    result = found(range(5), ends, variants=FAST)
    assert (result.measure, result.contrasts[0].decision) == ("evaluation", "supported")
    assert result.contrasts[0].p_value < 0.001


def test_never_a_decision_from_two_seeds_however_alike(found, monkeypatch):
    ends = evaluations(baseline=[1.0, 1.1], fast=[1000.0, 1000.101])
    assert found(range(2), ends, variants=FAST).contrasts[0].decision == "undecided"
    monkeypatch.setattr(judgement, "FEWEST_SEEDS", 2)
    assert found.again().contrasts[0].decision == "supported"


def test_one_seed_has_no_p_value_and_no_interval(found):
    result = found([7], {"baseline/7": trained(5.0), "fast/7": trained(4.0)})
    (contrast,) = result.contrasts
    assert (contrast.p_value, contrast.p_adjusted, contrast.rank_p_value, contrast.effect_size) == (None,) * 4
    assert (contrast.difference.value, contrast.difference.low, contrast.decision) == (-1.0, None, "undecided")
    assert result.arms[0].mean.low is result.arms[0].spread is None
    assert any("one seed says nothing about spread" in caveat for caveat in result.caveats)


def test_where_seeds_do_not_pair_up_as_many_runs_of_each_are_compared_as_two_groups(found):
    ends = {f"baseline/{seed}": trained(0.0, evaluation=seed / 2) for seed in range(6)}
    ends |= {f"fast/{seed}": trained(0.0, evaluation=value) for seed, value in ((4, 9.0), (5, 8.0), (6, 9.5), (7, 9.0))}
    result = found(range(6), ends, variants={"fast": {"seeds": [4, 5, 6, 7], **FAST["fast"]}})
    (contrast,) = result.contrasts
    assert (contrast.paired, contrast.test, contrast.rank_test) == (False, "Welch's t-test", "Mann–Whitney U test")
    assert (contrast.compared, contrast.better, contrast.decision) == (4, None, "supported")
    assert contrast.difference.value == pytest.approx(fmean([9, 8, 9.5, 9]) - fmean([0, 0.5, 1, 1.5]))
    assert (
        "seeds are missing (baseline lacks 6, 7; fast lacks 0, 1, 2, 3), so runs are compared as two groups and not"
        in (result.caveats[0])
    )


# --- when there is no decision ----------------------------------------------------------------------------------------


CLEAR = {"baseline": [1.0, 2.0, 3.0, 2.0, 1.5], "fast": [61.0, 62.5, 63.0, 62.0, 62.5]}


@pytest.mark.parametrize("state", ["queued", "stopped", "paused"])
def test_no_decision_before_every_run_is_over(found, state):
    """Six seeds were wanted, and five show it: who may stop there would always find a moment at which something shows."""
    found(range(6), evaluations(**CLEAR), variants=FAST)
    words = {"queued": [], "stopped": [e.RunStopped(reason="operator")], "paused": [e.RunPaused(reason="operator")]}[state]
    write_log(found.home, *(batch_of(f"x/{arm}/5", e.RunQueued(), *words) for arm in CLEAR))
    (contrast,) = found.again().contrasts
    assert (contrast.decision, contrast.withheld) == ("undecided", "unfinished")
    assert contrast.p_adjusted < 0.001
    write_log(found.home, *(batch_of(f"x/{arm}/5", e.RunSkipped(cause="operator")) for arm in CLEAR))
    assert found.again().contrasts[0].decision == "supported"


@pytest.mark.parametrize(("lost", "worst", "decision"), [(1, 1.0, "supported"), (4, -90.0, "undecided")])
def test_runs_that_came_to_nothing_count_as_the_worst_before_there_is_a_decision(found, lost, worst, decision):
    """Runs that fail are seldom those that would have returned most: whoever leaves them out flatters."""
    seeds = range(5 + lost)
    ends = evaluations(baseline=[*CLEAR["baseline"], *[2.0] * lost], fast=CLEAR["fast"])
    ends |= {f"fast/{seed}": None for seed in seeds[5:]}
    ends["baseline/0"] = trained(0.0, evaluation=worst)
    (contrast,) = found(seeds, ends, variants=FAST).contrasts
    assert (contrast.compared, contrast.decision) == (5, decision)
    assert contrast.withheld == (None if decision == "supported" else "failures")
    assert contrast.p_adjusted < 0.05


def test_a_missing_seed_leaves_the_pairs_that_there_are(found):
    ends = evaluations(baseline=CLEAR["baseline"], fast=CLEAR["fast"][:4]) | {"fast/4": None}
    result = found(range(5), ends, variants=FAST)
    (contrast,) = result.contrasts
    assert (contrast.paired, contrast.compared, contrast.better) == (True, 4, 4)
    assert "seeds are missing (fast lacks 4), so only the 4 that both have are compared" in result.caveats


def test_the_final_evaluation_is_the_measure_where_every_completed_run_has_one(found):
    ends = evaluations(baseline=[1.0, 2.0], fast=[3.0, 5.0])
    result = found(range(2), ends | {"slow/0": None})
    assert (result.measure, result.arms[1].returns) == ("evaluation", {0: 3.0, 1: 5.0})
    assert not any("evaluated" in caveat for caveat in result.caveats)


def test_one_run_without_a_final_evaluation_makes_training_the_measure_of_all(found):
    last = [*trained(*[4.0] * 100), evaluated(500, 9.0, final=False)]
    result = found([0], evaluations(baseline=[1.0]) | {"fast/0": last})
    assert (result.measure, result.arms[1].returns) == ("training", {0: 4.0})
    assert any("not every completed run was evaluated" in caveat for caveat in result.caveats)


def test_an_evaluation_from_before_an_extension_is_not_the_final_one(tmp_path):
    """Evaluated at its end, then extended without evaluation: how good it was half-way is not how good it is."""
    queued_experiment(tmp_path)
    array = e.PackedArray(dtype="|u1", shape=(1000, 1), data=b"\0" * 1000)
    steps = e.StepsRecorded(first_step=1000, actions=array, rewards=array, endings=array)
    write_log(
        tmp_path, *completed(RUN, *trained(1.0), evaluated(1000, 9.0)), *completed(OTHER, *trained(1.0), evaluated(1000, 9.0))
    )
    with Reader(tmp_path) as reader:
        assert findings(reader, "x").measure == "evaluation"
    write_log(tmp_path, batch_of(RUN, e.RunResumed(reason="extended")), *completed(RUN, steps, epoch=2, from_step=1000))
    with Reader(tmp_path) as reader:
        assert len(Record(reader, RUN).evaluations()) == 1
        assert findings(reader, "x").measure == "training"


def test_runs_are_timed_to_what_the_baseline_came_to_or_to_what_is_asked_for(found):
    climbing = [trained(*(float(n) for n in range(speed, 100 * speed, speed))) for speed in (1, 2)]
    result = found([0], {"baseline/0": climbing[0], "fast/0": climbing[1]})
    (baseline,), (fast,) = (arm.runs for arm in result.arms[:2])
    assert result.threshold == pytest.approx(50.0)
    assert (baseline.steps_to_threshold, fast.steps_to_threshold) == (99, 49)
    assert (baseline.area, fast.area) == (pytest.approx(50, abs=4), pytest.approx(100, abs=8))
    assert (fast.best, fast.best_step) == (pytest.approx(100.0), 99)
    result = found.again(threshold=99.0)
    assert [arm.reached for arm in result.arms] == [0, 1, 0]
    assert [arm.steps_to_threshold and arm.steps_to_threshold.value for arm in result.arms] == [None, 98, None]


def test_runs_that_never_come_to_the_threshold_count_with_all_their_steps(found):
    """Else an arm would seem the quicker the more of its slow runs never arrive."""
    quick, never = trained(*[0.0] * 9, *[100.0] * 91), trained(*[0.0] * 100)
    result = found(range(2), {"baseline/0": quick, "baseline/1": never}, threshold=5.0, training_steps=1000)
    assert (result.arms[0].reached, result.arms[0].steps_to_threshold.value) == (1, (10 + 1000) / 2)


def test_an_interval_of_steps_holds_none_before_the_first_or_after_the_last(found):
    """Student's alone would: two runs that came to the threshold at step 11 and at step 95 say little of any other."""
    slow, quick = (trained(*[0.0] * wait, *[1000.0] * (100 - wait)) for wait in (94, 10))
    result = found(range(2), {"baseline/0": slow, "baseline/1": quick}, threshold=1.0, training_steps=100)
    steps = result.arms[0].steps_to_threshold
    assert (steps.value, steps.low, steps.high) == (53.0, 0, 100)
    assert statistics.mean([11, 95]).low < 0


def test_the_best_evaluation_is_the_first_of_the_best(found):
    words = [evaluated(step, value, final=step == 1000) for step, value in ((250, 1.0), (500, 7.0), (750, 7.0), (1000, 3.0))]
    result = found([0], {"baseline/0": [*trained(0.0), *words]})
    (run,) = result.arms[0].runs
    assert (run.final, run.best, run.best_step) == (3.0, 7.0, 500)


def test_the_same_log_gives_the_same_findings_to_the_byte(found):
    result = found(range(3), evaluations(baseline=[1.0, 5.0, 3.0], fast=[4.0, 4.5, 9.0], slow=[1.0, 1.0, 2.0]))
    assert as_json(result) == as_json(found.again())
    assert json.loads(as_json(result))["contrasts"][0]["variant"] == "fast"


def test_an_unknown_experiment_is_answered_with_the_nearest(found):
    found([0], {})
    with Reader(found.home) as reader, pytest.raises(NotFoundError, match="xx: no such experiment; did you mean x"):
        findings(reader, "xx")


# --- arms that cannot be compared --------------------------------------------------------------------------------------


ELSEWHERE = {"fast": {"environment": "Acrobot-v1"}}
REWARDED = {"fast": {"environment_kwargs": {"sutton_barto_reward": True}}}
LONGER = {"fast": {"training_steps": 2000}}
CARTPOLE = {"evaluation_environment": "CartPole-v1"}
BY_TRAINING = {"eval_episodes": 0}
INCOMPARABLE = [
    (ELSEWHERE, {}, "environments"),
    (REWARDED, {}, "environments"),
    (REWARDED, CARTPOLE | BY_TRAINING, "environments"),
    (LONGER, {}, "budgets"),
    (LONGER, CARTPOLE, "budgets"),
    ({"fast": {"early_stopping": {"patience": 9}}}, {}, "endings"),
    ({"fast": {"budget": {"episodes": 9}}}, CARTPOLE, "endings"),
    ({"fast": {}}, {}, "identical"),
]
"""Variants with settings of the experiment, and why there is no verdict on them."""
COMPARABLE = [
    (FAST, {}),
    (ELSEWHERE, CARTPOLE),
    (REWARDED, CARTPOLE),
    (LONGER, {"compare_budgets": True}),
    ({"fast": {"early_stopping": {"patience": 9}}}, {"compare_budgets": True}),
    (FAST, {"early_stopping": {"patience": 9}}),
    (
        {"fast": {"environment_kwargs": {"sutton_barto_reward": True}, "training_steps": 2000}},
        CARTPOLE | {"compare_budgets": True},
    ),
]


def clear(settings):
    return arms(**CLEAR) if settings.get("eval_episodes") == 0 else evaluations(**CLEAR)


@pytest.mark.parametrize(("variants", "settings", "why"), INCOMPARABLE)
def test_no_decision_between_arms_that_cannot_be_compared(found, variants, settings, why):
    """Five seeds, 60 apart: whatever the numbers are, they do not answer the question."""
    result = found(range(5), clear(settings), variants=variants, **settings)
    (contrast,) = result.contrasts
    assert (contrast.decision, contrast.withheld, result.arms[1].obstacle) == ("undecided", why, why)
    assert (contrast.p_adjusted, contrast.more_seeds) == (None, None)
    assert verdict(result)[0].startswith("Undecided: fast ")
    assert next(notices(defaulted(variants, settings))).startswith("no verdict on fast: ")


def captured(digit):
    return Code(archive=digit * 64, modules=("mine",))


@pytest.mark.parametrize(
    ("changed", "common", "decision"),
    [
        ((), None, "supported"),
        (("fast/4",), None, "undecided"),
        (("baseline/4", "fast/4"), None, "supported"),  # each seed is compared with itself, on the same code
        (("baseline/3", "fast/4"), None, "undecided"),
        (("fast/4",), "CartPole-v1", "supported"),
        (("fast/4",), "mine:Own-v0", "undecided"),  # whose code is captured, too
    ],
)
def test_no_decision_between_runs_on_different_code(found, changed, common, decision, monkeypatch):
    found(range(5), evaluations(**CLEAR), variants=FAST, evaluation_environment=common)
    code = {f"x/{arm}/{seed}": captured("b" if f"{arm}/{seed}" in changed else "a") for arm in CLEAR for seed in range(5)}
    monkeypatch.setattr(comparison, "code_by_run", lambda reader, experiment: code)
    (contrast,) = found.again().contrasts
    assert (contrast.decision, contrast.withheld) == (decision, "code" if decision == "undecided" else None)
    if decision == "undecided":
        assert verdict(found.again())[0].startswith("Undecided: fast and baseline were not trained on the same code of their")


def early(words, rule):
    """The same runs, ended early by a rule."""
    decided = e.EndDecided(step=1000, rule=rule, why="enough")
    return {run: [decided, *said] for run, said in words.items()}


def test_runs_that_a_rule_has_ended_count_as_any_other_and_are_told(found):
    result = found(range(5), early(evaluations(**CLEAR), "early_stopping"), variants=FAST, early_stopping={"patience": 9})
    (contrast,) = result.contrasts
    assert (contrast.decision, contrast.withheld) == ("supported", None)
    assert any(each.startswith("early_stopping ended the training of 10 of 10 runs at step ") for each in result.caveats)


@pytest.mark.parametrize("arm", ["baseline", "fast"])
def test_no_decision_where_the_clock_has_ended_a_run(found, arm):
    words = evaluations(**CLEAR)
    words |= early({f"{arm}/3": words[f"{arm}/3"]}, "budget.hours")
    result = found(range(5), words, variants=FAST, budget={"hours": 1})
    (contrast,) = result.contrasts
    assert (contrast.decision, contrast.withheld) == ("undecided", "clock")
    assert verdict(result)[0].startswith("Undecided: fast or baseline has runs that the hours of the budget ended")


@pytest.mark.parametrize(("variants", "settings"), COMPARABLE)
def test_a_decision_where_the_arms_can_be_compared(found, variants, settings):
    result = found(range(5), clear(settings), variants=variants, **settings)
    assert (result.contrasts[0].decision, result.arms[1].obstacle) == ("supported", None)
    assert list(notices(defaulted(variants, settings))) == []


def defaulted(variants, settings):
    """The experiment with the defaults of its algorithms, as it is submitted."""
    return with_defaults(experiment(range(5), variants, **settings))


def test_a_default_that_is_written_down_is_the_same_configuration(found):
    """And one that is not the default is another."""
    written = {"learning_rate": 3e-4, "n_envs": 1, "normalize": False, "policy_kwargs": {"activation_fn": "tanh"}}
    for change, identical in (({}, True), ({"n_envs": 2}, False), ({"policy_kwargs": {"activation_fn": "relu"}}, False)):
        wanted = defaulted({"fast": {"hyperparameters": written | change}}, {"baseline": {}})
        assert (obstacle(wanted, wanted.variants[0], "evaluation") == "identical") is identical


def test_what_cannot_be_compared_costs_the_others_nothing(found):
    ends = evaluations(**CLEAR, slow=[70.0] * 5)
    result = found(range(5), ends, variants=FAST | {"slow": {"environment": "Acrobot-v1"}})
    fast, slow = result.contrasts
    assert (fast.decision, fast.p_adjusted) == ("supported", fast.p_value)
    assert (slow.withheld, result.comparisons) == ("environments", (fast,))


def test_the_numbers_of_different_environments_stand_in_no_report(found):
    found(range(5), evaluations(**CLEAR), variants=ELSEWHERE)
    with Reader(found.home) as reader:
        material = gather(reader, findings(reader, "x"))
    for shown in (as_text(material.findings), markdown(material), page(material, {})):
        assert "Supported" not in shown
        assert "t-test over" not in shown
        assert "so their returns cannot be compared" in shown
    assert 'data-decision="undecided">' in page(material, {})
    assert json.loads(as_json(material.findings))["verdict"][0].startswith("Undecided: fast plays Acrobot-v1 and baseline")


# --- caveats ----------------------------------------------------------------------------------------------------------


def test_nothing_has_ended_yet(found):
    result = found(range(3), {})
    assert result.contrasts == ()
    assert result.caveats[0].startswith("9 of 9 runs did not complete and are left out: baseline/0 (queued)")
    assert result.caveats[0].endswith("and 4 more")
    assert "fast cannot be compared with baseline: there is no final return of baseline and fast" in result.caveats


def test_what_failed_is_named_with_its_cause(found):
    caveats = found([0], arms(baseline=[1.0], fast=[2.0]) | {"slow/0": None}).caveats
    assert caveats[0] == "1 of 3 runs did not complete and is left out: slow/0 (failed: crashed(SIGKILL))"
    assert "slow cannot be compared with baseline: there is no final return of slow" in caveats


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e200])
def test_returns_that_are_no_numbers_to_reckon_with_are_left_out_and_named(found, value):
    result = found([0], {"baseline/0": trained(), "fast/0": trained(value), "slow/0": trained(1.0)})
    assert [arm.mean.value if arm.mean else None for arm in result.arms] == [None, None, 1.0]
    assert "no return is known of baseline/0 (completed), fast/0 (completed)" in result.caveats[0]
    assert any("fewer than 100 episodes were finished by 2 completed runs" in caveat for caveat in result.caveats)
    json.loads(as_json(result), parse_constant=pytest.fail)


@pytest.mark.parametrize(("seeds", "few", "mean"), [(2, True, True), (3, True, True), (4, True, False), (5, False, False)])
def test_few_seeds_are_called_few(found, seeds, few, mean):
    values = [float(seed) for seed in range(seeds)]
    caveats = found(range(seeds), evaluations(baseline=values, fast=values, slow=values)).caveats
    assert any(f"{seeds} seeds are few" in caveat for caveat in caveats) is few
    assert any("the interquartile mean is the mean" in caveat for caveat in caveats) is mean


def test_evaluation_and_training_that_point_in_opposite_directions_are_told(found):
    ends = {"baseline/0": trained(5.0, evaluation=1.0), "fast/0": trained(4.0, evaluation=2.0)}
    caveats = found([0], ends | {"slow/0": trained(6.0, evaluation=2.0)}).caveats
    assert [caveat for caveat in caveats if "behind" in caveat] == [
        "fast is ahead of baseline in evaluation and behind it in its last 100 training episodes"
    ]


def test_evaluations_on_other_episodes_are_told(found):
    ends = {"baseline/0": [*trained(1.0), evaluated(1000, 1.0)], "fast/0": [*trained(1.0), evaluated(1000, 1.0, 2.0)]}
    assert "the runs were not all evaluated on the same episodes" in found([0], ends).caveats


def test_arms_in_different_environments_or_trained_unequally_long_are_told(found):
    variants = {"fast": {"training_steps": 2000}, "windy": {"environment_kwargs": {"wind": 3}}}
    assert found([0], {}, variants=variants).caveats[-2:] == (
        "the arms are not trained equally long: baseline for 1,000 steps, fast for 2,000 steps, windy for 1,000 steps",
        "the arms do not play the same environment, nor are they evaluated in the same:"
        " baseline in CartPole-v1, fast in CartPole-v1, windy in CartPole-v1 (wind=3)",
    )


def test_runs_that_could_not_go_on_exactly_are_named(tmp_path):
    """Even where the last of their attempts could: what came before it was not what it would have been."""
    queued_experiment(tmp_path)
    inexact = attempt(2, episode(8), from_step=4, from_episode=1, resume="inexact")
    exact = attempt(3, episode(9), from_step=8, from_episode=2, cause="completed")
    write_log(tmp_path, *attempt(1, episode(4)), *inexact, *exact, batch_of(RUN, e.RunCompleted()))
    write_log(
        tmp_path, *attempt(1, episode(4), run=OTHER), *attempt(2, from_step=4, run=OTHER), batch_of(OTHER, e.RunCompleted())
    )
    with Reader(tmp_path) as reader:
        caveats = findings(reader, "x").caveats
    assert [caveat for caveat in caveats if "bit by bit" in caveat] == [
        "after an interruption, these could not go on bit by bit, and began a new episode instead: baseline/0 (completed)"
    ]


def test_runs_that_went_on_with_other_bits_are_named_and_the_seeds_that_did_not_train_with_the_same(tmp_path):
    """Even where the last of their attempts went on exactly."""
    queued_experiment(tmp_path)
    moved = attempt(2, episode(8), from_step=4, from_episode=1, resume="other_bits")
    exact = attempt(3, episode(9), from_step=8, from_episode=2, cause="completed")
    write_log(tmp_path, *attempt(1, episode(4)), *moved, *exact, batch_of(RUN, e.RunCompleted()))
    placed = batch_of(OTHER, e.AttemptStarted(epoch=1, host="far", cpu=0, bits="b" * 12))
    _, *rest = attempt(1, episode(4), run=OTHER, cause="completed")
    write_log(tmp_path, placed, *rest, batch_of(OTHER, e.RunCompleted()))
    with Reader(tmp_path) as reader:
        caveats = findings(reader, "x").caveats
    assert [caveat for caveat in caveats if "bits" in caveat] == [
        "these went on on a machine that computes other bits, and are not what an undisturbed run is: baseline/0 (completed)",
        "the runs of seed 0 trained on machines that compute different bits: they differ in more than their arms",
    ]


@pytest.mark.parametrize("scheduled", [True, False])
def test_what_an_extension_means_for_a_schedule_is_told(tmp_path, scheduled):
    rate = {"hyperparameters": {"learning_rate": "lin_3e-4" if scheduled else 3e-4}}
    queued_experiment(tmp_path, baseline=rate, training_steps=1000)
    write_log(tmp_path, batch_of("x", e.StepsAdded(arms=("baseline", "v"), training_steps=2000)))
    with Reader(tmp_path) as reader:
        caveats = [caveat for caveat in findings(reader, "x").caveats if "extended" in caveat]
    words = "was extended from 1,000 to 2,000 training steps, and its learning_rate=lin_0.0003 took another course"
    assert [caveat.partition(" than ")[0] for caveat in caveats] == [f"{arm} {words}" for arm in ("baseline", "v") if scheduled]


def test_seeds_that_were_added_cost_and_are_told(found):
    """A p-value is doubled each time; more steps and episodes of evaluation are another look, too, and nothing else is."""
    before = found(range(5), evaluations(baseline=[1.0, 2.0, 3.0, 1.5, 2.5], fast=[2.0, 2.5, 4.5, 1.5, 3.0]), variants=FAST)
    (contrast,) = before.contrasts
    assert contrast.p_adjusted == contrast.p_value
    for seeds, steps, retries, episodes in ((5, 1000, 7, 20), (5, 2000, 7, 20), (9, 2000, 7, 20), (9, 2000, 7, 50)):
        more = experiment(range(seeds), FAST, training_steps=steps, max_retries=retries, eval_episodes=episodes)
        write_log(found.home, batch_of("x", e.ExperimentRestated(experiment=more)))
    result = found.again()
    (contrast,) = result.contrasts
    assert contrast.p_adjusted == pytest.approx(min(1.0, 8 * contrast.p_value))
    assert any(caveat.startswith("arms, seeds, steps or evaluations were added 3 times after") for caveat in result.caveats)
    assert [len(arm.seeds) for arm in result.arms] == [9, 9]


# --- an arm that was added --------------------------------------------------------------------------------------------

MORE = {"wide": {"hyperparameters": {"gamma": 0.7}}}


def add_arms(home, variants, at=None):
    """One command that adds these arms to the experiment."""
    arms = experiment(range(5), FAST | variants).arms[2:]
    write_log(home, groups=[[batch_of("x", *(e.ArmAdded(arm=arm) for arm in arms), at=at)]])
    return arms


def train_all(home, **returns):
    batches = [batch for run, words in evaluations(**returns).items() for batch in completed(f"x/{run}", *words)]
    write_log(home, groups=[batches])


FINALS = {"baseline": [1.0, 2.0, 3.0, 1.5, 2.5], "fast": [2.0, 2.5, 4.5, 1.5, 3.0]}


def test_an_arm_that_was_added_after_results_counts_as_a_test_and_as_a_look(found):
    before = found(range(5), evaluations(**FINALS), variants=FAST)
    (alone,) = before.contrasts
    add_arms(found.home, MORE, at=1_795_000_000_000_000)
    assert found.again().contrasts[0].withheld in (None, "unfinished")
    train_all(found.home, wide=[1.1, 2.2, 3.3, 1.4, 2.6])
    first, second = found.again().contrasts
    assert (first.variant, second.variant, first.p_value) == ("fast", "wide", alone.p_value)
    assert [first.p_adjusted, second.p_adjusted] == pytest.approx(
        [min(1.0, 2 * p) for p in statistics.holm([first.p_value, second.p_value])]
    )
    caveats = found.again().caveats
    assert "wide was added on 2026-11-18 11:06 UTC, after results could be seen" in caveats
    assert any(caveat.startswith("arms, seeds, steps or evaluations were added once after results") for caveat in caveats)


def test_arms_that_are_added_together_are_one_look(found):
    found(range(5), evaluations(**FINALS), variants=FAST)
    add_arms(found.home, MORE | {"slow": {"hyperparameters": {"gamma": 0.6}}}, at=1_795_000_000_000_000)
    train_all(found.home, wide=[1.1, 2.2, 3.3, 1.4, 2.6], slow=[1.0, 2.1, 3.1, 1.3, 2.4])
    result = found.again()
    raw = statistics.holm([contrast.p_value for contrast in result.contrasts])
    assert [contrast.p_adjusted for contrast in result.contrasts] == pytest.approx([min(1.0, 2 * p) for p in raw])
    assert "wide, slow were added on 2026-11-18 11:06 UTC, after results could be seen" in result.caveats


def test_what_is_added_before_any_result_could_be_seen_is_no_look(tmp_path, found):
    """Negative control: the same after the first run has begun to train."""
    wanted = experiment(range(5), FAST)
    write_log(tmp_path, batch_of("x", submitted(wanted), e.ExperimentStarted()))
    add_arms(tmp_path, MORE, at=1_795_000_000_000_000)
    write_log(tmp_path, batch_of("x", e.StepsAdded(arms=("fast",), training_steps=2000), at=1_795_000_060_000_000))
    seen = found.again().caveats
    assert "wide was added on 2026-11-18 11:06 UTC, before any result could be seen" in seen
    assert not [caveat for caveat in seen if "p-values are doubled" in caveat]
    start = e.TrainingStarted(epoch=1, pid=1, n_envs=1, device="cpu")
    write_log(tmp_path, batch_of("x/baseline/0", e.AttemptStarted(epoch=1, host=HOST, cpu=0)))
    write_log(tmp_path, batch_of("x/baseline/0", start, producer=1))
    add_arms(tmp_path, {"slow": {"hyperparameters": {"gamma": 0.6}}}, at=1_795_000_120_000_000)
    seen = found.again().caveats
    assert "slow was added on 2026-11-18 11:08 UTC, after results could be seen" in seen
    assert any("were added once after results could be seen" in caveat for caveat in seen)


def test_that_results_could_be_seen_is_decided_by_the_log_and_not_by_a_clock(tmp_path, found):
    """The trainer's clock is a day ahead of the supervisor's."""
    write_log(tmp_path, batch_of("x", submitted(experiment(range(5), FAST)), e.ExperimentStarted(), at=1_795_000_000_000_000))
    start = e.TrainingStarted(epoch=1, pid=1, n_envs=1, device="cpu")
    write_log(tmp_path, batch_of("x/baseline/0", e.AttemptStarted(epoch=1, host=HOST, cpu=0)))
    write_log(tmp_path, batch_of("x/baseline/0", start, at=1_795_086_400_000_000, producer=1))
    add_arms(tmp_path, MORE, at=1_795_000_060_000_000)
    assert any("after results could be seen" in caveat and caveat.startswith("wide") for caveat in found.again().caveats)


def test_an_added_arm_that_is_extended_says_so_as_every_other(tmp_path):
    rate = {"hyperparameters": {"learning_rate": "lin_3e-4"}}
    queued_experiment(tmp_path)
    (arm,) = experiment([0], {"wide": rate}).variants
    write_log(tmp_path, batch_of("x", e.ArmAdded(arm=arm)), batch_of("x", e.StepsAdded(arms=("wide",), training_steps=2000)))
    with Reader(tmp_path) as reader:
        caveats = [caveat for caveat in findings(reader, "x").caveats if "extended" in caveat]
    assert [caveat.partition(" than ")[0] for caveat in caveats] == [
        "wide was extended from 1,000 to 2,000 training steps, and its learning_rate=lin_0.0003 took another course"
    ]


def test_tries_with_the_same_baseline_are_told_and_only_those(found):
    """An experiment of its own for each variant is corrected for nothing: who reads the verdict must know of the others."""
    alone = found(range(5), evaluations(**CLEAR), variants=FAST)
    assert (alone.other_tries, [caveat for caveat in alone.caveats if "tries" in caveat]) == (OtherTries(), [])
    for name, settings in (("y", {}), ("z", {"variants": VARIANTS}), ("elsewhere", {"environment": "Acrobot-v1"})):
        other = experiment(range(5), **({"variants": FAST, "experiment_id": name} | settings))
        batches = [batch for arm in other.arms for batch in completed(f"{name}/{arm.name}/0", e.WarningRaised(message="!"))]
        write_log(found.home, groups=[[batch_of(name, submitted(other)), *batches]])
    assert found.again().other_tries == OtherTries()  # none of them has trained a step
    for run in ("y/fast/1", "z/fast/1", "z/slow/1", "elsewhere/fast/1"):
        write_log(found.home, groups=[[*completed(run, written_homes.steps(0, 10))]])
    result = found.again()
    assert result.other_tries == OtherTries(experiments=2, variants=3)
    assert [caveat for caveat in result.caveats if "tries" in caveat] == [
        "2 other experiments of this home compared 3 variants with the same baseline; who tries often enough finds a variant"
        " that seems better, and p-values are not corrected for those tries"
    ]
    assert result.contrasts == alone.contrasts
    assert json.loads(as_json(result))["other_tries"] == {"experiments": 2, "variants": 3, "unknown": 0}
    assert "note: 2 other experiments of this home compared 3 variants" in as_text(result)
