"""Wrappers, policies, callbacks and layers of one's own: the bits of the plain program, also after a cut, or `inexact`."""

import os
import select
import signal
import warnings
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike
from stable_baselines3.common.vec_env import StackedObservations, SubprocVecEnv, VecFrameStack, VecNormalize

from lander.actors.environment import attributes, separate_processes
from lander.actors.environment.history import History
from lander.actors.environment.recording import EnvironmentFailedError, RecordedEnvironment, Recording
from lander.actors.sb3 import shortcuts
from lander.actors.sb3.policy_view import PolicyView
from lander.actors.state import callbacks_part, checkpoint, environment_states, vec_layers_part
from lander.actors.state.checkpoint import read_state
from lander.actors.trainer import trainer
from lander.actors.trainer.delivery import Delivery
from lander.actors.trainer.evaluation import evaluate
from lander.actors.trainer.saved_policy import load_policy
from lander.protocol.arrays import unpack
from lander.protocol.events import EpisodeFinished, EvaluationFinished, TrainingStarted, WarningRaised
from tests.support import own_classes
from tests.support.in_process_training import CutError, InProcessTraining
from tests.support.recorded import recorded_arm

MODULE = "tests.support.own_classes"
SMALL = {"n_steps": 32, "batch_size": 32, "n_epochs": 1}
NETS = {"net_arch": [8]}


def arm(steps=512, environment="CartPole-v1", **hyperparameters):
    form = {"name": "baseline", "role": "baseline", "algorithm": "PPO", "seeds": [3], "training_steps": steps}
    return recorded_arm(
        form | {"environment": environment, "hyperparameters": SMALL | {"policy_kwargs": NETS} | hyperparameters}
    )


def whole_and_cut(wanted, home, *, cut, frequency=64, **how):
    whole = InProcessTraining(wanted, home / "whole", frequency=frequency, **how)
    whole.train()
    interrupted = InProcessTraining(wanted, home / "cut", frequency=frequency, **how)
    with pytest.raises(CutError):
        interrupted.train(cut_after=cut)
    interrupted.continue_()
    return whole, interrupted


def resumed(training):
    return training.heard(TrainingStarted)[-1].resume


def warned(training):
    return [each.message for each in training.heard(WarningRaised) if "was not captured" not in each.message]


def same(whole, cut):
    return (whole.weights, whole.digests()) == (cut.weights, cut.digests())


EVERYTHING = {
    "n_envs": 2,
    "wrappers": [{f"{MODULE}:Scaled": {"factor": 0.5}}, f"{MODULE}:Every"],
    "vec_wrappers": [f"{MODULE}.Brightened"],
    "normalize": {"norm_reward": False},
    "frame_stack": 3,
    "policy": f"{MODULE}:OwnPolicy",
    "policy_kwargs": {
        **NETS,
        "features_extractor_class": f"{MODULE}:Halving",
        "features_extractor_kwargs": {"size": 5},
        "optimizer_class": "RMSpropTFLike",
        "activation_fn": "Mish",
    },
    "callbacks": [{f"{MODULE}:Remembering": {"size": 0.01}}],
}


def plain_program(steps):
    """What somebody writes who has only Stable-Baselines3."""
    torch.set_num_threads(1)
    env: Any = make_vec_env(
        "CartPole-v1", 2, seed=3, wrapper_class=lambda each: own_classes.Every(own_classes.Scaled(each, factor=0.5))
    )
    env = VecFrameStack(VecNormalize(own_classes.Brightened(env), norm_reward=False), 3)
    kwargs = {
        **NETS,
        "features_extractor_class": own_classes.Halving,
        "features_extractor_kwargs": {"size": 5},
        "optimizer_class": RMSpropTFLike,
        "activation_fn": torch.nn.Mish,
    }
    model = PPO(own_classes.OwnPolicy, env, seed=3, device="cpu", policy_kwargs=kwargs, **SMALL)
    model.learn(steps, callback=[own_classes.Remembering(0.01)])
    return model


def test_everything_at_once_has_the_bits_of_the_plain_program_also_after_a_cut(tmp_path):
    whole, cut = whole_and_cut(arm(**EVERYTHING), tmp_path, cut=200, eval_frequency=128, eval_episodes=2)
    plain = {name: tensor.numpy().tobytes() for name, tensor in plain_program(512).policy.state_dict().items()}
    assert whole.weights == plain
    assert (resumed(cut), same(whole, cut), warned(cut)) == ("exact", True, [])
    evaluations = [[each.returns for each in training.heard(EvaluationFinished)][-2:] for training in (whole, cut)]
    assert evaluations[0] == evaluations[1]


def test_an_evaluation_sees_through_the_same_layers_as_evaluate_policy(tmp_path):
    """Returns are those of the `Monitor`: a wrapper that changes rewards, or ends lives, changes no score."""
    wrappers = [f"{MODULE}:Scaled", f"{MODULE}:Lives"]
    wanted = arm(256, n_envs=2, wrappers=wrappers, normalize=True, frame_stack=2)
    training = InProcessTraining(wanted, tmp_path, frequency=256)
    training.train()
    policy = load_policy(wanted, 3, training.lineage()[-1], tmp_path)
    ours = [result.episode_return for result in evaluate(policy, wanted, 3)]
    theirs = []
    for seed in range(1_000_000_000, 1_000_000_003):
        env: Any = make_vec_env("CartPole-v1", 1, wrapper_class=lambda each: own_classes.Lives(own_classes.Scaled(each)))
        env = VecFrameStack(VecNormalize(env, training=False, norm_reward=False), 2)
        env.venv.obs_rms = training.model.get_vec_normalize_env().obs_rms
        env.seed(seed)
        theirs += evaluate_policy(training.model, env, 1, return_episode_rewards=True, warn=False)[0]
    assert ours == theirs
    assert max(ours) > 7, "no life was lost"


def test_the_first_observation_of_an_episode_is_seen_without_frames_of_the_one_before():
    view = PolicyView(arm(frame_stack=2), make_vec_env("CartPole-v1", 1), None)
    seen = []
    for number, begins in enumerate([False, False, True], 1):
        if begins:
            view.begin()
        view.act(np.full(4, number, np.float32), lambda each: seen.append(each[0, ::4].tolist()) or np.array([0]))
    assert seen == [[0, 1], [1, 2], [0, 3]]


def test_recorded_is_what_the_wrapped_environment_receives_and_gives(tmp_path):
    training = InProcessTraining(arm(64, wrappers=[{f"{MODULE}:Scaled": {"factor": 0.5}}, f"{MODULE}:Every"]), tmp_path)
    training.train()
    rewards = np.concatenate([unpack(batch.rewards).ravel() for batch in training.steps()])
    assert len(rewards) == 64
    assert set(rewards) <= {0.5, 1.0}
    assert training.heard(EpisodeFinished)[0].episode_return == sum(rewards[: training.heard(EpisodeFinished)[0].length])


def test_what_a_wrapper_cannot_reach_now_may_be_there_at_the_next_attempt(tmp_path):
    mailbox: Any = InProcessTraining(arm(64, wrappers=[f"{MODULE}:Unreachable"]), tmp_path)
    ended = trainer._attempt(mailbox.order(), mailbox, Delivery(tmp_path, mailbox, None), tmp_path)
    assert (ended.cause, "ConnectionRefusedError: nobody listens" in ended.detail) == ("crashed", True)


# --- what a wrapper keeps ---------------------------------------------------------------------------------------------


def test_a_count_in_a_slot_of_a_wrapper_is_found_and_played_again(tmp_path):
    whole, cut = whole_and_cut(arm(wrappers=[f"{MODULE}:InASlot"]), tmp_path, cut=400)
    assert (resumed(cut), same(whole, cut)) == ("exact", True)
    assert "InASlot.episodes differs after a reset" in warned(cut)[0]


def test_were_slots_not_compared_it_would_be_called_exact_with_other_bits(tmp_path, monkeypatch):
    """The negative control."""
    monkeypatch.setattr(attributes, "_slots", lambda value: [])
    monkeypatch.setattr(environment_states, "STEPS_TO_NEXT_TRIAL", 10**6)
    whole, cut = whole_and_cut(arm(wrappers=[f"{MODULE}:InASlot"]), tmp_path, cut=150)
    assert (resumed(cut), same(whole, cut)) == ("exact", False)


@pytest.mark.parametrize(("seed", "how"), [(5, "exact"), (None, "inexact")])
def test_a_generator_that_only_c_holds_is_played_again_or_the_resume_is_inexact(tmp_path, seed, how):
    """Seeded alike it comes back from the construction; seeded by the machine nothing brings it back."""
    whole, cut = whole_and_cut(arm(wrappers=[{f"{MODULE}:NoisyInC": {"seed": seed}}]), tmp_path, cut=400)
    assert (resumed(cut), same(whole, cut)) == (how, how == "exact")
    assert "rewards differ" in warned(cut)[0]


def test_a_space_that_a_reset_makes_and_nobody_seeds_is_no_state(tmp_path):
    whole, cut = whole_and_cut(arm(192, wrappers=[f"{MODULE}:Respaced"]), tmp_path, cut=150)
    assert (resumed(cut), same(whole, cut)) == ("exact", True)


def test_the_name_of_a_temporary_file_is_no_state():
    first, second = (attributes.attributes(own_classes.Temporary(gymnasium.make("CartPole-v1"))) for _ in range(2))
    assert first == second
    assert "Temporary.file" in first


# --- what is around the vector environment ----------------------------------------------------------------------------


def test_without_the_part_of_the_layers_a_resume_has_other_bits(tmp_path, monkeypatch):
    """The negative control."""
    parts = tuple(part for part in checkpoint.STATE_PARTS if part.name != "vec_layers")
    monkeypatch.setattr(checkpoint, "STATE_PARTS", parts)
    whole, cut = whole_and_cut(arm(frame_stack=3), tmp_path, cut=400)
    assert whole.weights != cut.weights


def test_a_layer_with_something_that_is_no_plain_data_makes_a_resume_inexact(tmp_path):
    _, cut = whole_and_cut(arm(128, vec_wrappers=[f"{MODULE}:Unpackable"]), tmp_path, cut=100)
    assert resumed(cut) == "inexact"
    assert "Unpackable.going is no plain data, so no checkpoint holds it" in warned(cut)[-1]


COMES_BACK = own_classes.KEPT.keys() - {"counts", "means", "text array", "large number"}


@pytest.mark.parametrize("what", own_classes.KEPT)
def test_what_a_layer_keeps_comes_back_as_it_was_or_is_named(tmp_path, what):
    """It is kept only since the first step: a layer that was just built has nothing yet by which it could be noticed."""
    _, cut = whole_and_cut(arm(128, vec_wrappers=[{f"{MODULE}:Keeping": {"what": what}}]), tmp_path, cut=100)
    wanted = own_classes.KEPT[what]()
    assert resumed(cut) == ("exact" if what in COMES_BACK else "inexact")
    if what in COMES_BACK:
        assert (type(cut.model.env.kept), attributes.encode(cut.model.env.kept)) == (type(wanted), attributes.encode(wanted))
    else:
        assert "Keeping.kept is no plain data, so no checkpoint holds it" in warned(cut)[-1]


def test_a_layer_that_hands_out_what_is_no_plain_data_is_named(tmp_path):
    _, cut = whole_and_cut(arm(128, vec_wrappers=[{f"{MODULE}:HandingOut": {"what": "by number"}}]), tmp_path, cut=100)
    assert resumed(cut) == "inexact"
    assert "HandingOut.get_state() is no plain data" in warned(cut)[-1]


@pytest.mark.filterwarnings("ignore:The environment is already wrapped:UserWarning")
def test_the_clock_of_a_monitor_of_the_vector_is_no_state(tmp_path):
    whole, cut = whole_and_cut(arm(vec_wrappers=["VecMonitor"], n_envs=2), tmp_path, cut=200)
    assert (resumed(cut), same(whole, cut)) == ("exact", True)


def test_a_second_normalization_is_not_taken_for_the_one_whose_statistics_a_checkpoint_holds(tmp_path):
    inner = "stable_baselines3.common.vec_env:VecNormalize"
    _, cut = whole_and_cut(arm(vec_wrappers=[inner], normalize=True), tmp_path, cut=400)
    assert resumed(cut) == "inexact"
    assert any("VecNormalize.obs_rms is no plain data" in each for each in warned(cut))


def test_stacked_frames_of_a_dict_are_put_back_by_key():
    space = gymnasium.spaces.Dict({"place": gymnasium.spaces.Box(-1, 1, (2,))})
    stack, fresh = (StackedObservations(1, 2, space) for _ in range(2))
    stack.reset({"place": np.ones((1, 2), np.float32)})
    kept = vec_layers_part._capture_stack(stack)
    vec_layers_part._restore_stack(fresh, kept)
    assert vec_layers_part._capture_stack(fresh)["place"].tolist() == kept["place"].tolist() == [[0, 0, 1, 1]]


# --- callbacks --------------------------------------------------------------------------------------------------------


def test_a_callback_without_a_state_makes_a_resume_inexact_and_is_named(tmp_path):
    whole, cut = whole_and_cut(arm(callbacks=[f"{MODULE}:Nudging"]), tmp_path, cut=400)
    assert (resumed(cut), same(whole, cut)) == ("inexact", False)
    assert "the callback Nudging has no get_state and set_state with plain data" in warned(cut)[-1]


def test_were_the_state_of_callbacks_not_put_back_the_bits_would_be_others(tmp_path, monkeypatch):
    """The negative control."""
    monkeypatch.setattr(callbacks_part, "_restore", lambda callback, tree, step: [])
    whole, cut = whole_and_cut(arm(callbacks=[f"{MODULE}:Remembering"]), tmp_path, cut=400)
    assert (resumed(cut), same(whole, cut)) == ("exact", False)


def test_a_callback_may_end_the_training_which_then_is_complete_and_says_so(tmp_path):
    training = InProcessTraining(arm(callbacks=[{f"{MODULE}:StopAt": {"step": 200}}]), tmp_path, frequency=64, eval_episodes=1)
    training.train()
    assert (training.ended.cause, training.ended.step) == ("completed", 200)
    assert warned(training) == ["the callback StopAt has ended the training at step 200 of 512"]
    assert training.heard(EvaluationFinished)[-1].step == 200
    assert training.lineage()[-1].finished
    training.continue_()  # killed before its last word was durable
    assert (training.ended.cause, training.ended.step, len(warned(training))) == ("completed", 200, 1)


def test_a_fork_goes_on_where_a_callback_has_ended_its_origin(tmp_path):
    origin = InProcessTraining(arm(callbacks=[f"{MODULE}:StopOnce"]), tmp_path, frequency=64)
    origin.train()
    assert origin.ended.step == 100
    fork = InProcessTraining(origin.arm, tmp_path, frequency=64)
    fork.train(origin=origin.lineage()[-1])
    assert (fork.ended.cause, fork.ended.step >= 512) == ("completed", True)
    assert warned(fork) == []


def test_a_state_of_a_callback_that_could_not_be_read_back_is_lost_and_the_checkpoint_is_not(tmp_path):
    _, cut = whole_and_cut(arm(callbacks=[{f"{MODULE}:ByNumber": {"steps": 1000}}]), tmp_path, cut=400)
    assert (resumed(cut), cut.heard(TrainingStarted)[-1].from_step) == ("inexact", 384)
    assert "the callback ByNumber has no get_state and set_state with plain data" in warned(cut)[-1]


# --- environments in processes of their own ---------------------------------------------------------------------------


def test_environments_in_processes_of_their_own_have_the_same_bits_also_after_a_cut(tmp_path):
    """Also with a wrapper that counts: they are played again from their construction, so no trial has to find that."""
    settings = {"n_envs": 2, "wrappers": [f"{MODULE}:InASlot"]}
    whole, cut = whole_and_cut(arm(vec_env="subproc", **settings), tmp_path, cut=200)
    beside = InProcessTraining(arm(**settings), tmp_path / "beside", frequency=64)
    beside.train()
    assert same(whole, beside)
    assert (resumed(cut), same(whole, cut)) == ("exact", True)
    assert len({process.pid for process in whole.model.env.unwrapped.processes}) == 2
    assert [episode.model_dump() for episode in whole.heard(EpisodeFinished)] == [
        episode.model_dump() for episode in beside.heard(EpisodeFinished)
    ]
    of = [read_state(each.home, each.lineage()[-1])["restoring"]["history"]["resets"].tolist() for each in (whole, beside)]
    assert of[0] == of[1]


def test_they_have_the_bits_of_subproc_vec_env(tmp_path):
    """That does not round rewards to 32 bits, so `VecNormalize` may get others than from `DummyVecEnv`."""
    settings = {"n_envs": 2, "wrappers": [{f"{MODULE}:Scaled": {"factor": 0.3}}], "normalize": True}
    ours = InProcessTraining(arm(256, vec_env="subproc", **settings), tmp_path)
    ours.train()
    torch.set_num_threads(1)
    env: Any = make_vec_env(
        "CartPole-v1",
        2,
        seed=3,
        wrapper_class=partial(own_classes.Scaled, factor=0.3),
        vec_env_cls=SubprocVecEnv,
        vec_env_kwargs={"start_method": "fork"},
    )
    model = PPO("MlpPolicy", VecNormalize(env), seed=3, device="cpu", policy_kwargs=dict(NETS), **SMALL)
    model.learn(256)
    env.close()
    assert ours.weights == {name: tensor.numpy().tobytes() for name, tensor in model.policy.state_dict().items()}


def keep_no_history(environment, steps):
    """In place of `_keep_history`, in a worker."""


def test_without_the_resets_of_the_workers_a_resume_is_not_exact(tmp_path, monkeypatch):
    """The negative control."""
    monkeypatch.setattr(separate_processes, "_keep_history", keep_no_history)
    monkeypatch.setattr(History, "add_reset", lambda *_: None)
    _, cut = whole_and_cut(arm(n_envs=2, vec_env="subproc"), tmp_path, cut=200)
    assert resumed(cut) == "inexact"


def test_a_worker_that_fails_or_ends_is_a_failure_of_its_environment():
    def fails() -> Any:
        return RecordedEnvironment(own_classes.Failing(gymnasium.make("CartPole-v1")), Recording(2))

    vector = separate_processes.SeparateEnvironments([fails, fails])
    vector.reset()
    with pytest.raises(EnvironmentFailedError, match=r"environment 0 failed in step\(\): RuntimeError: as it was told"):
        vector.step(np.array([0, 1]))
    vector.close()
    vector = separate_processes.SeparateEnvironments([fails])
    vector.processes[0].kill()
    with pytest.raises(EnvironmentFailedError, match="has ended"):
        vector.reset()
    vector.close()


def test_a_stop_that_reaches_all_processes_leaves_the_workers_to_their_trainer():
    vector = separate_processes.SeparateEnvironments([partial(gymnasium.make, "CartPole-v1")] * 2)
    vector.reset()
    for process in vector.processes:
        os.kill(process.pid, signal.SIGTERM)
        os.kill(process.pid, signal.SIGINT)
    assert len(vector.step(np.array([0, 1]))[0]) == 2
    vector.close()


def test_workers_die_with_their_trainer():
    reading, writing = os.pipe()
    trainer = os.fork()
    if trainer == 0:
        vector = separate_processes.SeparateEnvironments([lambda: gymnasium.make("CartPole-v1")] * 2)
        os.write(writing, " ".join(str(process.pid) for process in vector.processes).encode())
        signal.pause()
    workers = [os.pidfd_open(int(pid)) for pid in os.read(reading, 100).split()]
    os.kill(trainer, signal.SIGKILL)
    os.waitpid(trainer, 0)
    for worker in workers:  # a pidfd is readable when its process has ended
        assert select.select([worker], [], [], 30)[0]
        os.close(worker)


# --- networks ---------------------------------------------------------------------------------------------------------


def test_a_layer_with_a_call_of_its_own_is_called_so():
    policy = own_classes.OwnPolicy(
        gymnasium.spaces.Box(-1, 1, (3,)), gymnasium.spaces.Discrete(2), lambda _: 1e-3, net_arch=[4]
    )
    given = torch.ones(1, 3)
    torch.manual_seed(0)
    before = policy(given)
    shortcuts.skip_hook_lookup(policy)
    torch.manual_seed(0)
    assert [each.tolist() for each in policy(given)] == [each.tolist() for each in before]


TIRING = {"policy_kwargs": NETS | {"features_extractor_class": f"{MODULE}:Tiring"}}


def test_what_a_network_keeps_besides_its_parameters_makes_a_resume_inexact_and_is_named(tmp_path):
    whole, cut = whole_and_cut(arm(192, **TIRING), tmp_path, cut=150)
    assert (resumed(cut), same(whole, cut)) == ("inexact", False)
    assert any("features_extractor.calls of the policy is in no state dict" in each for each in warned(cut))


def test_were_the_networks_of_own_classes_not_looked_at_it_would_be_called_exact(tmp_path, monkeypatch):
    """The negative control."""
    monkeypatch.setattr(checkpoint, "changed_attributes", lambda model, tree: [])
    whole, cut = whole_and_cut(arm(192, **TIRING), tmp_path, cut=150)
    assert (resumed(cut), same(whole, cut)) == ("exact", False)


def test_wrappers_warn_of_nothing(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        InProcessTraining(arm(64, wrappers=["ClipRewardEnv", {"TimeLimit": {"max_episode_steps": 9}}]), tmp_path).train()
