"""The verdict in words: what a person is told of findings."""

from dataclasses import replace

from lander.reports.analysis.findings import ArmFinding, Contrast, Estimate, Findings, RunFinding
from lander.reports.render.verdict import method, verdict

COSTS = dict.fromkeys(("wall_seconds", "cpu_seconds", "steps_per_second"))


def run(arm, seed, state):
    unknown = dict.fromkeys(("cause", "resume", "best", "best_step", "area", "steps_to_threshold"))
    counts = dict.fromkeys(("attempts", "step", "total_steps", "episodes"), 1)
    final = 1.0 if state == "completed" else None
    return RunFinding(run=f"demo/{arm}/{seed}", arm=arm, seed=seed, state=state, final=final, **unknown, **counts, **COSTS)


def arm(name, completed, others):
    """An arm of so many completed runs, and others in these states."""
    runs = [run(name, seed, state) for seed, state in enumerate(["completed"] * completed + others)]
    returns = {each.seed: each.final for each in runs if each.final is not None}
    role = "baseline" if name == "baseline" else "variant"
    unknown = dict.fromkeys(("mean", "median", "iqm", "spread", "best", "area", "steps_to_threshold"))
    seeds = tuple(each.seed for each in runs)
    played = {"environment": "CartPole-v1", "training_steps": 1000, "obstacle": None}
    values = {"seeds": seeds, "runs": tuple(runs), "returns": returns, "reached": 0}
    return ArmFinding(name=name, role=role, **played, **values, **unknown, **COSTS)


def contrast(variant="fast", **changes):
    return replace(
        Contrast(
            variant=variant,
            baseline="baseline",
            paired=True,
            compared=5,
            area=None,
            difference=Estimate(value=35.24, low=12.1, high=58.38),
            better=5,
            probability_of_improvement=Estimate(value=0.9),
            effect_size=1.2,
            test="paired t-test",
            p_value=0.008,
            p_adjusted=0.008,
            rank_test="Wilcoxon signed-rank test",
            rank_p_value=0.0625,
            decision="supported",
            withheld=None,
            more_seeds=None,
        ),
        **changes,
    )


def told(
    *contrasts,
    state="completed",
    measure="evaluation",
    counts=(5, 5),
    names=("fast",),
    origin=None,
    others=(),
    common=None,
    baseline=None,
    **last,
):
    """The verdict; `others` are the states of runs of the last arm that did not complete, `last` what else is found of it,
    `baseline` what is found of the first."""
    arms = [arm(name, count, []) for name, count in zip(("baseline", *names), counts, strict=True)]
    arms[0] = replace(arms[0], **(baseline or {}))
    arms[-1] = replace(arm(arms[-1].name, counts[-1], list(others)), **last)
    return verdict(
        Findings(
            experiment="demo",
            hypothesis="More",
            state=state,
            position=1,
            measure=measure,
            threshold=None,
            arms=tuple(arms),
            contrasts=contrasts,
            caveats=(),
            evaluation_environment=common,
            origin=origin,
        )
    )


def test_a_decision_comes_with_its_numbers():
    assert told(contrast()) == [
        "Supported: fast returned 35.2 more than baseline in evaluation, 95 % interval 12.1 to 58.4"
        " (paired t-test over 5 seeds, p = 0.008), and did better with 5 of 5 seeds."
    ]
    worse = contrast(difference=Estimate(value=-0.5, low=-0.75, high=-0.25), decision="refuted", better=0, p_adjusted=0.0004)
    assert told(replace(worse, p_value=0.0002), measure="training") == [
        "Refuted: fast returned 0.500 less than baseline in the last 100 episodes of training, 95 % interval −0.750 to −0.250"
        " (paired t-test over 5 seeds, p < 0.001, and p < 0.001 corrected for the number of tests),"
        " and did better with 0 of 5 seeds."
    ]


def test_what_is_undecided_says_how_many_more_seeds_would_probably_decide():
    (sentence,) = told(contrast(decision="undecided", p_value=0.04, p_adjusted=0.08, more_seeds=7))
    assert sentence.endswith(
        "p = 0.040, and p = 0.080 corrected for the number of tests), and did better with 5 of 5 seeds."
        " If difference and spread are what they seem, about 7 more seeds would decide with 80 % probability"
        " (lander-ctl run demo --seeds +7 adds 7)."
    )
    (sentence,) = told(contrast(decision="undecided", p_value=0.9, p_adjusted=0.9))
    assert sentence.endswith(
        "Even 200 more seeds would probably not decide: beside the spread between seeds the difference is small."
    )


def test_one_seed_is_never_enough_and_what_to_do_is_said():
    one = contrast(compared=1, difference=Estimate(value=-3.0), better=0, p_value=None, p_adjusted=None, decision="undecided")
    assert told(one, counts=(1, 1)) == [
        "Undecided: fast returned 3.00 less than baseline in evaluation (1 seed, too few for a test), and did better with"
        " 0 of 1 seed. One seed shows nothing of what is chance: lander-ctl run demo --seeds +4 adds 4."
    ]


def test_a_fork_is_never_told_to_add_seeds_that_it_cannot_have():
    one = contrast(compared=1, difference=Estimate(value=-3.0), better=0, p_value=None, p_adjusted=None, decision="undecided")
    several = contrast(decision="undecided", p_value=0.08, p_adjusted=0.08, more_seeds=7)
    for fork, more in ((told(one, counts=(1, 1), origin="x/base"), 4), (told(several, origin="x/base"), 7)):
        assert f"fork x/base anew with {more} more of its seeds, trained there first if need be" in fork[0]
        assert "--seeds" not in fork[0]


def test_groups_are_counted_by_runs():
    (sentence,) = told(contrast(paired=False, compared=4, test="Welch's t-test"), counts=(5, 4))
    assert "(Welch's t-test over 4 runs of each, p = 0.008)." in sentence


def test_what_was_stopped_is_no_result_and_how_to_go_on_is_said():
    (sentence,) = told(contrast(decision="undecided", withheld="unfinished"), state="stopped", others=["stopped", "paused"])
    assert sentence.startswith("Undecided so far: fast returned 35.2 more")
    assert sentence.endswith(
        "There is no verdict before every run is over, or stopping at the right moment would make one:"
        " lander-ctl resume demo goes on."
    )


def test_what_exceeded_a_limit_goes_on_only_once_that_is_raised():
    runs = tuple(replace(each, cause="limit_exceeded") for each in arm("fast", 0, ["stopped"]).runs)
    (sentence,) = told(contrast(decision="undecided", withheld="unfinished"), state="stopped", runs=runs)
    assert sentence.endswith("lander-ctl resume demo goes on, once the limit is raised that lander-ctl status demo names.")


def test_runs_that_came_to_nothing_stand_in_the_sentence_and_may_withhold_the_decision():
    (sentence,) = told(contrast(compared=4), counts=(5, 4), others=["failed"], state="failed")
    assert sentence.startswith("Supported: ")
    assert sentence.endswith("did better with 5 of 4 seeds; 1 of 5 runs of fast came to nothing.")
    withheld = contrast(decision="undecided", withheld="failures")
    (sentence,) = told(withheld, counts=(5, 3), others=["failed", "skipped"], state="failed")
    assert sentence.endswith(
        "; 2 of 5 runs of fast came to nothing. It would be decided by those that completed, but not if the others had returned"
        " the least of all. Once their cause is mended, lander-ctl retry demo tries them again."
    )
    (sentence,) = told(counts=(5, 0), others=["failed"] * 5, state="failed")
    assert sentence == (
        "Undecided: no run of fast has completed with a return; 5 of 5 runs of fast came to nothing."
        " Once their cause is mended, lander-ctl retry demo tries them again."
    )


def test_runs_whose_environment_failed_are_tried_again_on_new_code():
    """On what was captured they would fail as they did; and arms that trained on different code may get no verdict."""

    def advice(cause, same_seeds=True):
        """The advice where runs of fast were lost, and those of the baseline with the same seeds, or none."""
        lost, whole = (arm("fast", *count).runs for count in ((3, ["failed"] * 2), (5, [])))
        runs = tuple(replace(each, cause=cause if each.final is None else None) for each in lost)
        found = told(counts=(0, 0), state="failed", runs=runs, baseline={"runs": runs if same_seeds else whole})
        return found[0].rpartition("Once their cause is mended, ")[2]

    both = "lander-ctl retry demo --new-code begins them anew"
    other = "; if that changes the code of the environment, a verdict may need a new experiment, which trains all arms on it."
    assert advice("environment_error") == f"{both}."
    assert advice("environment_error", same_seeds=False) == both + other
    assert advice("out_of_memory") == "lander-ctl retry demo tries them again."


def test_arms_that_play_different_environments_get_no_decision_and_the_reason_comes_first():
    words = contrast(decision="undecided", withheld="environments", p_adjusted=None)
    last = {"environment": "Acrobot-v1", "obstacle": "environments"}
    assert told(words, **last) == [
        "Undecided: fast plays Acrobot-v1 and baseline plays CartPole-v1, so their returns cannot be compared. In a new"
        " experiment, evaluation_environment: NAME has the policies of all arms evaluated in one environment."
    ]
    (sentence,) = told(words, measure="training", common="CartPole-v1", **last)
    assert sentence.endswith(
        "They could be in CartPole-v1, but not every completed run was evaluated there at its end:"
        " lander-ctl run demo --eval-episodes N has it done."
    )
    assert told(counts=(0, 0), state="running", **last)[0].startswith("Undecided: fast plays Acrobot-v1 and baseline")


def test_a_decision_in_a_common_environment_names_it():
    (sentence,) = told(contrast(), common="CartPole-v1 (length=2)")
    assert sentence.startswith("Supported: fast returned 35.2 more than baseline in evaluation in CartPole-v1 (length=2), 95 %")


def test_different_budgets_are_the_reason_first_or_stand_in_the_sentence():
    words = contrast(decision="undecided", withheld="budgets", p_adjusted=None)
    (sentence,) = told(words, training_steps=2000, obstacle="budgets")
    assert sentence.startswith(
        "Undecided: fast is trained for 2,000 steps and baseline for 1,000, so a difference may come from the budget alone."
        " For the record: fast returned 35.2 more than baseline in evaluation"
    )
    assert "(paired t-test over 5 seeds, p = 0.008), and did better with 5 of 5 seeds." in sentence
    assert sentence.endswith("compare_budgets: true in the file of a new experiment says so.")
    assert told(contrast(), training_steps=2000)[0].startswith(
        "Supported: fast (trained for 2,000 steps) returned 35.2 more than baseline (trained for 1,000 steps) in evaluation"
    )


def test_an_arm_that_is_the_baseline_is_named():
    assert told(contrast(decision="undecided", withheld="identical"), obstacle="identical") == [
        "Undecided: fast is configured exactly as baseline, so there is nothing to compare."
    ]


def test_what_still_trains_is_judged_so_far():
    (sentence,) = told(contrast(decision="undecided", more_seeds=3), state="running", others=["running"])
    assert sentence.startswith("Undecided so far: fast returned")
    assert sentence.endswith("Not all runs of the experiment have ended.")
    assert "--seeds" not in sentence


def test_a_variant_without_a_return_is_undecided_and_says_why():
    assert told(contrast(), names=("fast", "slow"), counts=(5, 5, 0))[1] == (
        "Undecided: no run of slow has completed with a return."
    )
    assert told(counts=(0, 0)) == ["Undecided: no run of baseline and none of fast has completed with a return."]


def test_equal_is_called_equal():
    same = contrast(difference=Estimate(value=0.0), p_value=1.0, p_adjusted=1.0, better=0, decision="undecided")
    (sentence,) = told(same)
    assert sentence.startswith("Undecided: fast returned as much as baseline in evaluation (paired t-test over 5 seeds,")
    assert sentence.endswith(
        "the same to the last digit: only another task, or another number of steps, could tell them apart."
    )


def test_a_p_value_near_the_level_is_never_rounded_onto_it():
    """Else a reader would see p = 0.050 and wonder on which side of the level it is."""
    assert "p = 0.0498" in told(contrast(p_value=0.0498, p_adjusted=0.0498))[0]
    assert "p = 0.0502" in told(contrast(p_value=0.0502, p_adjusted=0.0502, decision="undecided"))[0]
    assert "p = 0.04999)" in told(contrast(p_value=0.04999, p_adjusted=0.04999))[0]


def test_how_the_numbers_come_about_is_told():
    findings = Findings(
        experiment="demo",
        hypothesis="",
        state="completed",
        position=1,
        measure="training",
        threshold=195.0,
        arms=(),
        contrasts=(),
        caveats=(),
    )
    assert "exploration included" in method(findings)[0]
    assert "nor from fewer than 4 seeds" in method(findings)[2]
    assert method(findings)[-1].startswith("The threshold is a mean return of 195 over the last 100 training episodes")
    assert "the same episodes for all" in method(replace(findings, measure="evaluation", threshold=None))[0]
