"""The verdict: from recorded episodes to numbers and plain sentences."""

import json
import math
from statistics import stdev

import pytest

from lander.protocol import events as e
from lander.protocol.errors import NotFoundError
from lander.protocol.experiment import Experiment
from lander.reports.text import as_json, as_text
from lander.reports.verdict import verdict
from lander.store.event_store import said
from lander.store.reader import DATABASE, Reader
from lander.store.sqlite import SqliteEventStore
from tests.chronicle import OTHER, RUN, attempt, begun, episode, tell
from tests.histories import experiment as histories_experiment


def experiment(seeds):
    form = {"environment": "CartPole-v1", "algorithm": "PPO", "training_steps": 1000, "seeds": seeds, "hypothesis": "More"}
    variants = {"fast": {"hyperparameters": {"gamma": 0.9}}, "slow": {"hyperparameters": {"gamma": 0.8}}}
    return Experiment.model_validate(form | {"experiment_id": "x", "baseline": {}, "variants": variants})


def completed(*returns):
    """What a run records that finishes episodes with these returns and completes."""
    episodes = [
        e.EpisodeFinished(env=0, first_step=n, last_step=n + 1, length=1, episode_return=value)
        for n, value in enumerate(returns)
    ]
    return episodes, [e.AttemptEnded(epoch=1, cause="completed"), e.RunCompleted()]


def failed():
    return [], [e.AttemptEnded(epoch=1, cause="crashed", signal="SIGKILL"), e.RunFailed(cause="crashed(SIGKILL)")]


@pytest.fixture
def judged(tmp_path):
    """The verdict on runs that ended as told; runs of which nothing is told are queued."""

    async def judge(seeds, ends):
        store = await SqliteEventStore.open(tmp_path / DATABASE)
        submitted = e.ExperimentSubmitted(experiment=experiment(seeds), execution=e.Execution(), manifest={})
        await store.append(said("x", submitted, e.ExperimentStarted()))
        for run, (trained, ended) in ends.items():
            await store.append(said(f"x/{run}", e.AttemptStarted(epoch=1, host="local", cpu=0)))
            started = e.TrainingStarted(epoch=1, pid=1, n_envs=1, device="cpu")
            await store.append(said(f"x/{run}", started, *trained, producer=1))
            await store.append(said(f"x/{run}", *ended))
        await store.close()
        with Reader(tmp_path) as reader:
            return verdict(reader, "x")

    return judge


def test_runs_that_could_not_go_on_exactly_are_named(tmp_path):
    """Even where the last of their attempts could: what came before it was not what it would have been."""
    begun(tmp_path)
    inexact = attempt(2, episode(8), from_step=4, from_episode=1, resume="inexact")
    exact = attempt(3, episode(9), from_step=8, from_episode=2, cause="completed")
    tell(tmp_path, *attempt(1, episode(4)), *inexact, *exact, said(RUN, e.RunCompleted()))
    tell(tmp_path, *attempt(1, episode(4), run=OTHER), *attempt(2, from_step=4, run=OTHER), said(OTHER, e.RunCompleted()))
    with Reader(tmp_path) as reader:
        caveats = verdict(reader, "x").caveats
    assert [caveat for caveat in caveats if "bit by bit" in caveat] == [
        "after an interruption, these could not go on bit by bit, and began a new episode instead: baseline/0 (completed)"
    ]


@pytest.mark.parametrize("scheduled", [True, False])
def test_what_an_extension_means_for_a_schedule_is_told(tmp_path, scheduled):
    rate = {"hyperparameters": {"learning_rate": "lin_3e-4" if scheduled else 3e-4}}
    begun(tmp_path, baseline=rate, training_steps=1000)
    tell(tmp_path, said("x", e.ExperimentExtended(experiment=histories_experiment(baseline=rate, training_steps=2000))))
    with Reader(tmp_path) as reader:
        caveats = [caveat for caveat in verdict(reader, "x").caveats if "extended" in caveat]
    words = "was extended from 1,000 to 2,000 training steps, and its learning_rate=lin_0.0003 took another course"
    assert [caveat.partition(" than ")[0] for caveat in caveats] == [f"{arm} {words}" for arm in ("baseline", "v") if scheduled]


def test_arms_that_are_not_trained_equally_long_are_told(tmp_path):
    longer = {"fast": {"training_steps": 2000}}
    form = {"experiment_id": "x", "environment": "CartPole-v1", "algorithm": "PPO", "training_steps": 1000, "seeds": [0]}
    wanted = Experiment.model_validate(form | {"baseline": {}, "variants": longer})
    tell(tmp_path, said("x", e.ExperimentSubmitted(experiment=wanted, execution=e.Execution(), manifest={})))
    with Reader(tmp_path) as reader:
        assert verdict(reader, "x").caveats[-1] == (
            "the arms are not trained equally long: baseline for 1,000 steps, fast for 2,000 steps"
        )


async def test_arms_are_summarised_and_variants_paired_by_seed(judged):
    ends = {
        "baseline/0": completed(*[0.0] * 50, *[10.0] * 100),  # the first 50 do not count: the last 100 do
        "baseline/1": completed(*[20.0] * 100),
        "baseline/2": completed(*[90.0] * 100),
        "fast/0": completed(*[11.0] * 100),
        "fast/1": completed(*[24.0] * 100),
        "fast/2": failed(),
        "slow/0": completed(*[7.0] * 100),
        "slow/1": completed(*[17.0] * 100),
        "slow/2": completed(*[87.0] * 100),
    }
    found = await judged([0, 1, 2], ends)
    baseline, fast, slow = found.arms
    assert (baseline.role, fast.role, slow.name) == ("baseline", "variant", "slow")
    assert baseline.returns == {0: 10.0, 1: 20.0, 2: 90.0}
    assert (baseline.mean, baseline.spread) == (40.0, stdev([10, 20, 90]))
    assert (fast.seeds, fast.returns) == ((0, 1, 2), {0: 11.0, 1: 24.0})
    first, second = found.differences
    assert (first.variant, first.seeds, first.mean, first.spread, first.better) == ("fast", (0, 1), 2.5, stdev([1, 4]), 2)
    assert (second.variant, second.mean, second.spread, second.better) == ("slow", -3.0, 0.0, 0)
    assert found.caveats == ("1 of 9 runs did not complete and are left out: fast/2 (failed: crashed(SIGKILL))",)


async def test_the_text_describes_and_the_json_holds_everything(judged):
    ends = {
        f"{arm}/{seed}": completed(*[value + seed] * 100) for arm, value in (("baseline", 1), ("fast", 3)) for seed in (0, 1)
    }
    found = await judged([0, 1], ends)
    text = as_text(found)
    assert "x: running – More" in text
    assert "baseline  final return 1.50 ± 0.71 over 2 of 2 seeds" in text
    assert "slow      final return unknown, over 0 of 2 seeds" in text
    pairs = "over 2 pairs of runs with the same seed"
    assert f"on average fast returned 2.00 (± 0.00) more than baseline {pairs}, and did better in 2 of them" in text
    assert "slow and baseline have completed no seed in common: they cannot be compared" in text
    data = json.loads(as_json(found))
    assert data["arms"][1]["returns"] == {"0": 3.0, "1": 4.0}
    assert data["differences"][0]["better"] == 2
    assert data["caveats"] == list(found.caveats)


async def test_one_seed_says_nothing_about_spread(judged):
    found = await judged([7], {"baseline/7": completed(*[5.0] * 100), "fast/7": completed(*[4.0] * 100)})
    assert (found.arms[0].spread, found.differences[0].spread) == (None, None)
    assert "fast returned 1.00 less than baseline in the one pair of runs with the same seed" in as_text(found)
    assert "one seed says nothing about spread: the difference of fast may well be chance" in found.caveats


async def test_runs_without_a_return_are_named(judged):
    found = await judged([0], {"baseline/0": completed(), "fast/0": completed(math.nan), "slow/0": completed(1.0)})
    assert [arm.mean for arm in found.arms] == [None, None, 1.0]
    assert "no return is known of baseline/0 (completed), fast/0 (completed)" in found.caveats[0]
    assert "fewer than 100 episodes were finished by 2 completed runs" in found.caveats[1]
    json.loads(as_json(found), parse_constant=pytest.fail)


async def test_nothing_has_ended_yet(judged):
    found = await judged([0, 1, 2], {})
    assert found.differences == ()
    assert found.caveats[0].startswith("9 of 9 runs did not complete and are left out: baseline/0 (queued)")
    assert found.caveats[0].endswith("and 4 more")


async def test_an_unknown_experiment_is_answered_with_the_nearest(judged, tmp_path):
    await judged([0], {})
    with Reader(tmp_path) as reader, pytest.raises(NotFoundError, match="xx: no such experiment or run; did you mean x"):
        verdict(reader, "xx")
