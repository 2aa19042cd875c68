"""`lander-ctl evaluate`: what was evaluated while it trained comes out the same once more, and nothing is unpickled."""

import json
import re
import shutil
import sys

import pytest
from stable_baselines3 import PPO

from lander.app.chosen_policies import policies, policy_of_model
from lander.cli.main import main
from lander.protocol import events as e
from lander.protocol.errors import NotFoundError
from lander.store.log.reader import Reader
from lander.store.records.run_record import Record
from lander.store.upkeep.retention import MINIMUM_RETENTION
from tests.support.live_home import experiment
from tests.support.written_homes import OTHER, attempt, checkpoint, queued_experiment, sha256, write_log

EPISODES = 3
RUN = "seen/baseline/0"
_unpickled: list[str] = []
sys.addaudithook(lambda event, arguments: _unpickled.append(str(arguments)) if event == "pickle.find_class" else None)


@pytest.fixture(scope="module")
def home(shared_home):
    """Two runs, normalised, evaluated at 128, 256 (their best may be at either) and at their end."""
    hyperparameters = {"n_steps": 64, "batch_size": 32, "n_epochs": 2, "n_envs": 2, "normalize": True}
    settings = {"eval_frequency": 128, "eval_episodes": EPISODES, "checkpoint_frequency": 128, "training_steps": 384}
    ended = shared_home.carry_out(experiment("seen", hyperparameters, **settings))
    assert [run["state"] for run in ended["runs"]] == ["completed"] * 2
    return shared_home.home


@pytest.fixture
def evaluate(home, capsys):
    def run(*arguments):
        code = main(["-q", "evaluate", *map(str, arguments), "--home", str(home)])
        output, errors = capsys.readouterr()
        return code, output, errors

    return run


def recorded(home, run=RUN):
    with Reader(home) as reader:
        return {each.step: each for each in Record(reader, run).evaluations()}


def told(output):
    return {
        each["run"]: (each["step"], tuple(each["returns"]), tuple(each["lengths"]))
        for each in json.loads(output)["evaluations"]
    }


def in_short(evaluation):
    return evaluation.step, evaluation.returns, evaluation.lengths


@pytest.mark.parametrize("step", [128, 256, 384])
def test_at_every_step_it_is_what_was_recorded(home, evaluate, step):
    code, output, errors = evaluate(RUN, "--at", step, "--json")
    assert (code, errors) == (0, "")
    assert told(output) == {RUN: in_short(recorded(home)[step])}


def test_without_more_words_it_is_the_last_checkpoint_of_every_run(home, evaluate):
    code, output, _ = evaluate("seen", "--json")
    assert (code, told(output)) == (0, {run: in_short(recorded(home, run)[384]) for run in (RUN, "seen/variant/0")})
    assert told(evaluate("seen", "--at", "final", "--json")[1]) == told(output)


def test_the_best_is_the_best_in_evaluation(home, evaluate):
    best = max(recorded(home).values(), key=lambda each: (each.mean_return, -each.step))
    assert told(evaluate(RUN, "--at", "best", "--json")[1]) == {RUN: in_short(best)}


def test_more_episodes_begin_with_the_same_and_fewer_are_the_first(home, evaluate):
    _, returns, _ = told(evaluate(RUN, "--episodes", EPISODES + 2, "--json")[1])[RUN]
    last = recorded(home)[384]
    assert len(returns) == EPISODES + 2
    assert returns[:EPISODES] == last.returns
    assert told(evaluate(RUN, "--episodes", 1, "--json")[1])[RUN][1] == last.returns[:1]


def test_a_model_is_known_by_its_content_wherever_it_lies(home, evaluate, tmp_path):
    models = home / "experiments" / "seen" / "models"
    shutil.copy(models / "baseline-0-best.zip", tmp_path / "a-friend-sent-this.zip")
    assert evaluate(tmp_path / "a-friend-sent-this.zip") == evaluate(RUN, "--at", "best")
    assert evaluate(models / "variant-0-final.zip") == evaluate("seen/variant")


def test_nothing_is_unpickled_and_nothing_recorded(home, evaluate):
    model = home / "experiments" / "seen" / "models" / "baseline-0-final.zip"
    with Reader(home) as reader:

        def said():
            """But for what the host measures, which goes on."""
            return [stored.position for stored in reader.events() if not stored.stream.startswith("host:")]

        before = said()
        _unpickled.clear()
        assert evaluate(model)[0] == 0
        assert _unpickled == []
        assert said() == before
    PPO.load(model, device="cpu")
    assert _unpickled != [], "the negative control: it would be seen"


def test_people_get_a_table(evaluate):
    _, output, _ = evaluate("seen", "--episodes", 1)
    heading, first, second = output.splitlines()
    assert heading.split() == ["run", "step", "episodes", "mean", "return", "lowest", "highest"]
    assert [line.split()[:3] for line in (first, second)] == [[RUN, "384", "1"], ["seen/variant/0", "384", "1"]]
    assert "±" not in output
    assert "±" in evaluate(RUN)[1]


def test_what_cannot_be_evaluated_is_said_in_one_plain_line(home, evaluate, tmp_path):
    changed = tmp_path / "changed.zip"
    changed.write_bytes((home / "experiments/seen/models/baseline-0-final.zip").read_bytes() + b"!")
    expected = {
        ("nothing",): (3, "nothing: no such experiment or run"),
        (RUN, "--at", "200"): (3, f"{RUN}: has no checkpoint at step 200; the nearest are at 128, 256, 384"),
        (RUN, "--at", "worst"): (2, "--at worst: must be a step, last, best or final"),
        (tmp_path / "gone.zip",): (3, f"{tmp_path / 'gone.zip'}: no such file"),
        (changed,): (3, f"{changed}: not a model that a run of {home} saved, or changed since; is --home right?"),
        (changed, "--at", "best"): (2, f"--at best: {changed} is of one step only; leave --at out"),
        (RUN, "--episodes", "0"): (2, "Invalid value for '--episodes'"),
    }
    for arguments, (code, sentence) in expected.items():
        found = evaluate(*arguments)
        assert (found[0], found[1]) == (code, "")
        assert found[2].startswith(f"lander-ctl: {sentence}")
        assert found[2].count("\n") == 1


def test_a_run_without_a_checkpoint_has_nothing_to_evaluate(tmp_path, capsys):
    queued_experiment(tmp_path)
    assert main(["evaluate", "x/baseline", "--home", str(tmp_path)]) == 3
    assert capsys.readouterr().err == "lander-ctl: x/baseline/0: has no checkpoint yet\n"


def test_of_several_runs_those_without_are_named_and_the_others_are_not_lost(tmp_path):
    queued_experiment(tmp_path)
    write_log(tmp_path, *attempt(1, checkpoint(tmp_path, 8), run=OTHER))
    with Reader(tmp_path) as reader:
        found, missing = policies(reader, "x", "last")
    assert [(each.run, each.checkpoint.step) for each in found] == [(OTHER, 8)]
    assert missing == ["x/baseline/0: has no checkpoint yet"]


def test_the_best_of_equals_is_the_one_that_is_kept(tmp_path):
    queued_experiment(tmp_path)
    equal = [checkpoint(tmp_path, step, content, evaluation=500.0) for step, content in ((4, "one"), (8, "two"))]
    write_log(tmp_path, *attempt(1, *equal, checkpoint(tmp_path, 1_200, "three", evaluation=9.0), run=OTHER))
    with Reader(tmp_path) as reader:
        steps = {at: policies(reader, OTHER, at)[0][0].checkpoint.step for at in ("best", "last", "8", "1,200", "1_200")}
        known = Record(reader, OTHER).checkpoints()
    assert steps == {"best": 4, "last": 1_200, "8": 8, "1,200": 1_200, "1_200": 1_200}
    assert [each.step for each in MINIMUM_RETENTION.kept(known)] == [4, 1_200]


@pytest.mark.parametrize(
    ("at", "sentence"),
    [
        ("final", "x/v/0: has not completed; its last checkpoint is at step 8: --at 8"),
        ("best", "x/v/0: has no checkpoint that was evaluated when it was made; --eval-frequency N makes some"),
    ],
)
def test_what_a_run_does_not_have_is_said_with_the_next_step(tmp_path, at, sentence):
    queued_experiment(tmp_path)
    write_log(tmp_path, *attempt(1, checkpoint(tmp_path, 8, evaluation=float("nan")), run=OTHER))
    with Reader(tmp_path) as reader, pytest.raises(NotFoundError, match=re.escape(sentence)):
        policies(reader, OTHER, at)


def test_a_model_of_a_superseded_attempt_is_that_attempts(tmp_path):
    """Attempt 1 was best at step 4, and was superseded from step 2 on; attempt 2 was another at step 4."""
    queued_experiment(tmp_path)
    model = tmp_path / "best.zip"
    model.write_bytes(b"a model")
    saved = e.ModelSaved(step=4, path="best.zip", sha256=sha256(b"a model"), which="best")
    write_log(tmp_path, *attempt(1, checkpoint(tmp_path, 2), saved, checkpoint(tmp_path, 4, "one")))
    write_log(tmp_path, *attempt(2, checkpoint(tmp_path, 4, "other"), from_step=2))
    with Reader(tmp_path) as reader:
        assert policy_of_model(reader, model).checkpoint == checkpoint(tmp_path, 4, "one")


def test_a_checkpoint_that_was_collected_is_said_to_be_gone(home, evaluate, tmp_path):
    away = tmp_path / "artifacts"
    (home / "artifacts").rename(away)
    try:
        code, _, errors = evaluate(RUN)
    finally:
        away.rename(home / "artifacts")
    assert code == 3
    assert errors.startswith(f"lander-ctl: {RUN}: the checkpoint at step 384 is gone (")
