"""The export to TensorBoard, read back by its own EventAccumulator: whole, and growing while the log does."""

import json

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from lander.cli.main import main
from lander.protocol import events as e
from lander.protocol.errors import UsageError
from lander.protocol.events import MetricsLogged
from lander.reports.export.formats import export
from lander.reports.export.tensorboard import Following
from lander.store.log.event_store import batch_of
from lander.store.log.reader import Reader
from lander.store.records.run_record import Record
from tests.support.home_to_export import METRICS, first_attempt, logged, metrics, second_attempt, told
from tests.support.written_homes import OTHER, RUN, attempt, checkpoint, queued_experiment, write_log


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return told(tmp_path_factory.mktemp("export") / "home")


def read(directory, run):
    accumulator = EventAccumulator(str(directory / run.removeprefix("x/")), size_guidance={"scalars": 0})
    accumulator.Reload()
    return accumulator


def scalars(directory, run):
    """Every scalar of a run: (tag, step, value)."""
    found = read(directory, run)
    return [(tag, each.step, each.value) for tag in sorted(found.Tags()["scalars"]) for each in found.Scalars(tag)]


def expected(run):
    """What counts of a run, as numbers of 32 bits."""
    with np.errstate(over="ignore"):
        points = [(tag, step, float(np.float32(value))) for step, values in METRICS[run] for tag, value in values.items()]
    return sorted(points, key=lambda point: point[:2])


def same(found, wanted):
    assert [point[:2] for point in found] == [point[:2] for point in wanted]
    np.testing.assert_array_equal([point[2] for point in found], [point[2] for point in wanted])


def exported(home, output, target="x"):
    with Reader(home) as reader:
        return export(reader, target, "tensorboard", output).directory


def test_every_metric_that_counts_is_there_at_its_step_and_no_other(home, tmp_path):
    directory = exported(home, tmp_path / "out")
    for run in (RUN, OTHER):
        same(scalars(directory, run), expected(run))


def test_each_point_is_of_the_moment_at_which_it_was_logged(home, tmp_path):
    found = read(exported(home, tmp_path / "out", RUN), RUN).Scalars("train/loss")
    with Reader(home) as reader:
        moments = [at / 1e6 for at, event in Record(reader, RUN).dated_metrics() if "train/loss" in event.values]
        assert moments == [
            stored.at / 1e6
            for stored in reader.events(RUN, [MetricsLogged.kind])
            if not (stored.producer == 1 and stored.decode().step == 6) and "train/loss" in stored.decode().values
        ]
    assert [point.wall_time for point in found] == moments


def test_the_configuration_is_there_for_the_hparams_tab(home, tmp_path):
    plugins = read(exported(home, tmp_path / "out", RUN), RUN).summary_metadata
    content = plugins["_hparams_/session_start_info"].plugin_data.content
    found = HParamsPluginData.FromString(content).session_start_info.hparams
    assert found["hyperparameters.learning_rate"].number_value == 1e-3
    assert found["hyperparameters.policy_kwargs.net_arch"].string_value == "[8, 8]"
    assert (found["algorithm"].string_value, found["training_steps"].number_value) == ("PPO", 1000)


# --- growing ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def followed(tmp_path):
    """A home whose first attempt is under way, and its export, which is followed."""
    home = tmp_path / "home"
    queued_experiment(home)
    batches = list(first_attempt(home))
    write_log(home, *batches[:2])
    with Reader(home) as reader:
        made = export(reader, "x", "tensorboard", tmp_path / "out")
        with Following(reader, "x", made) as following:
            yield home, made.directory, following, batches


def steps_of(directory, tag="train/loss", run=RUN):
    return [step for found, step, _ in scalars(directory, run) if found == tag]


def test_what_is_said_later_is_appended_once(followed):
    home, directory, following, _ = followed
    before = steps_of(directory)
    write_log(home, batch_of(RUN, metrics(7, train__loss=1.0), producer=1))
    assert steps_of(directory) == before
    for _ in range(2):
        following.grow()
        assert steps_of(directory) == [*before, 7]


def test_what_an_attempt_supersedes_is_purged_while_it_is_followed(followed):
    home, directory, following, batches = followed
    assert steps_of(directory) == [2, 4, 6]
    assert steps_of(directory, "lost/tag") == [6]
    write_log(home, *batches[2:], *second_attempt(home))
    following.grow()
    same(scalars(directory, RUN), expected(RUN))


def test_an_attempt_that_begins_anew_purges_everything(followed):
    home, directory, following, batches = followed
    write_log(home, *batches[2:], *attempt(2, metrics(1, train__loss=1.0), ended=False))
    following.grow()
    assert [point[1:] for point in scalars(directory, RUN)] == [(1, 1.0)]


def test_late_words_of_a_superseded_attempt_are_not_written(followed):
    """Those beyond where the next went on; the negative control is the one that counts."""
    home, directory, following, batches = followed
    write_log(home, *batches[2:], *attempt(2, from_step=4, ended=False), batch_of(RUN, metrics(5, train__loss=1.0), producer=1))
    write_log(home, batch_of(RUN, metrics(6, train__loss=1.0), producer=2))
    following.grow()
    assert steps_of(directory) == [2, 4, 6]
    assert scalars(directory, RUN)[-1] == ("train/loss", 6, 1.0)


def test_it_ends_as_an_export_made_afterwards(followed, tmp_path):
    """Step by step, each commit looked at for itself, with a run that said nothing before."""
    home, directory, following, batches = followed
    for batch in [*batches[2:], *second_attempt(home), *attempt(1, *logged(OTHER), run=OTHER)]:
        write_log(home, batch)
        position = following.grow()
    following.__exit__(None, None, None)
    afterwards = exported(home, tmp_path / "afterwards")
    for run in (RUN, OTHER):
        same(scalars(directory, run), scalars(afterwards, run))
    assert json.loads((directory / "export.json").read_text())["position"] == position
    assert exported(home, directory) == directory  # it is replaced as any other


def test_one_that_was_killed_while_it_followed_is_replaced_as_any_other(followed):
    """What it had appended is nobody's work; the negative control is a note beside it."""
    home, directory, following, batches = followed
    write_log(home, *batches[2:], *second_attempt(home))
    following.grow()  # and it is not left in order, so that nothing is written down of what it appended
    (directory / "note.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"holds note\.txt"):
        exported(home, directory)
    (directory / "note.txt").unlink()
    assert exported(home, directory) == directory


# --- the command ------------------------------------------------------------------------------------------------------


def follow(home, output, monkeypatch, *meanwhile):
    """The exit code of `--follow`; each of `meanwhile` is done while it waits."""
    turns = iter(meanwhile)
    monkeypatch.setattr("lander.cli.commands.export.time.sleep", lambda seconds: next(turns)())
    code = main(["export", "x", "--to", "tensorboard", "--follow", "--output", str(output), "--home", str(home)])
    assert next(turns, None) is None
    return code


def test_the_command_follows_until_everything_has_ended(tmp_path, monkeypatch):
    home, output = tmp_path / "home", tmp_path / "out"
    queued_experiment(home)

    def end():
        assert steps_of(output) == [2, 4, 6]
        write_log(
            home, *second_attempt(home), *attempt(1, *logged(OTHER), run=OTHER), batch_of(OTHER, e.RunStopped(reason="stop"))
        )

    assert follow(home, output, monkeypatch, lambda: write_log(home, *first_attempt(home)), lambda: None, end) == 0
    for run in (RUN, OTHER):
        same(scalars(output, run), expected(run))


def test_a_command_that_is_interrupted_leaves_whole_files(tmp_path, monkeypatch, capsys):
    home, output = tmp_path / "home", tmp_path / "out"
    queued_experiment(home)

    def interrupt():
        raise KeyboardInterrupt

    grown = lambda: write_log(home, *attempt(1, *logged(RUN, 2, 4), checkpoint(home, 4), ended=False))  # noqa: E731 - a turn
    assert follow(home, output, monkeypatch, grown, lambda: None, interrupt) == 130
    assert "interrupted" in capsys.readouterr().err
    assert steps_of(output) == [2, 4]
    assert exported(home, output) == output
