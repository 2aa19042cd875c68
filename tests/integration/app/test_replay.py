"""Episodes played once more from the log: bit for bit what they were, or refused with the step at which they are not."""

import re
import struct
import sys

import numpy as np
import pytest

from lander.actors.trainer.playback import DifferentEpisodeError, open_replay_env, play
from lander.app.replay_subject import arm_of
from lander.cli.main import main
from lander.protocol import events as e
from lander.protocol.arrays import pack, unpack
from lander.protocol.wire import encode_event
from lander.store.log.reader import Reader
from lander.store.records.episodes import episodes_by_number, recorded_episodes
from lander.store.records.run_record import Record
from tests.support.histories import origin
from tests.support.interrupted_runs import kill_each, starts
from tests.support.live_home import experiment as live_experiment
from tests.support.random_walks import MultiDiscreteWalk
from tests.support.trained_runs import RUN, experiment, log, train, train_and_log
from tests.support.video_reading import read_video

WIND = {"enable_wind": True, "turbulence_power": 1.5}

CASES = {
    "discrete": ("LunarLander-v3", {}, {}),
    "continuous": ("LunarLander-v3", {"continuous": True}, {}),
    "wind": ("LunarLander-v3", WIND, {}),
    "cartpole-4-envs": ("CartPole-v1", {}, {"n_envs": 4, "training_steps": 1024}),
    "resumed": ("LunarLander-v3", WIND, {"cuts": (200, 150), "how": {"frequency": 128}, "n_envs": 2, "training_steps": 1024}),
    "normalized": ("Acrobot-v1", {"max_episode_steps": 60}, {"normalize": True, "n_envs": 2}),
    "dict": ("tests.support.random_walks:DictWalk-v0", {}, {"policy": "MultiInputPolicy"}),
    "multi-discrete": ("tests.support.random_walks:MultiDiscreteWalk-v0", {}, {}),
    "remembers": ("BipedalWalker-v3", {"max_episode_steps": 90}, {}),
}


def replay(home, *arguments):
    return main(["-q", "replay", RUN, *map(str, arguments), "--home", str(home)])


@pytest.mark.parametrize("case", CASES)
def test_every_episode_of_a_training_is_played_once_more(case, tmp_path, capsys):
    environment, kwargs, settings = CASES[case]
    train_and_log(tmp_path, environment, kwargs, **settings)
    capsys.readouterr()  # what the training had to say
    assert replay(tmp_path, "--episode", "all", "--check") == 0
    *lines, total = capsys.readouterr().out.splitlines()
    with Reader(tmp_path) as reader:
        recorded = [(episode.length, f"{episode.episode_return:.2f}") for episode in reader.episodes(RUN)]
    assert len(lines) > 1
    assert lines == [
        f"episode {number}: {length} steps, return {told}: equal bit for bit"
        for number, (length, told) in enumerate(recorded, 1)
    ]
    assert total == f"{RUN}: {len(lines)} of {len(lines)} episodes are equal bit for bit"


def test_an_environment_that_remembers_is_played_with_its_past(tmp_path, capsys):
    """Negative control: alone, its fourth episode comes out otherwise."""
    train_and_log(tmp_path, "tests.support.random_walks:CarriedOverWalk-v0", n_envs=2)
    assert replay(tmp_path, "--episode", 4, "--check") == 0
    assert replay(tmp_path, "--episode", 2, "--output", tmp_path / "walk.mp4") == 0
    assert capsys.readouterr().out.count("equal bit for bit") == 2
    with Reader(tmp_path) as reader, open_replay_env(arm_of(reader, RUN)) as environment:
        record = Record(reader, RUN)
        (episode,) = recorded_episodes(record, {4: episodes_by_number(record)[4]})
        with pytest.raises(DifferentEpisodeError):
            list(play(environment, RUN, episode.finished, episode.actions, episode.rewards, episode.endings))


def test_an_episode_that_began_before_a_fork_is_played_from_the_records_of_both(tmp_path, capsys):
    """Its numbers go on, as its episodes do."""
    words = train_and_log(tmp_path, "LunarLander-v3", WIND, n_envs=2, how={"frequency": 256})
    (branch, *_) = [word for word in words if isinstance(word, e.CheckpointCommitted)]
    assert 0 < branch.step < 512
    fork = experiment("LunarLander-v3", WIND, n_envs=2, name="f", origin=origin({3: branch}))
    log(tmp_path, fork, train(tmp_path, fork, begin=branch))
    whole = numbered_episodes(tmp_path)
    with Reader(tmp_path) as reader:
        forked = episodes_by_number(Record(reader, "f/baseline/3"))
    assert forked == {number: episode for number, episode in whole.items() if episode.last_step > branch.step}
    assert min(forked) > 1
    assert any(episode.first_step < branch.step for episode in forked.values())
    assert main(["replay", "f/baseline/3", "--episode", "all", "--check", "--home", str(tmp_path)]) == 0
    assert capsys.readouterr().out.count("equal bit for bit\n") == len(forked) + 1
    assert main(["replay", "f/baseline/3", "--episode", "1", "--home", str(tmp_path)]) == 3
    assert capsys.readouterr().err.endswith(f"; it was played by {RUN}, which this run continues: replay that\n")
    assert main(["replay", "f/baseline/3", "--episode", "999", "--home", str(tmp_path)]) == 3
    assert "continues" not in capsys.readouterr().err


def test_what_an_environment_remembers_of_a_lost_attempt_is_not_made_up(tmp_path, capsys):
    """The trainer that went on was not to play it again, and began anew: of the reset before that, the log says nothing."""
    how = {"frequency": 128, "replay_limit": 0}
    words = train_and_log(tmp_path, "tests.support.random_walks:CarriedOverWalk-v0", cuts=(200,), how=how)
    capsys.readouterr()
    (gone_on,) = [word.from_step for word in words if isinstance(word, e.TrainingStarted) and word.resume == "inexact"]
    episodes = numbered_episodes(tmp_path)
    assert replay(tmp_path, "--episode", "all", "--check") == 1
    output, errors = capsys.readouterr()
    before = [number for number, episode in episodes.items() if episode.last_step <= gone_on]
    assert len(before) > 1
    assert [line.partition(":")[0] for line in output.splitlines()[:-1]] == [f"episode {number}" for number in before]
    assert errors.count(" differs at step ") == len(episodes) - len(before)


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    return train(tmp_path_factory.mktemp("lander"), LANDER, eval_episodes=3)


LANDER = experiment("LunarLander-v3", training_steps=384)


def changed(words, kind, field, change, step=0):
    """The words with one event changed in one field: the first of its kind, that of the steps the one with this step in it."""
    index = next(
        index
        for index, word in enumerate(words)
        if isinstance(word, kind) and (kind is e.EpisodeFinished or word.last_step >= step)
    )
    word = words[index]
    if kind is e.StepsRecorded:
        array = unpack(getattr(word, field)).copy()
        place = (step - 1 - word.first_step, 0)
        array[place] = change(array[place])
        value = pack(array)
    else:
        value = change(getattr(word, field))
    return [*words[:index], word.model_copy(update={field: value}), *words[index + 1 :]]


def one_bit(value):
    """The next float64."""
    (bits,) = struct.unpack("q", struct.pack("d", value))
    return struct.unpack("d", struct.pack("q", bits ^ 1))[0]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ((e.StepsRecorded, "actions", lambda action: 0 if action == 2 else 2, 30), r"differs at step 30 of \d+ in its reward"),
        ((e.StepsRecorded, "rewards", one_bit, 41), r"differs at step 41 of \d+ in its reward: \S+ when it is played again"),
        ((e.StepsRecorded, "endings", lambda ending: 2, 51), r"differs at step 51 of \d+ in its ending: 0 when"),
        ((e.EpisodeFinished, "episode_return", one_bit), "differs in its return"),
        ((e.EpisodeFinished, "reset_seed", lambda seed: seed + 1), r"differs at step 1 of \d+ in its reward"),
    ],
)
def test_a_record_that_is_different_in_one_bit_is_refused_and_not_filmed(words, tmp_path, capsys, change, complaint):
    log(tmp_path, LANDER, changed(words, *change))
    assert replay(tmp_path, "--episode", 1) == 1
    errors = capsys.readouterr().err
    assert re.fullmatch(rf"lander-ctl: {RUN}: episode 1 {complaint}.*\n", errors)
    assert not list(tmp_path.rglob("*.mp4"))
    assert replay(tmp_path, "--episode", "all", "--check") == 1
    output, errors = capsys.readouterr()
    assert re.fullmatch(rf"lander-ctl: {RUN}: episode 1 {complaint}.*\n", errors)
    assert output.splitlines()[0].startswith("episode 2: ")
    assert re.search(r"(\d+) of (\d+) episodes are equal", output)


@pytest.fixture(scope="module")
def home(words, tmp_path_factory):
    place = tmp_path_factory.mktemp("home")
    log(place, LANDER, words)
    return place


def test_a_film_shows_every_step_and_is_the_same_every_time(home, tmp_path, capsys):
    assert replay(home, "--episode", 1) == 0
    path = home / "experiments" / "x" / "videos" / "baseline-3-episode-1.mp4"
    length = numbered_episodes(home)[1].length
    told, last = capsys.readouterr().out.splitlines()
    assert told.endswith(f"{length} steps, return {numbered_episodes(home)[1].episode_return:.2f}: equal bit for bit")
    assert last == f"{path}: {length + 1} frames, 50 a second"
    about, frames = read_video(path)
    assert (about["fps"], about["codec"], about["size"], len(frames)) == (50.0, "h264", (600, 400), length + 1)
    assert "yuv420p" in about["pix_fmt"]
    assert not np.array_equal(frames[0], frames[-1])
    assert replay(home, "--episode", 1, "--output", tmp_path / "again.mp4") == 0
    assert (tmp_path / "again.mp4").read_bytes() == path.read_bytes()


def numbered_episodes(home):
    with Reader(home) as reader:
        return episodes_by_number(Record(reader, RUN))


def test_each_episode_is_played_without_those_before_it(home):
    """Each in an environment that nothing was played in."""
    with Reader(home) as reader:
        record = Record(reader, RUN)
        for episode in recorded_episodes(record, episodes_by_number(record)):
            with open_replay_env(LANDER.baseline) as environment:
                played = list(play(environment, RUN, episode.finished, episode.actions, episode.rewards, episode.endings))
            assert played == list(range(episode.finished.length + 1))


def test_several_episodes_are_shown_side_by_side(tmp_path):
    path = tmp_path / "both.mp4"
    train_and_log(tmp_path, "tests.support.random_walks:RenderedWalk-v0")
    assert replay(tmp_path, "--episode", "worst", "--episode", "best", "--episode", "worst", "--output", path, "--fps", 25) == 0
    about, frames = read_video(path)
    lengths = {each.episode_return: each.length for each in numbered_episodes(tmp_path).values()}
    assert len(frames) == max(lengths[min(lengths)], lengths[max(lengths)]) + 1
    assert (about["fps"], about["size"]) == (25.0, (2 * (51 + 4), 31 + 22 + 4 + 1))


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["--episode", "9999"], 3, rf"{RUN}: there is no episode 9999; recorded are 1 to \d"),
        (["--episode", "0"], 3, "there is no episode 0"),
        (["--episode", "first"], 2, "--episode first: must be a number, best, worst, last or all"),
        (["--episode", "1", "--check", "--output", "x.mp4"], 2, "--check makes no film; leave --output out"),
        (["--episode", "1", "--check", "--fps", "30"], 2, "--check makes no film; leave --fps out"),
        (["--episode", "1", "--fps", "nan"], 2, "--fps: found nan; must be a number"),
        (["--episode", "1", "--output", "/proc/x.mp4"], 2, r"/proc/\S+\.mp4: No such file or directory"),
        (["--episode", "1", "--output", "x.gif"], 2, r"x\.gif: must end with \.mp4"),
    ],
)
def test_what_cannot_be_shown_is_said_in_one_line(home, capsys, arguments, code, complaint):
    assert replay(home, *arguments) == code
    assert re.fullmatch(rf"lander-ctl: .*{complaint}.*\n", capsys.readouterr().err)


def test_steps_that_are_missing_are_named(words, tmp_path, capsys):
    batch = next(word for word in words if isinstance(word, e.StepsRecorded) and word.last_step > 20)
    log(tmp_path, LANDER, [word for word in words if word is not batch])
    length = numbered_episodes(tmp_path)[1].length
    assert replay(tmp_path, "--episode", 1) == 3
    there = f"1 to {batch.first_step}" if batch.first_step else "none"
    assert capsys.readouterr().err.startswith(
        f"lander-ctl: {RUN}: episode 1 is not recorded in full: of its steps 1 to {length} only {there}"
    )


def test_a_run_without_an_episode_says_so(words, tmp_path, capsys):
    log(tmp_path, LANDER, [word for word in words if not isinstance(word, e.EpisodeFinished)])
    assert replay(tmp_path, "--episode", "last") == 3
    assert capsys.readouterr().err == f"lander-ctl: {RUN}: no episode has finished yet\n"


def test_without_an_ffmpeg_there_is_one_plain_line(home, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", "/nowhere/ffmpeg")
    assert replay(home, "--episode", 1, "--output", tmp_path / "no.mp4") == 2
    assert re.fullmatch(r"lander-ctl: .*no\.mp4: no ffmpeg to encode it with \(.*\); pip install .*\n", capsys.readouterr().err)
    assert not list(tmp_path.iterdir())


def test_an_environment_that_cannot_be_seen_is_named(tmp_path, capsys, monkeypatch):
    train_and_log(tmp_path, "tests.support.random_walks:MultiDiscreteWalk-v0", training_steps=256)
    assert replay(tmp_path, "--episode", 1) == 2
    assert (
        capsys.readouterr().err.splitlines()[-1]
        == "lander-ctl: MultiDiscreteWalk-v0 cannot be drawn here: NotImplementedError: "
    )
    monkeypatch.setattr(MultiDiscreteWalk, "metadata", {"render_modes": []})
    assert replay(tmp_path, "--episode", 1) == 2
    assert (
        capsys.readouterr().err.splitlines()[-1]
        == "lander-ctl: tests.support.random_walks:MultiDiscreteWalk-v0 cannot be drawn: it has no render mode rgb_array"
    )
    assert replay(tmp_path, "--episode", 1, "--check") == 0


def test_an_environment_with_a_generator_of_its_own_is_not_played(tmp_path, capsys):
    train_and_log(tmp_path, "tests.support.random_walks:OwnGeneratorWalk-v0", training_steps=128)
    assert replay(tmp_path, "--episode", 1, "--check") == 1
    assert re.search(r"episode 1 cannot be played again: OwnGeneratorWalk\.dice is a random", capsys.readouterr().err)


def test_an_environment_of_ones_own_is_found_where_it_was(tmp_path, monkeypatch, capsys):
    """In the directory from which the experiment was submitted."""
    registering = "gymnasium.register('Own-v0', MultiDiscreteWalk, max_episode_steps=20)"
    source = f"import gymnasium\nfrom tests.support.random_walks import MultiDiscreteWalk\n{registering}\n"
    (tmp_path / "ownwalk.py").write_text(source)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    train_and_log(tmp_path / "home", "ownwalk:Own-v0", execution={"directory": str(tmp_path)})
    sys.path.remove(str(tmp_path))
    del sys.modules["ownwalk"]
    assert replay(tmp_path / "home", "--episode", "last", "--check") == 0
    assert capsys.readouterr().out.endswith(": equal bit for bit\n")


def test_episodes_are_numbered_as_in_the_projection(home):
    with Reader(home) as reader:
        rows = list(reader.connection.execute("SELECT number, last_step, length FROM episodes ORDER BY number"))
        record = Record(reader, RUN)
        found = [(number, each.last_step, each.length) for number, each in episodes_by_number(record).items()]
        assert found == rows
        steps = record.steps()
        for episode in recorded_episodes(record, episodes_by_number(record)):
            rows = slice(episode.finished.first_step, episode.finished.last_step)
            assert episode.rewards.tobytes() == steps.rewards[rows, 0].tobytes()


@pytest.mark.long
def test_every_episode_of_a_run_whose_trainers_were_killed_is_played_once_more(live_home):
    """Real trainers, ended by SIGKILL at moments drawn from a seed."""
    settings = {"n_steps": 128, "batch_size": 64, "n_epochs": 2, "n_envs": 2}
    form = {"environment": "LunarLander-v3", "environment_kwargs": WIND, "training_steps": 8192, "checkpoint_frequency": 1024}
    wanted = live_experiment("killed", settings, **form)
    live_home.submit(wanted)
    kill_each(live_home, wanted, seed=1)
    assert live_home.wait_ended("killed")["state"] == "completed"
    for run in wanted.runs:
        assert len(starts(live_home, run.id)) > 1
        assert main(["replay", run.id, "--episode", "all", "--check", "--home", str(live_home.home)]) == 0


@pytest.mark.parametrize("environment", ["ImageWalk", "DiscreteWalk"])
def test_a_step_takes_as_few_bytes_of_log_where_pictures_are_seen(tmp_path, environment):
    """An action of one byte, a reward of eight, an ending; a picture would take 1,296 bytes."""
    words = train(tmp_path, experiment(f"tests.support.random_walks:{environment}-v0", training_steps=512))
    steps = [word for word in words if isinstance(word, e.StepsRecorded)]
    assert sum(word.last_step - word.first_step for word in steps) == 512
    assert sum(len(encode_event(word)) for word in steps) <= 12 * 512
