"""Forks on paper: what may be different, what is written down, what is kept, and what the core makes of it."""

import hashlib
import json
import os
import re
import sys
from functools import partial

import gymnasium
import pytest

from lander.app.forking import fork_request
from lander.app.requests import recorded
from lander.experiments.fork_rules import UNFIT
from lander.experiments.hyperparameter_tables import ALGORITHMS
from lander.experiments.hyperparameters import accepted
from lander.experiments.parsing import parse_experiment
from lander.experiments.writing import as_written
from lander.home.layout import artifact_path
from lander.protocol import commands as c
from lander.protocol import ending_rules
from lander.protocol import events as e
from lander.protocol.digests import content, digest
from lander.protocol.errors import ConfigurationError, NotFoundError
from lander.protocol.wire import decode_event, encode_event
from lander.reports.analysis.comparison import findings
from lander.reports.render.verdict import verdict
from lander.store.log.event_store import batch_of
from lander.store.log.reader import Reader
from lander.store.projections.rebuild import rebuild
from lander.store.projections.status import status
from lander.store.records.ancestry import Ancestor, ancestry, episodes_with_past
from lander.store.records.checkpoint_record import checkpoints_by_run
from lander.store.records.run_record import Record
from lander.store.records.sections import experiment_at, sections
from lander.store.upkeep import retention
from lander.store.upkeep.backup import back_up
from lander.store.upkeep.integrity import check
from lander.store.upkeep.retention import Retention, garbage
from lander.supervisor.core.effects import StartAttempt
from tests.support.decision_driver import DecisionDriver
from tests.support.histories import checkpoint as paper
from tests.support.histories import experiment, origin, submitted
from tests.support.written_homes import RUN, attempt, checkpoint, episode, queued_experiment, steps, write_log


def fork_of(checkpoints, name="f", of=("x", "baseline"), **settings):
    return experiment(name, seeds=tuple(checkpoints), origin=origin(checkpoints, of), **settings)


def refusals(baseline, change, algorithm="PPO", **rest):
    """The lines with which a change at step 4 is refused; none where it is not."""
    form = {
        "algorithm": algorithm,
        "environment": "CartPole-v1",
        "training_steps": 1000,
        "seeds": [0],
        "origin": origin({0: paper(4)}),
    }
    arms = {"baseline": {"hyperparameters": baseline}, "variant": {"hyperparameters": change}}
    try:
        parse_experiment(form | arms | rest, source="f")
    except ConfigurationError as error:
        return str(error).splitlines()
    return []


# --- what may be different --------------------------------------------------------------------------------------------

FITTING = {
    "PPO": "batch_size clip_range clip_range_vf ent_coef gae_lambda gamma learning_rate max_grad_norm n_epochs n_steps"
    " normalize_advantage sde_sample_freq stats_window_size target_kl vf_coef",
    "A2C": "ent_coef gae_lambda gamma learning_rate max_grad_norm n_steps normalize_advantage sde_sample_freq stats_window_size"
    " vf_coef",
    "DQN": "batch_size exploration_final_eps exploration_fraction exploration_initial_eps gamma gradient_steps learning_rate"
    " learning_starts max_grad_norm n_steps stats_window_size target_update_interval tau train_freq",
    "SAC": "action_noise batch_size ent_coef gamma gradient_steps learning_rate learning_starts n_steps sde_sample_freq"
    " stats_window_size target_entropy target_update_interval tau train_freq use_sde_at_warmup",
    "TD3": "action_noise batch_size gamma gradient_steps learning_rate learning_starts n_steps policy_delay stats_window_size"
    " target_noise_clip target_policy_noise tau train_freq",
    "DDPG": "action_noise batch_size gamma gradient_steps learning_rate learning_starts n_steps tau train_freq",
    "TRPO": "batch_size cg_damping cg_max_steps gae_lambda gamma learning_rate line_search_max_iter"
    " line_search_shrinking_factor n_critic_updates n_steps normalize_advantage sde_sample_freq stats_window_size"
    " sub_sampling_factor target_kl",
    "ARS": "alive_bonus_offset delta_std learning_rate n_delta n_eval_episodes n_top stats_window_size",
}
FITTING |= {
    "TQC": FITTING["SAC"] + " top_quantiles_to_drop_per_net",
    "CrossQ": FITTING["SAC"] + " policy_delay",
    "QRDQN": FITTING["DQN"],
    "RecurrentPPO": FITTING["PPO"],
    "MaskablePPO": FITTING["PPO"],
}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_hyperparameter_has_been_thought_about(algorithm):
    """A new one must be put on one of the two lists: does the state of a checkpoint still fit when it changes?"""
    decided = set(FITTING[algorithm].split()) | UNFIT.keys() | {"normalize", *ending_rules.SETTINGS}  # rules begin anew
    assert set(accepted(algorithm)) - decided == set()
    assert not set(FITTING[algorithm].split()) & UNFIT.keys()


@pytest.mark.parametrize(
    ("algorithm", "before", "after", "reason"),
    [
        ("PPO", {}, {"n_envs": 4}, "n_envs: .* as many environments"),
        ("PPO", {}, {"policy": "CnnPolicy"}, "policy: .* networks"),
        ("PPO", {}, {"policy_kwargs": {"net_arch": [8]}}, "policy_kwargs: .* networks"),
        ("PPO", {}, {"use_sde": True}, "use_sde: .* networks"),
        ("A2C", {}, {"use_rms_prop": False}, "use_rms_prop: .* optimizer"),
        ("A2C", {}, {"rms_prop_eps": 0.1}, "rms_prop_eps: .* optimizer"),
        ("DQN", {"buffer_size": 500}, {"buffer_size": 400}, "buffer_size: .* replay buffer"),
        ("PPO", {}, {"normalize": True}, "normalize: .* no statistics"),
        ("PPO", {"normalize": True}, {"normalize": False}, "normalize: .* normalized data"),
        ("PPO", {"normalize": True}, {"normalize": {"norm_obs": False}}, "normalize: .* other observations"),
        ("SAC", {}, {"ent_coef": "auto_0.1"}, "ent_coef: .* learned by now"),
        ("TD3", {}, {"action_noise": {"type": "ornstein_uhlenbeck", "sigma": 0.1}}, "action_noise: .* remembers"),
    ],
)
def test_what_would_not_fit_is_refused(algorithm, before, after, reason):
    (line,) = refusals(before, after, algorithm)
    assert line.startswith("f: variant.hyperparameters.")
    assert re.search(reason, line), line


@pytest.mark.parametrize(
    ("algorithm", "before", "after"),
    [
        ("PPO", {}, {"ent_coef": 0.01, "n_steps": 32, "learning_rate": "lin_1e-3"}),
        ("PPO", {"normalize": True}, {"normalize": {"clip_obs": 3.0, "norm_reward": False}}),
        ("SAC", {}, {"ent_coef": 0.1}),
        ("SAC", {"ent_coef": 0.1}, {"ent_coef": "auto"}),
        ("TD3", {}, {"action_noise": {"type": "normal", "sigma": 0.1}}),
        ("DQN", {}, {"n_steps": 3}),
    ],
)
def test_what_fits_is_not_refused(algorithm, before, after):
    assert refusals(before, after, algorithm) == []


def test_other_refusals_name_the_field():
    assert refusals({}, {}, training_steps=4) == [
        "f: training_steps: found 4; must be more than 4, the step at which it was forked: training_steps=N"
    ]
    forked = "must be seeds that were forked, 0: have more trained in x, and fork that anew"
    assert refusals({}, {}, seeds=[0, 7]) == [f"f: seeds: found 7; {forked}"]
    assert refusals({}, {}, variant={"device": "cuda"}) == [
        "f: variant.device: cannot be changed by a fork: what is forked has 'cpu'"
    ]
    (line,) = refusals({}, {}, variant={"environment": "Acrobot-v1"})
    assert line.startswith("f: variant.environment: cannot be changed by a fork")


# --- what is written down ---------------------------------------------------------------------------------------------


def test_an_experiment_that_is_no_fork_has_the_digest_it_always_had():
    assert "origin" not in content(experiment())
    text = json.dumps(content(experiment()), sort_keys=True, separators=(",", ":"))
    assert digest(experiment()) == hashlib.sha256(text.encode()).hexdigest()
    assert digest(fork_of({0: paper(4)}, name="x")) != digest(experiment())
    assert digest(fork_of({0: paper(4)})) != digest(fork_of({0: paper(5)}))


def test_a_fork_is_named_after_its_origin_and_comes_back_from_the_log_and_from_json():
    wanted = fork_of({0: paper(4, pages=("a" * 64,), finished=True)}, name=None)
    assert wanted.experiment_id == f"x-fork-{digest(wanted)[:8]}"
    event = decode_event(e.ExperimentSubmitted.kind, encode_event(submitted(wanted)))
    assert event.experiment == wanted
    assert parse_experiment(as_written(wanted), source="f")[0] == wanted
    assert e.CheckpointCommitted.forked(wanted, 0) == paper(4, pages=("a" * 64,), finished=True)


def test_at_its_first_step_it_is_forked_as_what_it_was_forked_from(home):
    """Its own checkpoints are at 8 and 10; the negative control is a step at which there is none."""
    four, again = (fork_request(home, run, "4", ["gamma=0.9"], execution={}).experiment.origin for run in (RUN, "f/v"))
    assert (again.run(0), again.branch(0).step) == ("f/v/0", 4)
    assert again.branch(0) == four.branch(0)
    with pytest.raises(NotFoundError, match="f/v/0: has no checkpoint at step 5; the nearest are at 4, 8, 10"):
        fork_request(home, "f/v", "5", ["gamma=0.9"], execution={})
    with Reader(home) as reader:
        assert [experiment_at(reader, run, 4).experiment_id for run in (RUN, "f/v/0", "g/v/0")] == ["x", "f", "g"]


def test_a_fork_without_a_checkpoint_of_its_own_has_none_to_choose_but_its_first(home):
    with pytest.raises(NotFoundError, match="f/baseline/0: has no checkpoint yet"):
        fork_request(home, "f/baseline", "last", ["gamma=0.9"], execution={})
    assert fork_request(home, "f/baseline", "4", ["gamma=0.9"], execution={}).experiment.origin.branch(0).step == 4


def test_what_was_collected_is_not_offered(home):
    """Negative control: while its file is there, it can be forked, and is offered."""
    with Reader(home) as reader:
        path = artifact_path(home, next(each for each in Record(reader, RUN).checkpoints() if each.step == 7).sha256)
    request = partial(fork_request, home, RUN, overrides=["gamma=0.9"], execution={})
    assert request(at="7").experiment.origin.branch(0).step == 7
    with pytest.raises(NotFoundError, match="no checkpoint at step 6; the nearest are at 4, 7, 10"):
        request(at="6")
    path.unlink()
    with pytest.raises(NotFoundError, match=rf"the checkpoint at step 7 is gone \({path}\); the nearest are at 4, 10"):
        request(at="7")
    with pytest.raises(NotFoundError, match="no checkpoint at step 6; the nearest are at 4, 10"):
        request(at="6")


@pytest.fixture
def submitted_there(tmp_path, monkeypatch):
    """A home whose experiment has an environment of its own, in the directory from which it was submitted; we are in another.

    Called with what is recorded of that directory.
    """
    for name in ("there", "here"):
        (tmp_path / name).mkdir()
    register = "import gymnasium\ngymnasium.register('There-v0', entry_point='gymnasium.envs.classic_control:CartPoleEnv')\n"
    (tmp_path / "there" / "only_there.py").write_text(register)
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(sys, "path", list(sys.path))

    def submit(directory):
        home = tmp_path / f"home {directory}"
        wanted = experiment(environment="only_there:There-v0")
        queued = [batch_of(run.id, e.RunQueued()) for run in wanted.runs]
        write_log(home, batch_of("x", submitted(wanted, directory=directory and str(tmp_path / directory))), *queued)
        write_log(home, *attempt(1, steps(0, 4), checkpoint(home, 4), cause="stopped"))
        return home

    yield submit
    sys.modules.pop("only_there", None)
    gymnasium.registry.pop("There-v0", None)


GOING_ON = {
    "fork": lambda home: fork_request(home, RUN, "last", ["gamma=0.9"], execution={}),
    "run": lambda home: recorded(home, "x", ["training_steps=2000"], execution={}),
}


@pytest.mark.parametrize("go_on", GOING_ON.values(), ids=GOING_ON)
def test_an_environment_is_looked_for_where_it_was_submitted_wherever_one_goes_on(submitted_there, go_on):
    """Negative control: where another directory is recorded, there is none."""
    for directory in ("", "here"):
        with pytest.raises(ConfigurationError, match="found 'only_there:There-v0': ModuleNotFoundError"):
            go_on(submitted_there(directory))
    assert go_on(submitted_there("there")).execution.directory.endswith("there")


# --- what the core makes of it ----------------------------------------------------------------------------------------


def driver_with_origin(cpus=2):
    """Nothing trains; the experiment that is forked has been stopped."""
    driver = DecisionDriver(cpus=0)
    driver.submit(experiment())
    driver.stop("x")
    if cpus:
        driver.join(cpus=cpus)
    return driver


def starts(driver):
    orders = [one.order for one in driver.last.effects if isinstance(one, StartAttempt)]
    return {
        order.run: (order.origin and order.origin.step, [each.step for each in order.checkpoints], order.new_episodes)
        for order in orders
    }


def test_its_runs_begin_at_the_origins_checkpoint_and_go_on_from_their_own():
    driver = driver_with_origin()
    driver.submit(fork_of({0: paper(4)}))
    assert starts(driver) == {"f/baseline/0": (4, [], False), "f/v/0": (4, [], False)}
    driver.train("f/baseline/0", from_step=4)
    driver.checkpoint("f/baseline/0", 8)
    driver.crash("f/baseline/0")
    driver.now += 60
    driver.retry("f/baseline/0")
    assert starts(driver) == {"f/baseline/0": (4, [8], False)}


def test_where_its_own_checkpoints_are_lost_it_begins_at_the_origins_again():
    driver = driver_with_origin()
    driver.submit(fork_of({0: paper(4)}))
    driver.train("f/v/0", from_step=4)
    driver.checkpoint("f/v/0", 8)
    driver.crash("f/v/0")
    driver.now += 60
    driver.retry("f/v/0")
    driver.train("f/v/0", from_step=4)
    assert driver.run("f/v/0").checkpoints == ()
    assert driver.run("f/v/0").origin.step == 4


def test_an_environment_that_is_different_begins_new_episodes():
    wanted = fork_of({0: paper(4)})
    windy = wanted.arms[1].model_copy(update={"environment_kwargs": {"enable_wind": True}})
    driver = driver_with_origin()
    driver.submit(wanted.model_copy(update={"arms": (wanted.arms[0], windy)}))
    assert starts(driver) == {"f/baseline/0": (4, [], False), "f/v/0": (4, [], True)}


def test_another_fork_under_the_same_id_is_refused():
    driver = driver_with_origin(cpus=0)
    driver.submit(fork_of({0: paper(4)}))
    driver.submit(fork_of({0: paper(5)}))
    assert driver.last.answer.error == "conflict"
    assert "differs in origin.branches" in driver.last.answer.detail
    driver.submit(fork_of({0: paper(4)}, training_steps=2000))
    assert driver.last.answer.detail.startswith("extended")


def test_an_origin_that_is_not_here_is_refused():
    driver = DecisionDriver()
    driver.submit(fork_of({0: paper(4)}))
    assert driver.last.answer == c.Refused(error="not-found", detail="f: is a fork of x, which is not here; is --home right?")


# --- what is kept -----------------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path):
    """x/baseline/0 trained for ten steps; f forked it at 4 and did six more; g forked f's variant at 8 and waits."""
    home = tmp_path / "home"
    queued_experiment(home)
    four = checkpoint(home, 4, pages=["a"], episodes=1)
    words = [steps(0, 4), episode(3, 10.0), four, steps(4, 10), checkpoint(home, 7), episode(9, 20.0), checkpoint(home, 10)]
    write_log(home, *attempt(1, *words, cause="stopped"))
    fork(home, fork_of({0: four}))
    eight = checkpoint(home, 8, "variant", episodes=2)
    words = [steps(4, 8, 0.5), episode(6, 30.0), eight, steps(8, 10, 0.5), checkpoint(home, 10, "variant")]
    write_log(home, *attempt(1, *words, run="f/v/0", from_step=4, from_episode=1, resume="exact"))
    fork(home, fork_of({0: eight}, name="g", of=("f", "v")))
    return home


def fork(home, wanted):
    write_log(
        home, batch_of(wanted.experiment_id, submitted(wanted)), *(batch_of(run.id, e.RunQueued()) for run in wanted.runs)
    )


def test_its_record_begins_where_it_was_forked(home):
    with Reader(home) as reader:
        record = Record(reader, "f/v/0")
        assert (record.lineage.beginning, Record(reader, RUN).lineage.beginning) == (4, 0)
        assert record.steps().rewards[:, 0].tolist() == [4.5, 5.5, 6.5, 7.5, 8.5, 9.5]
        assert record.steps(until=6).rewards[:, 0].tolist() == [4.5, 5.5]
        assert Record(reader, RUN).steps(after=5, until=7).rewards[:, 0].tolist() == [5.0, 6.0]  # within a batch
        assert [found.step for found in record.checkpoints()] == [8, 10]


def test_its_status_counts_from_there_while_it_still_waits(home):
    with Reader(home) as reader:
        rows = {run["id"]: run for each in status(reader)["experiments"] for run in each["runs"]}
        assert [(rows[run]["step"], rows[run]["episodes"]) for run in ("f/v/0", "f/baseline/0", "g/v/0")] == [
            (10, 2),
            (4, 1),
            (8, 2),
        ]
        assert rows["g/v/0"]["percent"] == 0.8
        with rebuild(reader) as fresh:
            assert status(fresh) == status(reader)


def test_its_runs_are_timed_to_where_the_curve_of_their_baseline_ends_which_has_its_past_in_it(home):
    run, how = "f/baseline/0", {"from_step": 4, "from_episode": 1, "ended": False}
    ended = batch_of(run, e.AttemptEnded(epoch=1, cause="completed"), e.RunCompleted())
    write_log(home, *attempt(1, steps(4, 10, 0.5), episode(6, 30.0), run=run, **how), ended)
    with Reader(home) as reader:
        assert findings(reader, "f").threshold == (10.0 + 30.0) / 2


def test_its_past_is_that_of_the_runs_it_continues(home):
    with Reader(home) as reader:
        assert ancestry(reader, "g/v/0") == (Ancestor(RUN, 4), Ancestor("f/v/0", 8))
        assert ancestry(reader, "f/v/0") == (Ancestor(RUN, 4),)
        assert ancestry(reader, RUN) == ()
        assert [each.episode_return for each in episodes_with_past(reader, "f/v/0")] == [10.0, 30.0]
        assert [each.episode_return for each in episodes_with_past(reader, "g/v/0")] == [10.0, 30.0]
        assert episodes_with_past(reader, RUN) == reader.episodes(RUN)
        with pytest.raises(NotFoundError):
            ancestry(reader, "h/v/0")


def test_what_it_did_itself_is_judged_and_not_what_it_shares_with_others(tmp_path):
    """Its origin had finished 150 episodes there; it finished one more."""
    queued_experiment(tmp_path)
    branch = checkpoint(tmp_path, 4, episodes=150)
    write_log(tmp_path, *attempt(1, steps(0, 4), *(episode(3, 9.0) for _ in range(150)), branch, cause="stopped"))
    fork(tmp_path, fork_of({0: branch}))
    for run in ("f/baseline/0", "f/v/0"):
        forked = attempt(1, steps(4, 8), episode(7, 5.0), run=run, from_step=4, from_episode=150, cause="completed")
        write_log(tmp_path, *forked, batch_of(run, e.RunCompleted()))
    with Reader(tmp_path) as reader:
        found = findings(reader, "f")
    (run,) = found.arms[1].runs
    assert found.origin == "x/baseline"
    assert (run.final, run.episodes, run.best_step) == (5.0, 151, 7)
    assert "fewer than 100 episodes were finished by 2 completed runs since the fork: the mean is over fewer" in found.caveats
    assert any("checkpoints of x/baseline: what is found is what a change does from there on" in each for each in found.caveats)
    assert "--seeds" not in verdict(found)[0]


def test_it_is_verified_from_where_it_was_forked(home):
    with Reader(home) as reader:
        (section,) = sections(reader, "f/v/0")
        assert (section.after, section.until, section.checkpoint.step, section.inexact) == (4, 10, 4, False)
        with pytest.raises(NotFoundError, match="nothing to verify yet"):
            sections(reader, "g/v/0")


def everything_touched_long_ago(home):
    for path in retention.artifact_files(home):
        os.utime(path, (1.0, 1.0))


def test_what_was_forked_from_is_never_collected(home):
    everything_touched_long_ago(home)
    with Reader(home) as reader:
        found = garbage(reader, Retention(keep=1, keep_every=0), now=1e9)
        needed = {run: each.inherited for run, each in checkpoints_by_run(reader).items()}
    gone = {path.name for path in found.files}
    four, eight = needed["f/baseline/0"][0], needed["g/v/0"][0]
    assert (four.step, eight.step) == (4, 8)
    assert gone.isdisjoint(four.files), "f can no longer begin"
    assert gone.isdisjoint(eight.files), "g can no longer begin"
    assert len(gone) == 1, "the one at step 7 nobody needs"


def test_without_what_is_inherited_it_would_be(home, monkeypatch):
    """The control."""
    monkeypatch.setattr("lander.store.records.checkpoint_record.RunCheckpoints.inherited", ())
    everything_touched_long_ago(home)
    with Reader(home) as reader:
        assert len(garbage(reader, Retention(keep=1, keep_every=0), now=1e9).files) == 4  # with the page of the one at 4


def test_the_check_misses_it_and_a_backup_holds_it(home, tmp_path):
    assert {finding.part for finding in check(home) if not finding.ok} == set()
    with Reader(home) as reader:
        (four,) = checkpoints_by_run(reader)["f/baseline/0"].inherited
    copied = back_up(home, tmp_path / "copy")
    assert copied.lost == ()
    assert all(artifact_path(tmp_path / "copy", name).exists() for name in four.files)
    artifact_path(home, four.sha256).unlink()
    (wrong,) = [finding for finding in check(home) if not finding.ok]
    assert (wrong.part, "missing" in wrong.detail, "at step 4" in wrong.detail) == ("artifacts", True, True)
