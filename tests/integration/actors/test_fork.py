"""Forks: the unchanged baseline is, bit for bit, the run it continues, and a change takes effect.

First with the trainer's own code in this process, then with real ones, and as people type it.
"""

import os
import signal
from typing import Any

import pytest

from lander.actors.state import state_parts
from lander.actors.trainer.trainer import OriginError
from lander.app.forking import fork_request
from lander.cli.main import main
from lander.home.layout import artifact_path
from lander.protocol.errors import ConfigurationError, NotFoundError, UsageError
from lander.protocol.events import EpisodeFinished, TrainingStarted, WarningRaised
from lander.protocol.experiment import Arm
from lander.store.log.reader import Reader
from lander.store.records.ancestry import ancestry
from lander.store.records.run_record import Record
from tests.integration.actors.test_exact_resume import MORE, SMALL_PPO, arm, training_of
from tests.integration.actors.test_identity import OFF_POLICY
from tests.support.bits import Bits
from tests.support.command_line import lander_here as lander
from tests.support.in_process_training import CutError, InProcessTraining
from tests.support.live_home import experiment
from tests.support.recorded import recorded_arm

pytestmark = pytest.mark.timeout(240)

SMALL_PPO_2 = {**SMALL_PPO, "n_envs": 2}
NOISE = {"type": "normal", "sigma": 0.1}
ORIGINS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "PPO": ("PPO", "CartPole-v1", SMALL_PPO_2 | {"normalize": True, "learning_rate": 1e-3}),
    "PPO-sde": ("PPO", "Pendulum-v1", {**SMALL_PPO, "use_sde": True, "sde_sample_freq": 4}),
    "A2C": ("A2C", "CartPole-v1", {"n_envs": 2}),
    "DQN": ("DQN", "CartPole-v1", {**OFF_POLICY, "train_freq": 4, "target_update_interval": 40}),
    "SAC": ("SAC", "Pendulum-v1", {**OFF_POLICY, "train_freq": 8}),
    "SAC-fixed": ("SAC", "Pendulum-v1", {**OFF_POLICY, "train_freq": 8, "ent_coef": 0.1}),
    "TD3": ("TD3", "Pendulum-v1", {**OFF_POLICY, "train_freq": 8, "action_noise": NOISE}),
}
FORKED_AT, UNTIL = 128, 256


def _arm(name: str, **changes: Any) -> Arm:
    algorithm, environment, hyperparameters = ORIGINS[name]
    settings = {"name": "variant", "role": "variant", "seeds": [3], "training_steps": UNTIL}
    settings |= {"algorithm": algorithm, "environment": environment, "hyperparameters": hyperparameters | changes}
    return recorded_arm(settings)


@pytest.fixture(scope="module")
def origins(tmp_path_factory):
    """`origins(name)`: a training to its end, with a checkpoint in the middle; each is trained once."""
    trained: dict[str, InProcessTraining] = {}

    def origin(name: str) -> InProcessTraining:
        if name not in trained:
            trained[name] = InProcessTraining(_arm(name), tmp_path_factory.mktemp(name), frequency=FORKED_AT)
            trained[name].train()
        return trained[name]

    return origin


def forked(origin: InProcessTraining, arm: Arm | None = None, **how: Any) -> InProcessTraining:
    """The training of an arm (the origin's own by default) from the origin's checkpoint in the middle."""
    branch = InProcessTraining(arm or origin.arm, origin.home, frequency=origin.frequency)
    branch.train(origin=origin.lineage()[0], **how)
    return branch


# --- the baseline goes on as if nothing had happened ------------------------------------------------------------------


@pytest.mark.parametrize("name", [pytest.param(each, marks=[pytest.mark.long] * (each == "A2C")) for each in ORIGINS])
def test_unchanged_it_has_the_bits_of_the_run_it_continues(origins, name):
    whole = origins(name)
    branch = forked(whole)
    step = whole.lineage()[0].step
    assert 0 < step < UNTIL
    (start,) = branch.heard(TrainingStarted)
    assert (start.from_step, start.resume) == (step, "exact")
    assert branch.weights == whole.weights
    assert branch.digests() == {at: digest for at, digest in whole.digests().items() if at > step} != {}
    assert branch.steps()[0].first_step == step
    assert [each for each in whole.heard(EpisodeFinished) if each.last_step > step] == branch.heard(EpisodeFinished)


def test_one_that_begins_on_a_host_that_computes_other_bits_is_marked(origins):
    (began,) = forked(origins("PPO"), other_bits=True).heard(TrainingStarted)
    assert began.resume == "other_bits"


@pytest.mark.long
@pytest.mark.parametrize("name", MORE)
def test_unchanged_it_has_the_bits_of_the_run_it_continues_in_every_environment(tmp_path, name):
    whole = training_of(name, tmp_path)
    whole.train()
    for origin in whole.lineage()[:-1]:
        branch = InProcessTraining(whole.arm, tmp_path, frequency=whole.frequency)
        branch.train(origin=origin)
        assert branch.weights == whole.weights
        assert branch.digests() == {at: digest for at, digest in whole.digests().items() if at > origin.step}


def test_cut_off_and_continued_a_fork_is_still_the_same(origins):
    whole = origins("DQN")
    branch = InProcessTraining(whole.arm, whole.home, frequency=32)
    with pytest.raises(CutError):
        branch.train(origin=whole.lineage()[0], cut_after=90)
    branch.continue_(origin=whole.lineage()[0])
    first, second = branch.heard(TrainingStarted)
    assert first.from_step < second.from_step
    assert branch.weights == whole.weights


# --- a change takes effect --------------------------------------------------------------------------------------------

CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("PPO", {"learning_rate": 1e-4}),
    ("PPO", {"n_steps": 32}),
    ("PPO", {"normalize": {"norm_reward": False}}),
    ("DQN", {"exploration_final_eps": 1.0}),
    ("SAC", {"ent_coef": 0.5}),
    ("SAC-fixed", {"ent_coef": 0.5}),
    ("SAC-fixed", {"ent_coef": "auto"}),
    ("TD3", {"action_noise": {"type": "normal", "sigma": 0.5}}),
]
MORE_CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("PPO", {"learning_rate": "lin_1e-3"}),
    ("PPO", {"gamma": 0.5}),
    ("PPO", {"gae_lambda": 0.5}),
    ("PPO", {"ent_coef": 0.1}),
    ("PPO", {"vf_coef": 0.1}),
    ("PPO", {"clip_range": 0.01}),
    ("PPO", {"clip_range_vf": 0.01}),
    ("PPO", {"batch_size": 16}),
    ("PPO", {"n_epochs": 3}),
    ("PPO", {"max_grad_norm": 0.01}),
    ("PPO", {"normalize_advantage": False}),
    ("PPO", {"target_kl": 1e-9}),
    ("PPO", {"normalize": {"clip_obs": 0.5}}),
    ("PPO-sde", {"sde_sample_freq": -1}),
    ("A2C", {"learning_rate": 1e-4}),
    ("DQN", {"learning_rate": 1e-3}),
    ("DQN", {"exploration_fraction": 1.0}),
    ("DQN", {"target_update_interval": 100}),
    ("DQN", {"n_steps": 3}),
    ("DQN", {"train_freq": 8}),
    ("DQN", {"gradient_steps": 2}),
    ("DQN", {"learning_starts": 200}),
    ("SAC", {"learning_rate": 1e-3}),
    ("SAC", {"target_entropy": -3.0}),
    ("SAC", {"tau": 0.5}),
    ("SAC", {"batch_size": 16}),
    ("SAC-fixed", {"ent_coef": "auto_0.1"}),
    ("TD3", {"policy_delay": 1}),
    ("TD3", {"target_policy_noise": 0.5}),
    ("TD3", {"action_noise": None}),
]


def named(value):
    return value if isinstance(value, str) else "-".join(value)


@pytest.mark.parametrize(("name", "change"), CHANGES, ids=named)
def test_a_change_makes_another_run_of_it(origins, name, change):
    branch = forked(origins(name), _arm(name, **change))
    assert branch.heard(TrainingStarted)[0].resume == "exact"
    assert branch.weights != origins(name).weights


@pytest.mark.long
@pytest.mark.parametrize(("name", "change"), MORE_CHANGES, ids=named)
def test_every_other_change_does_too(origins, name, change):
    test_a_change_makes_another_run_of_it(origins, name, change)


@pytest.mark.parametrize("name", ["PPO", "DQN", "SAC", "TD3"])
def test_the_optimizers_learn_at_the_new_rate(origins, name):
    branch = forked(origins(name), _arm(name, learning_rate=0.125))
    rates = {where: [group["lr"] for group in each.param_groups] for where, each in state_parts.optimizers(branch.model)}
    assert rates
    assert {rate for found in rates.values() for rate in found} == {0.125}


@pytest.mark.parametrize(
    ("name", "change", "coefficient"), [("SAC", 0.5, 0.5), ("SAC-fixed", 0.5, 0.5), ("SAC-fixed", "auto_0.25", None)]
)
def test_the_entropy_coefficient_is_the_new_one(origins, name, change, coefficient):
    model = forked(origins(name), _arm(name, ent_coef=change)).model
    if coefficient is None:
        learned = float(model.log_ent_coef.detach().exp())
        assert 0.1 < learned != 0.25  # it began there, and not at the 0.1 that was fixed, and is being learned
    else:
        assert float(model.ent_coef_tensor) == coefficient


def test_were_it_restored_as_it_was_the_change_would_be_lost(origins, monkeypatch):
    """The control: a checkpoint holds the fixed coefficient, too."""

    def restore(model, tree):
        for name, array in tree.items():
            getattr(model, name).data.copy_(state_parts._tensor(array))

    replaced = [part._replace(restore=restore) if part.name == "variables" else part for part in state_parts.STATE_PARTS]
    monkeypatch.setattr("lander.actors.state.checkpoint.STATE_PARTS", replaced)
    branch = forked(origins("SAC-fixed"), _arm("SAC-fixed", ent_coef=0.5))
    assert branch.weights == origins("SAC-fixed").weights


def test_into_another_environment_it_begins_new_episodes_and_says_so(tmp_path):
    calm = arm("wind").model_copy(update={"environment_kwargs": {}})
    origin = InProcessTraining(calm, tmp_path, frequency=FORKED_AT)
    origin.train()
    windy = forked(origin, arm("wind"), new_episodes=True)
    (start,) = windy.heard(TrainingStarted)
    assert start.resume == "exact", "it is what was asked for"
    (warning,) = windy.heard(WarningRaised)
    where = f"forked at step {start.from_step} into a different environment"
    assert warning.message == f"{where}: the episodes under way end there, and new ones begin"
    begun = [each for each in windy.heard(EpisodeFinished) if each.first_step <= start.from_step]
    assert [each.first_step for each in begun] == [start.from_step] * 2, "one in each of its environments"
    assert {each.reset_seed for each in begun}.isdisjoint({None, 3, 4}), "and not the episodes with which the origin began"
    again = forked(origin, arm("wind"), new_episodes=True)
    assert again.digests() == windy.digests(), "and which episodes those are is no accident"
    windy.continue_(origin=origin.lineage()[0], new_episodes=True)
    assert windy.digests() == again.digests()


def test_an_origin_that_is_lost_or_damaged_is_no_reason_to_begin_at_zero(origins, tmp_path):
    origin = origins("PPO").lineage()[0]
    branch = InProcessTraining(_arm("PPO"), tmp_path)
    with pytest.raises(OriginError, match="the checkpoint at step 128, from which it was forked, cannot be used"):
        branch.train(origin=origin)
    path = artifact_path(tmp_path, origin.sha256)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"something else")
    with pytest.raises(OriginError, match="cannot be used"):
        branch.train(origin=origin)
    assert branch.heard(TrainingStarted) == []


# --- with real processes ----------------------------------------------------------------------------------------------

PAGED = {"buffer_size": 3000, "learning_starts": 100, "batch_size": 16, "train_freq": 8, "policy_kwargs": {"net_arch": [16]}}


@pytest.fixture(scope="module")
def trained(shared_home):
    """Two experiments that completed: PPO with two seeds, and SAC with pages of its replay buffer on the disk."""
    ppo = experiment("ppo", SMALL_PPO, training_steps=512, seeds=[0, 1], checkpoint_frequency=64)
    sac = {"environment": "Pendulum-v1", "algorithm": "SAC", "training_steps": 2400, "checkpoint_frequency": 200}
    paged = experiment("sac", PAGED, variants={"variant": {"training_steps": 200}}, **sac)
    shared_home.submit(ppo)
    shared_home.submit(paged)
    for name in ("ppo", "sac"):
        assert shared_home.wait_ended(name)["state"] == "completed"
    return shared_home


def fork(live_home, target, at, *overrides, name):
    wanted = fork_request(live_home.home, target, at, overrides, execution={}, experiment_id=name)
    live_home.submit(wanted.experiment)
    return wanted.experiment


def continues(live_home, run, origin):
    """Whether the record of a forked run is that of the run it continues, from there on."""
    with Reader(live_home.home) as reader:
        ours, theirs = Record(reader, run), Record(reader, origin)
        after = ours.lineage.beginning
        assert after > 0
        assert [each.digest for each in ours.checkpoints()] == [
            each.digest for each in theirs.checkpoints() if each.step > after
        ]
        assert ours.episodes() == [each for each in theirs.episodes() if each.last_step > after]
        mine, there = ours.steps(), theirs.steps(after)
        assert (mine.actions.tobytes(), mine.rewards.tobytes()) == (there.actions.tobytes(), there.rewards.tobytes())
    assert Bits.of(live_home.home, run).policy == Bits.of(live_home.home, origin).policy


def test_an_arm_is_forked_and_every_seed_of_its_baseline_has_the_origins_bits(trained):
    live_home = trained
    wanted = fork(live_home, "ppo/baseline", "256", "learning_rate=1e-2", name="arm")
    assert live_home.wait_ended("arm")["state"] == "completed"
    assert [run.id for run in wanted.runs] == ["arm/baseline/0", "arm/variant/0", "arm/baseline/1", "arm/variant/1"]
    for seed in (0, 1):
        continues(live_home, f"arm/baseline/{seed}", f"ppo/baseline/{seed}")
        assert Bits.of(live_home.home, f"arm/variant/{seed}").policy != Bits.of(live_home.home, f"arm/baseline/{seed}").policy


def test_with_replay_pages_killed_in_the_middle_and_forked_again(trained):
    """Pages that one experiment wrote are another's, also of the fork of a fork."""
    live_home = trained
    fork(live_home, "sac/baseline", "1200", "gamma=0.9", "max_retries=1000", name="fork-killed")
    run = "fork-killed/baseline/0"
    live_home.wait(
        lambda: live_home.run(run)["state"] == "running" and live_home.run(run)["checkpoint"] is not None,
        "a checkpoint of its own",
    )
    os.kill(live_home.run(run)["pid"], signal.SIGKILL)
    assert live_home.wait_ended("fork-killed")["state"] == "completed"
    starts = [each for each in live_home.events(run, "TrainingStarted") if isinstance(each, TrainingStarted)]
    assert (starts[0].from_step, len(starts), {each.resume for each in starts}) == (1200, 2, {"exact"})
    assert starts[1].from_step > 1200
    continues(live_home, run, "sac/baseline/0")
    fork(live_home, "fork-killed/baseline", "2000", "tau=0.1", name="again")
    assert live_home.wait_ended("again")["state"] == "completed"
    continues(live_home, "again/baseline/0", "sac/baseline/0")
    with Reader(live_home.home) as reader:
        assert [(each.run, each.until) for each in ancestry(reader, "again/variant/0")] == [
            ("sac/baseline/0", 1200),
            (run, 2000),
        ]


def test_an_origin_whose_files_are_gone_fails_plainly_and_at_once(trained):
    live_home = trained
    wanted = fork_request(live_home.home, "ppo/variant/0", "320", ["gamma=0.9"], execution={}, experiment_id="lost").experiment
    path = artifact_path(live_home.home, wanted.origin.branches[0].sha256)
    content = path.read_bytes()
    path.unlink()
    try:
        live_home.submit(wanted)
        ended = live_home.wait_ended("lost")
    finally:
        path.write_bytes(content)
    assert {(run["state"], run["cause"], run["step"], run["attempt"]) for run in ended["runs"]} == {
        ("failed", "config_error", 320, 1)
    }
    assert "the checkpoint at step 320, from which it was forked, cannot be used" in ended["runs"][0]["detail"]


# --- as people type it ------------------------------------------------------------------------------------------------


def test_it_is_run_and_diffed_from_the_command_line(trained, capsys):
    home = trained.home
    how = ("fork", "ppo/baseline", "--at", "384", "learning_rate=1e-2", "--seeds", "1", "--experiment-id", "typed")
    code, output, errors = lander(home, *how)
    assert code == 0, errors
    assert "typed/variant/1: completed after 512 steps" in output
    assert "one seed decides nothing" in errors
    assert main(["diff", "typed/baseline/1", "ppo/baseline/1", "--home", str(home)]) == 0
    equal = "typed/baseline/1 and ppo/baseline/1 are equal: 128 steps and 2 checkpoints compared\n"
    assert capsys.readouterr().out == equal
    assert main(["diff", "typed/baseline/1", "typed/variant/1", "--home", str(home)]) == 1
    assert "checkpoint at step 448: weights" in capsys.readouterr().out


@pytest.mark.long
def test_it_is_verified_from_where_it_was_forked(trained):
    fork(trained, "ppo/baseline", "256", "gae_lambda=0.5", name="verified")
    assert trained.wait_ended("verified")["state"] == "completed"
    code, output, _ = lander(trained.home, "verify", "verified/variant/0")
    assert (code, output.split(":")[1]) == (0, " steps 257 to 512 come out the same once more")


def test_the_same_fork_twice_is_one_experiment(trained, capsys):
    words = ["fork", "ppo/baseline/0", "--at", "256", "clip_range=0.1", "--training-steps", "300", "--submit"]
    assert main([*words, "--home", str(trained.home)]) == 0
    assert main([*words, "--home", str(trained.home)]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == second
    assert first.startswith("ppo-fork-")
    assert [run["total_steps"] for run in trained.wait_ended(first)["runs"]] == [300, 300]


REFUSALS = {
    "no-such-step": (
        "ppo/baseline",
        "200",
        ["gamma=0.9"],
        "has no checkpoint at step 200; the nearest are at 128, 192, 256",
    ),
    "no-change": ("ppo/baseline", "256", [], "change something, such as learning_rate=1e-4"),
    "the-same": ("ppo/baseline", "256", ["n_epochs=2"], "change something"),
    "two-arms": ("ppo", "256", ["gamma=0.9"], "has 2 arms; fork one of them, such as ppo/baseline, or one run"),
    "at-the-end": ("ppo/baseline", "last", ["gamma=0.9"], "training_steps: found 512; must be more than 512"),
    "the-baseline": ("ppo/baseline", "256", ["baseline.gamma=0.9"], "cannot be set"),
    "algorithm": ("ppo/baseline", "256", ["algorithm=A2C"], "cannot be set: a fork goes on with what was trained"),
    "environment": ("ppo/baseline", "256", ["environment=Acrobot-v1"], "cannot be set"),
    "n-envs": ("ppo/baseline", "256", ["n_envs=2"], "variant.hyperparameters.n_envs: cannot be changed by a fork"),
    "net-arch": ("ppo/baseline", "256", ["policy_kwargs.net_arch=[8]"], "the networks in the checkpoint would not fit"),
    "buffer": ("sac/baseline", "1200", ["buffer_size=2000"], "the replay buffer in the checkpoint would not fit"),
    "typing-error": ("ppo/baseline", "256", ["gama=0.9"], "PPO has no such setting; did you mean gamma?"),
    "other-seeds": ("ppo/baseline", "256", ["gamma=0.9", "seeds=0-4"], "cannot be set: --seeds chooses"),
}


@pytest.mark.parametrize(("target", "at", "overrides", "reason"), REFUSALS.values(), ids=REFUSALS)
def test_what_cannot_be_is_refused_before_anything_starts(trained, target, at, overrides, reason):
    with pytest.raises((UsageError, NotFoundError)) as refused:
        fork_request(trained.home, target, at, overrides, execution={})
    assert reason in str(refused.value)


def test_seeds_are_chosen_among_those_that_were_trained(trained):
    wanted = fork_request(trained.home, "ppo/baseline", "256", ["gamma=0.9"], execution={}, seeds="1")
    assert [branch.seed for branch in wanted.experiment.origin.branches] == [1]
    with pytest.raises(UsageError, match="--seeds 0-4: must be among the seeds that were trained, 0, 1"):
        fork_request(trained.home, "ppo/baseline", "256", ["gamma=0.9"], execution={}, seeds="0-4")


def test_another_environment_does_not_fit_the_policy(trained, lunar):
    with pytest.raises(ConfigurationError, match=r"environment_kwargs: with these, LunarLander-v3 takes Box\(2,\)"):
        fork_request(trained.home, lunar, "last", ["environment_kwargs.continuous=true", "training_steps=512"], execution={})
    windy = fork_request(
        trained.home, lunar, "last", ["environment_kwargs.enable_wind=true", "training_steps=512"], execution={}
    )
    assert windy.experiment.variants[0].environment_kwargs == {"enable_wind": True}


@pytest.fixture(scope="module")
def lunar(shared_home):
    wanted = experiment("lunar", SMALL_PPO, environment="LunarLander-v3", training_steps=64)
    assert shared_home.carry_out(wanted)["state"] == "completed"
    return "lunar/baseline"


def test_a_seed_without_the_checkpoint_is_left_out_and_that_is_said(trained):
    with Reader(trained.home) as reader:
        path = artifact_path(
            trained.home, next(each for each in Record(reader, "ppo/variant/1").checkpoints() if each.step == 128).sha256
        )
    content = path.read_bytes()
    path.unlink()
    try:
        wanted = fork_request(trained.home, "ppo/variant", "128", ["gamma=0.9"], execution={})
    finally:
        path.write_bytes(content)
    assert wanted.experiment.baseline.seeds == (0,)
    assert len(wanted.notices) == 1
    assert wanted.notices[0].startswith("ppo/variant/1: the checkpoint at step 128 is gone")
    assert wanted.notices[0].endswith("it is left out")


def test_best_is_the_best_by_evaluation(tmp_path_factory, shared_home):
    wanted = experiment("judged", SMALL_PPO, training_steps=256, eval_frequency=64, eval_episodes=2, checkpoint_frequency=64)
    assert shared_home.carry_out(wanted)["state"] == "completed"
    with Reader(shared_home.home) as reader:
        checkpoints = Record(reader, "judged/baseline/0").checkpoints()
    best = max((each for each in checkpoints if each.evaluation is not None), key=lambda each: (each.evaluation, -each.step))
    forked = fork_request(
        shared_home.home, "judged/baseline", "best", ["gamma=0.9", "training_steps=400"], execution={}
    ).experiment
    assert forked.origin.branches[0].step == best.step


def test_a_schedule_over_other_steps_is_named(trained):
    shared = {"training_steps": 256, "checkpoint_frequency": 64}
    wanted = experiment("sloping", SMALL_PPO | {"learning_rate": "lin_1e-3"}, **shared)
    assert trained.carry_out(wanted)["state"] == "completed"
    plain = fork_request(trained.home, "sloping/baseline", "128", ["gamma=0.9"], execution={})
    assert plain.notices == ()
    longer = fork_request(trained.home, "sloping/baseline", "128", ["gamma=0.9", "training_steps=512"], execution={})
    assert len(longer.notices) == 1
    assert (
        "learning_rate=lin_0.001 is a function of the whole training, which was to take 256 steps and now takes 512"
        in longer.notices[0]
    )
