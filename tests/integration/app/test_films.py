"""Films of policies: those of the evaluation are of what was recorded, and no others are called so."""

import random
import re

import gymnasium
import numpy as np
import pytest

from lander.actors.trainer.evaluation import play_by_step
from lander.actors.trainer.playback import DifferentEpisodeError, open_replay_env
from lander.app import films as module
from lander.app.chosen_policies import load
from lander.app.films import films
from lander.app.replay_subject import OtherVersionError
from lander.cli.main import main
from lander.protocol import events as e
from lander.protocol.experiment import EVALUATION_SEED
from lander.reports.analysis.comparison import findings
from lander.reports.render.numbers import number
from lander.store.log.reader import Reader
from lander.store.records.run_record import Record
from tests.support.random_walks import RenderedWalk
from tests.support.trained_runs import RUN, experiment, log, train
from tests.support.video_reading import read_video


class OwnDiceWalk(RenderedWalk):
    """Draws from the generators of the process, as no environment should."""

    def step(self, action):
        self.place += random.random() - 0.5 + np.random.normal()
        return super().step(action)


gymnasium.register("OwnDiceWalk-v0", OwnDiceWalk, max_episode_steps=40)
RENDERED = experiment("tests.support.random_walks:RenderedWalk-v0", training_steps=256, normalize=True)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("films")


@pytest.fixture(scope="module")
def words(place):
    """Of a run that is evaluated at its middle, too."""
    return train(place, RENDERED, eval_episodes=5, eval_frequency=128)


@pytest.fixture(scope="module")
def home(place, words):
    log(place, RENDERED, words)
    return place


def final(words):
    return next(word for word in words if isinstance(word, e.EvaluationFinished) and word.final)


def filmed(home, directory):
    with Reader(home) as reader:
        return films(reader, findings(reader, "x"), directory)


def test_an_arm_is_shown_by_the_best_the_median_and_the_worst_episode_of_its_evaluation(home, words, tmp_path):
    found = filmed(home, tmp_path)
    ranked = sorted(zip(final(words).returns, final(words).lengths, strict=True))
    assert found["v"] == []
    assert [title for title, _ in found["baseline"]] == [
        f"{rank}: {number(ranked[index][0])} (seed 3)" for rank, index in (("best", 4), ("median", 2), ("worst", 0))
    ]
    for (_, path), (_, length) in zip(found["baseline"], (ranked[4], ranked[2], ranked[0]), strict=True):
        assert len(read_video(path)[1]) == length + 1


def test_a_report_shows_them(home, tmp_path, capsys):
    path = tmp_path / "report.html"
    assert main(["report", "x", "--home", str(home), "--format", "html", "--videos", "--output", str(path)]) == 0
    lacking = "lander-ctl: v: no film, since no completed run of it was evaluated at its end\n"
    assert capsys.readouterr() == ("", f"drawing the report of x …\n{lacking}")
    assert path.read_text().count("data:video/mp4;base64,") == 3
    assert len(list((home / "experiments" / "x" / "videos").iterdir())) == 3


def test_an_evaluation_that_comes_out_otherwise_is_not_shown(place, words, tmp_path):
    """One return is another in its last bit: which is recorded can be shown no more."""
    other = final(words).model_copy(update={"returns": tuple(value * (1 + 2**-52) for value in final(words).returns)})
    home = tmp_path / "home"
    log(home, RENDERED, [other if word is final(words) else word for word in words])
    (home / "artifacts").symlink_to(place / "artifacts")
    (tmp_path / "films").mkdir()
    with pytest.raises(DifferentEpisodeError, match=rf"{RUN}: episode \d of the evaluation at step 256 comes to -?\d+\.\d+ in"):
        filmed(home, tmp_path / "films")
    assert not list((tmp_path / "films").iterdir())


def test_an_environment_that_remembers_is_evaluated_with_its_past_once_more(tmp_path):
    """Negative control: in an environment that was not played before, another return comes of it."""
    carried_over = experiment("tests.support.random_walks:CarriedOverWalk-v0", training_steps=64)
    words = train(tmp_path, carried_over, eval_episodes=4)
    log(tmp_path, carried_over, words)
    assert [path.exists() for _, path in filmed(tmp_path, tmp_path)["baseline"]] == [True] * 3
    with Reader(tmp_path) as reader, open_replay_env(carried_over.baseline) as environment:
        policy = load(tmp_path, RUN, carried_over.baseline, Record(reader, RUN).checkpoints()[-1])
        *_, alone = play_by_step(policy, environment, EVALUATION_SEED + 3)
    assert alone.episode_return != final(words).returns[3]


def test_what_a_process_of_its_own_cannot_film_either_is_said_and_no_other_process_is_started(home, monkeypatch, tmp_path):
    def other_code(reader, run):
        raise OtherVersionError(f"{run}: other code")

    with Reader(home) as reader:
        (wanted,) = [each for each in module._ranked(reader, findings(reader, "x").arms[0]) if each.rank == "best"]
        monkeypatch.setattr(module, "arm_of", other_code)
        monkeypatch.setattr(module, "in_own_process", lambda *work, **task: pytest.fail("a further process"))
        with pytest.raises(OtherVersionError, match=f"{RUN}: other code"):
            module.film_plain(reader, [wanted.plain()], tmp_path)


def video(home, *arguments):
    return main(["-q", "video", RUN, *map(str, arguments), "--home", str(home)])


def test_a_policy_is_filmed_on_the_seeds_of_its_evaluation(home, words, tmp_path, capsys):
    path = tmp_path / "two.mp4"
    assert video(home, "--episodes", 2, "--output", path) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    evaluated = zip(final(words).returns, final(words).lengths, strict=True)
    assert lines == [
        f"step 256, seed {EVALUATION_SEED + index}: {length} steps, return {value:.2f}"
        for index, (value, length) in zip(range(2), evaluated, strict=False)
    ]
    assert last == f"{path}: {max(final(words).lengths[:2]) + 1} frames, 20 a second"


def test_episodes_side_by_side_are_those_of_the_evaluation_whatever_they_draw_from(tmp_path, capsys, monkeypatch):
    """Negative control: where each draws from what the others left, none but the first can be what it was."""
    dice = experiment("OwnDiceWalk-v0", training_steps=64)
    words = train(tmp_path, dice, eval_episodes=3)
    log(tmp_path, dice, words)
    capsys.readouterr()  # what the training said
    told = []
    for play in (module.with_isolated_rng, lambda playing: playing):
        monkeypatch.setattr(module, "with_isolated_rng", play)
        assert video(tmp_path, "--episodes", 3, "--output", tmp_path / "film.mp4") == 0
        told.append(capsys.readouterr())
    shown = [line.rpartition(" ")[2] for line in told[0].out.splitlines()[:-1]]
    assert shown == [f"{value:.2f}" for value in final(words).returns]
    assert told[0].err == ""
    complaint = (
        rf"warning: {RUN}: episode \d of the evaluation at step 64 comes to \S+ in \d+ steps, and \S+ in \d+ steps in the"
    )
    assert re.match(complaint, told[1].err)


def test_episodes_that_are_not_those_of_the_evaluation_are_shown_and_said_to_be_others(tmp_path, capsys):
    """Its second episode was played after its first; the negative control is the first."""
    carried_over = experiment("tests.support.random_walks:CarriedOverWalk-v0", training_steps=64)
    log(tmp_path, carried_over, train(tmp_path, carried_over, eval_episodes=2))
    assert video(tmp_path, "--episodes", 2, "--output", tmp_path / "film.mp4") == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"warning: {RUN}: episode 2 of the evaluation at step 64 comes to ")


def test_a_policy_of_the_past_is_filmed_on_any_seed(home, tmp_path, capsys):
    for name in ("first", "again"):
        assert video(home, "--at", 128, "--seed", 7, "--output", tmp_path / f"{name}.mp4") == 0
    assert re.match(r"step 128, seed 7: \d+ steps, return -?\d", capsys.readouterr().out)
    assert (tmp_path / "first.mp4").read_bytes() == (tmp_path / "again.mp4").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["--at", "7"], 3, f"{RUN}: has no checkpoint at step 7; the nearest are at .*256"),
        (["--at", "now"], 2, "--at now: must be a step, last, best or final"),
        (["--output", "x.avi"], 2, r"x\.avi: must end with \.mp4"),
    ],
)
def test_what_cannot_be_filmed_is_said_in_one_line(home, capsys, arguments, code, complaint):
    assert video(home, *arguments) == code
    assert re.fullmatch(rf"lander-ctl: .*{complaint}.*\n", capsys.readouterr().err)


def test_without_its_checkpoint_there_is_no_policy(words, tmp_path, capsys):
    log(tmp_path, RENDERED, words)
    assert video(tmp_path) == 3
    assert re.fullmatch(rf"lander-ctl: {RUN}: the checkpoint at step 256 is gone .*\n", capsys.readouterr().err)


def test_an_environment_that_is_gone_is_named_once(place, words, tmp_path, capsys):
    log(tmp_path, experiment("nowhere:Gone-v0", training_steps=256, normalize=True), words)
    (tmp_path / "artifacts").symlink_to(place / "artifacts")
    assert video(tmp_path) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"lander-ctl: {RUN}: nowhere:Gone-v0 or its model cannot be built here: ModuleNotFoundError")
    assert (said.count("cannot be built"), said.count("\n")) == (1, 1)
