"""`lander-ctl evaluate` of several runs, and of returns that are no numbers: all there is is shown, and the rest is named."""

import importlib
import json
import math
from pathlib import Path

import gymnasium
import pytest

from lander.cli.main import main
from lander.home.layout import artifact_path
from lander.protocol import events as e
from lander.store.log.event_store import batch_of
from tests.support.random_walks import MultiDiscreteWalk
from tests.support.trained_runs import RUN, experiment, log, train
from tests.support.written_homes import write_log

ENVIRONMENT = "tests.support.random_walks:MultiDiscreteWalk-v0"
OTHER = "x/v/3"
MISSING = "a" * 64


class OddRewardWalk(MultiDiscreteWalk):
    """Rewards what it is told to; each episode is one step long."""

    rewards = ()

    def step(self, action):
        seen, *_, info = super().step(action)
        return seen, self.rewards[self.episode % len(self.rewards)], True, False, info

    def reset(self, *, seed=None, options=None):
        self.episode = seed or 0
        return super().reset(seed=seed)


gymnasium.register("OddRewardWalk-v0", OddRewardWalk)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("several")


@pytest.fixture(scope="module")
def words(place):
    return train(place, experiment(ENVIRONMENT, training_steps=128), frequency=64)


@pytest.fixture
def home(place, words, tmp_path):
    """The baseline and the variant are one training; of the variant's last checkpoint the log has another name."""
    log(tmp_path, experiment(ENVIRONMENT, training_steps=128), words)
    last = max(word.step for word in words if isinstance(word, e.CheckpointCommitted))
    renamed = [
        word.model_copy(update={"sha256": MISSING}) if isinstance(word, e.CheckpointCommitted) and word.step == last else word
        for word in words
    ]
    write_log(
        tmp_path,
        batch_of(OTHER, e.AttemptStarted(epoch=1, host="local", cpu=0)),
        batch_of(OTHER, *renamed, producer=1),
        batch_of(OTHER, e.AttemptEnded(epoch=1, cause="completed")),
        batch_of(OTHER, e.RunCompleted()),
    )
    (tmp_path / "artifacts").symlink_to(place / "artifacts")
    yield tmp_path
    artifact_path(place, MISSING).unlink(missing_ok=True)


def evaluate(home, capsys, *arguments):
    code = main(["-q", "evaluate", *arguments, "--home", str(home), "--episodes", "2"])
    return code, *capsys.readouterr()


def test_one_that_is_gone_is_named_with_those_that_remain_and_the_others_are_shown(home, capsys):
    """Negative control: at a step where both have their checkpoints, nobody is left out."""
    code, output, errors = evaluate(home, capsys, "x")
    assert [line.split()[0] for line in output.splitlines()] == ["run", RUN]
    assert code == 3
    assert errors.startswith(f"lander-ctl: {OTHER}: the checkpoint at step 128 is gone (")
    assert errors.endswith("; the nearest are at 64\n")
    code, output, errors = evaluate(home, capsys, "x", "--at", "64")
    assert ([line.split()[0] for line in output.splitlines()], code, errors) == (["run", RUN, OTHER], 0, "")


def test_one_that_is_damaged_is_named_and_the_others_are_shown(home, capsys):
    path = artifact_path(home, MISSING)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"damaged")
    code, output, errors = evaluate(home, capsys, "x")
    assert ([line.split()[0] for line in output.splitlines()], code) == (["run", RUN], 3)
    assert errors.startswith(f"lander-ctl: {OTHER}: the checkpoint at step 128 cannot be used")
    code, output, _ = evaluate(home, capsys, "x", "--json")
    assert ([each["run"] for each in json.loads(output)["evaluations"]], code) == ([RUN], 3)


def test_what_was_collected_is_not_offered_as_the_nearest(home, capsys):
    assert evaluate(home, capsys, OTHER, "--at", "100") == (
        3,
        "",
        f"lander-ctl: {OTHER}: has no checkpoint at step 100; the nearest are at 64\n",
    )
    assert "the nearest are at 64, 128\n" in evaluate(home, capsys, RUN, "--at", "100")[2]


def test_each_row_is_shown_as_soon_as_it_is_known(home, capsys, monkeypatch):
    module = importlib.import_module("lander.cli.commands.evaluate")
    evaluated = module._evaluated

    def interrupted(reader, saved, episodes):
        if saved.run == OTHER:
            raise KeyboardInterrupt
        return evaluated(reader, saved, episodes)

    monkeypatch.setattr(module, "_evaluated", interrupted)
    code, output, _ = evaluate(home, capsys, "x", "--at", "64")
    assert ([line.split()[0] for line in output.splitlines()], code) == (["run", RUN], 130)


def test_a_target_is_meant_before_a_file_of_its_name(home, capsys, tmp_path, monkeypatch):
    """Negative control: a file of another name is looked at."""
    monkeypatch.chdir(tmp_path)
    for name in ("x", "y"):
        Path(name).write_text("no model")
    assert evaluate(home, capsys, "x", "--at", "64")[0] == 0
    assert evaluate(home, capsys, "y")[2].startswith("lander-ctl: y: not a model that a run of")


@pytest.mark.parametrize(
    ("rewards", "row"),
    [
        ((1.0, math.nan), ["nan", "1.0", "1.0"]),
        ((math.nan, math.nan), ["nan", "nan", "nan"]),
        ((1.0, math.inf), ["inf", "1.0", "inf"]),
        ((-math.inf, math.inf), ["nan", "-inf", "inf"]),
        ((1e308, -1e308), ["0.0", f"{-1e308:,.1f}", f"{1e308:,.1f}"]),
        ((1.0, 3.0), ["2.0", "±", "1.4", "1.0", "3.0"]),
    ],
)
def test_returns_that_are_no_numbers_are_shown_as_what_they_are(place, words, tmp_path, capsys, monkeypatch, rewards, row):
    monkeypatch.setattr(OddRewardWalk, "rewards", rewards)
    log(tmp_path, experiment("OddRewardWalk-v0", training_steps=128), words)
    (tmp_path / "artifacts").symlink_to(place / "artifacts")
    code, output, errors = evaluate(tmp_path, capsys, RUN)
    assert (code, errors) == (0, "")
    assert output.splitlines()[1].split()[3:] == row
