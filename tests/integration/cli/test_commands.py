"""`lander-ctl` as its users meet it: real processes, a real supervisor, real training, every exit code."""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from math import fsum
from pathlib import Path
from threading import Barrier

import pytest

from lander.app import client
from lander.cli.command_names import COMMANDS
from lander.cli.main import main
from lander.protocol.commands import StopTarget
from lander.protocol.errors import NotFoundError
from tests.support.command_line import ENDLESS, LANDER, SAID_LATE, TINY, start, written
from tests.support.command_line import lander as lander_process
from tests.support.command_line import lander_here as lander
from tests.support.live_home import LiveHome

pytestmark = pytest.mark.usefixtures("nowhere_else")

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.fixture
def tiny(tmp_path):
    return written(tmp_path / "tiny.json", TINY)


# --- run --------------------------------------------------------------------------------------------------------------


def test_run_takes_the_seed_file_as_it_stands_and_leaves_nothing_running(home):
    code, output, errors = lander_process(home, "run", EXAMPLES / "seed.json", "training_steps=2048", "eval_episodes=1", "-v")
    assert (code, LiveHome(home).processes()) == (0, [])
    assert errors.splitlines() == ["warning: LunarLander-v2 no longer exists in Gymnasium; running LunarLander-v3 in its place"]
    assert "ppo_learning_rate_comparison/variant/42: completed after 2,048 steps" in output
    assert "one seed says nothing about spread" in output
    assert output.count("ppo_learning_rate_comparison: completed – ") == 1
    models = home / "experiments" / "ppo_learning_rate_comparison" / "models"
    assert sorted(path.name for path in models.iterdir()) == ["baseline-42-final.zip", "variant-42-final.zip"]
    assert len(LiveHome(home).events("ppo_learning_rate_comparison", "WarningRaised")) == 1

    code, output, errors = lander(home, "run", EXAMPLES / "seed.json", "training_steps=2048", "eval_episodes=1", "--quiet")
    assert (code, LiveHome(home).processes()) == (0, [])
    assert "one seed says nothing about spread" in output
    assert ": running" not in output
    assert "already submitted, and completed" in errors

    code, output, errors = lander(home, "run", EXAMPLES / "seed.json", "training_steps=2048", "eval_episodes=1", "seed=7")
    assert (code, output, LiveHome(home).processes()) == (2, "", [])
    assert "differs in baseline.seeds, variant.seeds" in errors


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_run_that_is_interrupted_stops_and_leaves_nothing_running(home, tmp_path, number):
    with start(home, "run", written(tmp_path / "endless.json", ENDLESS)) as process:
        for line in process.stdout:
            if line.endswith(": running\n"):
                break
        process.send_signal(number)
        output, errors = process.communicate(timeout=30)
    assert (process.returncode, LiveHome(home).processes()) == (130, [])
    assert "endless: stopped" in output
    assert errors.startswith("lander-ctl: interrupted: endless was stopped after ")
    assert {run["state"] for run in LiveHome(home).status("endless")["runs"]} == {"stopped"}
    assert lander(home, "wait", "endless")[0] == 1


def test_run_says_so_when_its_supervisor_dies(home, tmp_path):
    with start(home, "run", written(tmp_path / "endless.json", ENDLESS), "--max-workers", 1) as process:
        for line in process.stdout:
            if line.endswith(": running\n"):
                break
        os.kill(client.running(home).pid, signal.SIGKILL)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "endless: the supervisor is gone" in errors
    code, _, errors = lander(home, "status", "endless")
    assert code == 0
    assert "no supervisor is running" in errors
    assert lander(home, "wait", "endless")[0] == 3
    assert lander(home, "stop", "endless")[0] == 3
    assert lander(home, "down")[0] == 0
    assert LiveHome(home).processes() == []


# --- wrong usage ------------------------------------------------------------------------------------------------------

WRONG = {
    ("training_steps=many",): "training_steps: found 'many'",
    ("fast.hyperparameters.learnin_rate=1",): "learnin_rate: unknown hyperparameter of PPO; did you mean learning_rate?",
    ("environment=CartPol-v1",): "environment: found 'CartPol-v1', which Gymnasium does not have; did you mean CartPole-v1",
    ("environment=nowhere:Env-v0",): "environment: found 'nowhere:Env-v0'; there is no module nowhere in ",
    ("environment_kwargs.gravity=1",): "environment_kwargs.gravity: unknown argument of CartPole-v1",
    ("environment=Pendulum-v1", "algorithm=DQN", "hyperparameters={}"): "algorithm: found 'DQN'; must be one of A2C, ARS, ",
    ("fast.hyperparameters.policy=CnnPolicy",): "fast.hyperparameters.policy: found 'CnnPolicy'; must be MlpPolicy",
    ("--seeds", "1-x"): "seeds: found '1-x'",
    ("--experiment-id", "a/b"): "experiment_id: found 'a/b'",
    ("--max-workers", "0"): "'--max-workers': 0 is not in the range",
    ("--mode", "sideways"): "'--mode': 'sideways' is not one of",
    ("--nonsense",): "--nonsense",
    ("--max-retries", "3"): "'--max-retries'; a setting is given as max_retries=VALUE (see lander-ctl",
    ("--learning-rate", "1e-4"): "'--learning-rate'; a setting is given as hyperparameters.learning_rate=VALUE",
    ("mode=sequential",): "mode=sequential: found no arm or setting called mode; it is an option: --mode",
    ("seeds=5",): "seeds: found 5; must be like 0-4 for 5 seeds, or [5] for seed 5 alone",
    ("--training-steps", "0"): "'--training-steps': 0 is not in the range",
}


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
@pytest.mark.parametrize("command", ["run", "submit", "validate"])
def test_wrong_input_is_told_in_one_line_and_nothing_is_written(tiny, tmp_path, capsys, command, arguments):
    assert main([command, str(tiny), *arguments, "--home", str(tmp_path / "home")]) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert len(errors.splitlines()) == 1
    assert errors.startswith("lander-ctl: ")
    assert WRONG[arguments] in errors
    assert "(see lander-ctl" in errors or str(tiny) in errors
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["run"], 2, "which experiment?"),
        (["run", "training_steps=1"], 2, "which experiment?"),
        (["run", "missing.yaml"], 2, "missing.yaml: no such file"),
        (["run", "missing"], 3, "missing: neither a file nor an experiment recorded in results"),
        (["--home", "", "status"], 2, "must not be empty"),
        (["statsu"], 2, "no such command: statsu; did you mean status?"),
        (["events", "--kind", "StepRecorded"], 2, "did you mean StepsRecorded?"),
        (["status"], 3, "nothing recorded here yet"),
        (["wait", "demo"], 3, "nothing recorded here yet"),
        (["stop", "demo"], 3, "nothing recorded here yet"),
        (["report", "demo"], 3, "nothing recorded here yet"),
        (["logs", "demo"], 3, "nothing recorded here yet"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(tmp_path, capsys, arguments, code, line):
    assert main(arguments) == code
    output, errors = capsys.readouterr()
    assert output == ""
    assert len(errors.splitlines()) == 1
    assert line in errors
    assert list(tmp_path.iterdir()) == []


def test_a_home_that_cannot_be_used_is_refused(tiny, capsys):
    assert main(["--home", str(tiny), "run", str(tiny)]) == 2
    assert "cannot be used as a home" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(capsys, command):
    assert main([command, "--help"]) == 0
    output = capsys.readouterr().out
    assert "Example" in output
    assert f"lander-ctl {command}" in output


def test_without_a_command_the_help_is_shown(capsys):
    assert main([]) == 2
    assert "lander-ctl run" in capsys.readouterr().err
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("lander-ctl ")


# --- one supervisor, many commands ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(shared_home, tmp_path_factory):
    """A home whose supervisor is up and has carried out the tiny experiment."""
    path = written(tmp_path_factory.mktemp("tiny") / "tiny.json", TINY)
    code, output, errors = lander(shared_home.home, "submit", path)
    assert (code, output, errors) == (0, "tiny\n", "")
    code, output, errors = lander(shared_home.home, "wait", "tiny")
    assert (code, errors) == (0, "")
    assert output.startswith("tiny: 100%")
    return shared_home


RUN_FIELDS = (
    "id arm seed state phase cause step total_steps percent steps_per_second eta_seconds episodes mean_return attempt resume"
    " host device pid checkpoint resources replay waits_for"
)


def test_status_json_is_the_documented_object(finished):
    code, output, errors = lander(finished.home, "status", "tiny", "--json")
    assert (code, errors) == (0, "")
    status = json.loads(output)
    assert list(status) == ["position", "experiments"]
    (experiment,) = status["experiments"]
    said = ["archived", "tags", "notes", "amendments"]
    assert list(experiment) == ["id", "state", "phase", "waiting_for", "summary", "hypothesis", "runs", *said]
    assert (experiment["id"], experiment["state"], experiment["hypothesis"]) == ("tiny", "completed", "More is better")
    assert [run["id"] for run in experiment["runs"]] == ["tiny/baseline/0", "tiny/fast/0"]
    for run in experiment["runs"]:
        assert list(run) == RUN_FIELDS.split()
        assert (run["state"], run["cause"], run["step"], run["percent"]) == ("completed", "completed", 256, 100.0)
        assert run["resources"] is None
        assert run["checkpoint"]["step"] == 256
        assert len(bytes.fromhex(run["checkpoint"]["digest"])) == 32


def test_status_is_told_in_words_and_of_one_run(finished):
    code, output, errors = lander(finished.home, "status", "tiny/fast/0", "--watch")
    assert (code, errors) == (0, "")
    assert "tiny: completed – More is better" in output
    assert "fast/0  completed  256/256  100%" in output
    assert "baseline/0" not in output


def test_episode_returns_can_be_recomputed_from_events_alone(finished):
    code, output, errors = lander(finished.home, "events", "tiny/fast/0", "--json")
    assert (code, errors) == (0, "")
    events = [json.loads(line) for line in output.splitlines()]
    assert all(list(event)[:6] == ["position", "stream", "producer", "seq", "kind", "at"] for event in events)
    rewards = [reward for event in events if event["kind"] == "StepsRecorded" for (reward,) in event["rewards"]]
    episodes = [event for event in events if event["kind"] == "EpisodeFinished"]
    assert len(rewards) == 256
    for episode in episodes:
        total = 0.0
        for reward in rewards[episode["first_step"] :][: episode["length"]]:
            total += reward
        assert total == episode["episode_return"]
        assert episode["reset_seed"] is not None or bytes.fromhex(episode["reset_rng"])
    (run,) = finished.status("tiny/fast/0")["runs"]
    returns = [episode["episode_return"] for episode in episodes]
    assert run["mean_return"] == fsum(returns) / len(returns)


def test_events_are_chosen_by_kind_and_position(finished):
    _, output, _ = lander(finished.home, "events", "tiny", "--kind", "RunCompleted", "--kind", "RunQueued", "--json")
    events = [json.loads(line) for line in output.splitlines()]
    assert [event["kind"] for event in events] == ["RunQueued", "RunQueued", "RunCompleted", "RunCompleted"]
    _, output, _ = lander(finished.home, "events", "tiny", "--after", events[2]["position"], "--kind", "RunCompleted")
    assert len(output.splitlines()) == 1
    assert "RunCompleted" in output


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_read_enough_ends_a_command_as_any_other(finished, monkeypatch, unbuffered):
    """As `head` does: without a word, and with the exit code of SIGPIPE."""
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    with start(finished.home, "events", "--json", pipesize=4096) as process:  # which does not hold all of it
        process.stdout.readline()
        process.stdout.close()
        errors = SAID_LATE.sub("", process.stderr.read())
    assert (process.returncode, errors) == (141, "")


UNREAD = (
    ("--help",),
    ("schema",),
    ("status",),
    ("status", "--watch"),
    ("events", "--follow"),
    ("report", "tiny"),
    ("status", "no"),
)


def test_whatever_prints_into_a_closed_pipe_exits_with_141(finished):
    for arguments in UNREAD:
        read_end, write_end = os.pipe()
        os.close(read_end)
        with os.fdopen(write_end) as closed:
            ended = subprocess.run([*LANDER, *arguments, "--home", finished.home], stdout=closed, stderr=closed, timeout=60)
        assert ended.returncode == 141, arguments


def test_report_gives_the_verdict_as_text_and_json(finished, tmp_path):
    code, output, errors = lander(finished.home, "report", "tiny")
    assert (code, errors) == (0, "")
    assert "Undecided: fast returned" in output
    assert "mean return of the last 100 episodes: ● baseline  ■ fast" in output
    path = tmp_path / "verdict.json"
    assert lander(finished.home, "report", "tiny", "--format", "json", "--output", path) == (0, "", "")
    found = json.loads(path.read_text())
    assert [arm["name"] for arm in found["arms"]] == ["baseline", "fast"]
    (contrast,) = found["contrasts"]
    means = [arm["mean"]["value"] for arm in found["arms"]]
    assert contrast["difference"]["value"] == pytest.approx(means[1] - means[0])


def test_unknown_targets_are_answered_with_the_nearest_names(finished):
    for command in ("status", "wait", "stop", "logs", "report", "events"):
        code, output, errors = lander(finished.home, command, "tinny")
        assert (code, output) == (3, ""), command
        assert "did you mean tiny" in errors


def test_up_and_down_and_stop_can_be_said_twice(finished, home):
    assert "already running" in lander(finished.home, "up")[1]
    assert lander(finished.home, "stop", "tiny") == (0, "tiny: nothing to stop: all its runs are completed\n", "")
    assert lander(home, "down") == (0, f"{home}: no supervisor is running\n", "")


def test_home_is_accepted_before_and_after_the_command(finished, tmp_path):
    for arguments in (("--home", finished.home, "status"), ("status", "--output-dir", finished.home)):
        code, output, errors = lander(tmp_path / "elsewhere", *arguments, "tiny")
        assert (code, errors) == (0, "")
        assert "tiny: completed" in output


def test_an_experiment_is_followed_and_stopped_from_other_processes(finished, tmp_path):
    path = written(tmp_path / "endless.json", ENDLESS)
    assert lander(finished.home, "submit", "--config", path, "--max-workers", 1, "--no-monitoring")[:2] == (0, "endless\n")
    with (
        start(finished.home, "events", "endless", "--follow", "--kind", "EpisodeFinished", "--kind", "RunStopped") as follower,
        start(finished.home, "wait", "endless") as waiter,
    ):
        assert "EpisodeFinished" in follower.stdout.readline()
        status = json.loads(lander(finished.home, "status", "endless", "--json")[1])["experiments"][0]
        assert [run["state"] for run in status["runs"]].count("running") == 1
        code, output, errors = lander(finished.home, "stop", "endless/baseline/0")
        assert (code, output, errors) == (0, "endless/baseline/0: stopped 1 of 1 run\n", "")
        assert waiter.poll() is None
        code, output, errors = lander(finished.home, "stop", "endless")
        assert (code, output, errors) == (0, "endless: stopped 3 of 4 runs\n", "")
        followed, errors = follower.communicate(timeout=30)
        assert (follower.returncode, errors) == (0, "")
        assert followed.count("RunStopped") == 4
        assert waiter.wait(timeout=30) == 1
    assert "endless: stopped" in lander(finished.home, "status", "endless")[1]


def test_run_that_fails_says_why(finished, tmp_path):
    home = finished.home
    broken = {"policy_kwargs": {"features_extractor_kwargs": {"nonsense": 1}}}
    path = written(
        tmp_path / "broken.json", TINY | {"experiment_id": "broken", "variants": {"fast": {"hyperparameters": broken}}}
    )
    code, output, errors = lander(home, "run", path)
    assert code == 1
    assert "lander-ctl: broken/fast/0 failed: config_error: TypeError: " in errors
    assert "; given up: another attempt would meet the same (lander-ctl logs broken/fast/0 has its log)" in errors
    assert len(errors.splitlines()) == 1
    assert "  fast/0 given up: another attempt would meet the same\n" in lander(home, "status", "broken")[1]
    assert "why=another attempt would meet the same" in lander(home, "events", "broken", "--kind", "RunFailed")[1]
    journal = (home / "experiments" / "broken" / "logs" / "experiment.log").read_text()
    assert "RunFailed cause=config_error why=another attempt would meet the same\n" in journal
    assert "1 of 2 runs did not complete and is left out: fast/0 (failed: config_error)" in output
    code, output, errors = lander(home, "logs", "broken/fast")
    assert code == 0
    assert "Traceback" in output


def test_submitting_twice_is_one_experiment_and_other_content_is_refused(finished, tmp_path):
    path = written(tmp_path / "again.json", TINY)
    code, output, errors = lander(finished.home, "submit", path)
    assert (code, output) == (0, "tiny\n")
    assert "already submitted, and completed" in errors
    code, output, errors = lander(finished.home, "submit", path, "hyperparameters.gamma=0.9")
    assert (code, output) == (2, "")
    assert len(errors.splitlines()) == 1


def test_each_of_many_clients_gets_its_own_answer(finished):
    """They share a key; an answer belongs to a connection all the same."""
    barrier = Barrier(8)

    def ask(number):
        with client.connected(finished.home) as supervisor:
            barrier.wait(30)
            with pytest.raises(NotFoundError) as refused:
                supervisor.ask(StopTarget(target=f"nobody-{number}", operator="test@here"), seconds=10.0)
            return str(refused.value).partition(":")[0]

    for _ in range(5):
        with ThreadPoolExecutor(8) as threads:
            assert list(threads.map(ask, range(8))) == [f"nobody-{number}" for number in range(8)]


def test_validation_builds_everything_and_trains_nothing(tmp_path, tiny, capsys):
    assert main(["run", str(tiny), "--mode", "validation", "--home", str(tmp_path / "home")]) == 0
    output = capsys.readouterr().out
    assert "fast: PPO on CartPole-v1, Box(4,) → Discrete(2), 9,155 parameters; 1 × 256 steps" in output
    assert not (tmp_path / "home").exists()
    broken = "fast.hyperparameters.policy_kwargs.features_extractor_kwargs={nonsense: 1}"
    assert main(["validate", str(tiny), broken]) == 2
    assert f"{tiny}: fast.hyperparameters: cannot be built: TypeError: " in capsys.readouterr().err


@pytest.mark.parametrize(("command", "module"), [("status", "status"), ("list", "listing")])
def test_status_and_list_import_only_what_they_need(finished, command, module):
    asked = [sys.executable, "-X", "importtime", "-m", "lander", command, "--home", finished.home]
    imported = subprocess.run(asked, capture_output=True, text=True, check=True).stderr
    names = {line.rpartition("|")[2].strip() for line in imported.splitlines()}
    assert f"lander.store.projections.{module}" in names
    assert names.isdisjoint({"pydantic", "zmq", "numpy", "torch", "rich", "aiosqlite", "gymnasium", "asyncio", "tempfile"})


def test_what_people_say_is_recorded_by_the_supervisor_that_runs(finished):
    """Without one, `tests/unit/app/test_annotating.py`."""
    assert lander(finished.home, "tag", "tiny", "quick") == (0, "tiny: its tags are quick\n", "")
    assert lander(finished.home, "archive", "tiny") == (0, "tiny: archived\n", "")
    assert lander(finished.home, "unarchive", "tiny") == (0, "tiny: out of the archive\n", "")
    code, _, errors = lander(finished.home, "tag", "tiny", "--remove", "slow")
    assert (code, errors) == (2, "lander-ctl: tiny: has no tag slow; its tags are quick\n")
    kinds = [event.kind for event in finished.events("tiny", "TagsChanged", "ExperimentArchived", "ExperimentUnarchived")]
    assert kinds == ["TagsChanged", "ExperimentArchived", "ExperimentUnarchived"]


@pytest.mark.parametrize(
    "word",
    [
        "training_stps=1",
        "hypotesis=1",
        "hyperparameters.gama=1",
        "fast.hyperparameters.learning_rate=fast",
        "algorithm=PP0",
        "environment=CartPol-v1",
        "environment=nowhere:Env-v0",
        "environment=./nowhere.py:Env-v0",
    ],
)
def test_a_typing_error_is_refused_before_anything_heavy_is_imported(tiny, word):
    """Nothing that takes long, in particular not torch: nobody waits for it to be told of a typing error."""
    asked = [sys.executable, "-X", "importtime", "-m", "lander", "run", str(tiny), word]
    refused = subprocess.run(asked, capture_output=True, text=True, check=False)
    imported = {line.rpartition("|")[2].strip() for line in refused.stderr.splitlines() if line.startswith("import time")}
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "lander.experiments.parsing" in imported
    heavy = {"torch", "gymnasium", "numpy", "stable_baselines3", "zmq", "psutil", "rich", "asyncio", "sqlite3", "tarfile"}
    assert imported & {*heavy, "lander.protocol.events", "lander.store", "lander.supervisor", "lander.reports"} == set()
