"""`from lander import run`: the same path as the command line, with values instead of text."""

import subprocess
import sys
import threading

import pytest

import lander
from lander.store.log.reader import Reader
from tests.support.command_line import TINY
from tests.support.live_home import LiveHome


@pytest.fixture
def home(tmp_path):
    """A home that does not exist yet; whatever the test started there must be gone, or is brought down."""
    live_home = LiveHome(tmp_path / "home")
    yield live_home.home
    live_home.close()


@pytest.fixture(scope="module")
def used(shared_home):
    """A home whose supervisor is up already, and stays so."""
    return shared_home.home


def test_run_gives_outcomes_and_the_verdict_and_leaves_nothing_running_and_no_files(home, tmp_path, monkeypatch):
    seen, elsewhere = [], tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setenv("TMPDIR", str(elsewhere))
    result = lander.run(TINY, home=home, overrides=["training_steps=512"], seeds=range(2), progress=seen.append)
    assert LiveHome(home).processes() == []
    assert list(elsewhere.iterdir()) == []
    assert result.completed
    assert (result.experiment_id, result.state, list(result.arms)) == ("tiny", "completed", ["baseline", "fast"])
    assert [run.id for run in result.runs] == ["tiny/baseline/0", "tiny/baseline/1", "tiny/fast/0", "tiny/fast/1"]
    assert all((run.completed, run.steps, run.cause) == (True, 512, "completed") for run in result.runs)
    assert all(run.model.is_file() for run in result.runs)
    (contrast,) = result.findings.contrasts
    assert result.verdict[0].startswith("Undecided: fast returned")
    assert contrast.difference.value == pytest.approx(result.arms["fast"].mean_return - result.arms["baseline"].mean_return)
    assert "fast returned" in str(result)
    assert lander.report("tiny", home=home) == result
    for wrong in ("tny", "tiny/fast"):
        with pytest.raises(lander.LanderError, match=rf"{wrong}: no such experiment; did you mean tiny\?$"):
            lander.report(wrong, home=home)
    assert (seen[0]["state"], seen[-1]["state"]) in {("queued", "completed"), ("running", "completed")}


def test_run_uses_the_supervisor_that_is_there_and_takes_every_spelling(used, tmp_path, capsys):
    file = tmp_path / "tiny.yaml"
    file.write_text("environment: CartPole-v1\nalgorithm: PPO\ntraining_steps: 64\nseeds: [0]\n")
    overrides = ["hyperparameters={n_steps: 64}", "variant={}"]
    with pytest.raises(lander.ConfigurationError):
        lander.run(file, home=used, overrides=overrides)
    file.write_text(
        file.read_text() + "experiment_id: spelt\nhyperparameters: {n_steps: 64}\nvariant: {hyperparameters: {gamma: 0.9}}\n"
    )
    from_file = lander.run(file, home=used, mode="sequential", monitoring=False)
    from_object = lander.run(lander.Experiment.model_validate(_spelt()), home=used)
    with pytest.warns(UserWarning, match="spelt: already submitted, and completed; .*training_steps"):
        assert lander.run(file, home=used, training_steps=32).arms == from_file.arms
    assert from_file.completed
    assert (from_file.arms, from_file.findings.arms) == (from_object.arms, from_object.findings.arms)
    assert LiveHome(used).processes() != []
    assert capsys.readouterr().out == ""


def _spelt():
    rest = {"environment": "CartPole-v1", "algorithm": "PPO", "training_steps": 64, "seeds": [0]}
    return {
        "experiment_id": "spelt",
        "hyperparameters": {"n_steps": 64},
        "baseline": {},
        "variant": {"hyperparameters": {"gamma": 0.9}},
        **rest,
    }


def test_run_works_in_a_thread_and_shows_progress_if_asked(used, capsys):
    results = []
    experiment = TINY | {"experiment_id": "threaded"}
    thread = threading.Thread(target=lambda: results.append(lander.run(experiment, home=used, progress=True, max_workers=1)))
    thread.start()
    thread.join(60)
    assert results[0].completed
    assert "threaded/fast/0: completed after 256 steps" in capsys.readouterr().out


def test_what_was_stopped_goes_on_and_is_extended_by_its_id(used):
    endless = TINY | {"experiment_id": "script-stopped", "training_steps": 2560}

    def stop(status):
        if status["runs"][0]["step"]:
            lander.stop("script-stopped", home=used)

    first = lander.run(endless, home=used, progress=stop)
    assert first.state == "stopped"
    second = lander.run("script-stopped", home=used, overrides=["training_steps=3072"])
    assert second.completed
    assert lander.run(experiment_id="script-stopped", home=used) == second
    with pytest.raises(lander.NotFoundError, match=r"scrip-stopped: neither a file nor .* did you mean script-stopped"):
        lander.run("scrip-stopped", home=used)
    assert [run.steps for run in second.runs] == [3072, 3072]
    with pytest.raises(lander.LanderError, match="experiment: missing"):
        lander.run(home=used)


def test_a_script_forks_and_exports(used):
    lander.run(TINY, home=used, overrides=["training_steps=256"], experiment_id="past")
    forked = lander.fork("past/fast/0", "last", overrides=["learning_rate=1e-2", "training_steps=512"], home=used)
    assert forked.completed
    assert forked.findings.origin == "past/fast"
    assert {run.steps for run in forked.runs} == {512}
    with pytest.raises(lander.NotFoundError, match="past/fast/0"):
        lander.fork("past/fast/0", 17, overrides=["learning_rate=1e-2"], home=used)
    directory = lander.export(forked.experiment_id, "csv", home=used)
    assert {"runs.csv", "episodes.csv"} <= {path.name for path in directory.iterdir()}
    with pytest.raises(lander.LanderError, match="to: found 'xls'; must be one of csv, json,"):
        lander.export("past", "xls", home=used)


RESUME = "lander-ctl resume verbs/fast/0 goes on with what is stopped"


def test_a_script_pauses_resumes_skips_and_retries(used):
    live_home = LiveHome(used)
    live_home.submit(
        lander.Experiment.model_validate(TINY | {"experiment_id": "verbs", "training_steps": 10_000_000}).recorded()
    )
    live_home.wait(lambda: all(run["step"] for run in live_home.status("verbs")["runs"]), "steps")
    assert lander.pause("verbs", home=used) == "pauses"
    live_home.wait_state("verbs/fast/0", "paused")
    assert lander.resume("verbs/fast", home=used) == "goes on"
    live_home.wait_state("verbs/fast/0", "running")
    assert lander.skip("verbs", home=used) == "is skipped"
    live_home.wait_state("verbs/fast/0", "skipped")
    assert lander.retry("verbs/fast/0", home=used) == "is tried again"
    live_home.wait_state("verbs/fast/0", "running")
    assert lander.stop("verbs", home=used) == "stops"
    assert live_home.wait_ended("verbs")["state"] == "stopped"
    for verb, hint in ((lander.stop, ""), (lander.pause, ""), (lander.retry, f"; {RESUME}")):
        assert verb("verbs/fast/0", home=used) == f"nothing to {verb.__name__}: it is stopped{hint}"


def test_an_error_of_the_caller_stops_the_experiment(used):
    def fail(status):
        if any(run["step"] for run in status["runs"]):
            raise ZeroDivisionError("the caller's own mistake")

    endless = TINY | {"experiment_id": "script-endless", "training_steps": 10_000_000}
    with pytest.raises(ZeroDivisionError):
        lander.run(endless, home=used, progress=fail)
    with Reader(used) as reader:
        assert reader.unfinished("script-endless") == []


def test_ctrl_c_in_a_script_stops_gracefully(used):
    """That nothing is left running is shown of the command, which goes the same path."""
    endless = TINY | {"experiment_id": "script-interrupted", "training_steps": 10_000_000}
    script = f"""
import lander, os, signal
def interrupt(status):
    if any(run["step"] for run in status["runs"]):
        os.kill(os.getpid(), signal.SIGINT)
        globals()["interrupt"] = None
try:
    lander.run({endless}, home={str(used)!r}, progress=lambda s: interrupt and interrupt(s))
except KeyboardInterrupt as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("interrupted: script-interrupted was stopped after ")
    assert LiveHome(used).status("script-interrupted")["state"] == "stopped"


def test_what_is_wrong_is_said_before_anything_starts(tmp_path):
    home = tmp_path / "home"
    with pytest.raises(lander.ConfigurationError, match="experiment: environment: found 'CartPol-v1'"):
        lander.run(TINY | {"environment": "CartPol-v1"}, home=home)
    with pytest.raises(lander.ConfigurationError, match=r"experiment: seeds: found"):
        lander.run(TINY, home=home, seeds=["x"])
    for wrong in ({"mode": "validation"}, {"max_workers": 0}, {"overrides": "training_steps=1"}):
        with pytest.raises(lander.LanderError, match=next(iter(wrong))):
            lander.run(TINY, home=home, **wrong)
    assert not home.exists()


def test_validate_builds_everything_and_warns_of_what_the_file_means(tmp_path):
    seed = {"algorithm": "PPO", "environment": "LunarLander-v2", "training_steps": 100, "seed": 42}
    with pytest.warns(UserWarning, match="running LunarLander-v3 in its place"):
        built = lander.validate({"baseline_config": seed, "variant_config": {**seed, "hyperparameters": {"gamma": 0.9}}})
    assert [(arm.arm, arm.observations, arm.actions) for arm in built] == [
        ("baseline", "Box(8,)", "Discrete(4)"),
        ("variant", "Box(8,)", "Discrete(4)"),
    ]


def test_importing_lander_imports_next_to_nothing():
    asked = "import sys; had = {*sys.modules}; import lander; dir(lander); print(*{*sys.modules} - had)"
    imported = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout.split()
    assert {"torch", "pydantic", "numpy", "zmq", "gymnasium", "click", "rich", "sqlite3"}.isdisjoint(imported)
    assert set(lander.__all__) <= set(dir(lander))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = lander.nonsense
