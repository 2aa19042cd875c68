"""An experiment trains on the code that was submitted, whatever becomes of the files.

The environment is a project of several files: a reward that is imported, and a factor that is read from beside.
"""

import json
import os
import shutil

import pytest

from lander.actors.environment import import_path
from lander.app.reexecution import prepare
from lander.store.log.reader import Reader
from lander.store.records.run_code import code_by_run
from lander.store.records.sections import sections
from tests.support.bits import Bits
from tests.support.command_line import TINY, lander, lander_here, written
from tests.support.recorded import recorded

ENVIRONMENT = """
import json
from pathlib import Path
import gymnasium
from gymnasium.envs.classic_control import CartPoleEnv
import {name}_reward
FACTOR = json.loads((Path(__file__).parent / "{name}.json").read_text())
class Cart(CartPoleEnv):
    def step(self, action):
        observation, reward, *rest = super().step(action)
        return observation, FACTOR * {name}_reward.reward(reward), *rest
gymnasium.register("Cart-v0", entry_point="{name}:Cart", max_episode_steps=50)
"""
EDITED = "def reward(reward): return 1000.0"


class Project:
    """The project's directory, with names of its own, since other tests' modules may have been imported."""

    def __init__(self, directory, home, name):
        directory.mkdir()
        self.directory, self.home, self.name = directory, home, name
        (directory / f"{name}.py").write_text(ENVIRONMENT.format(name=name))
        (directory / f"{name}.json").write_text("2.0")
        self.edit("def reward(reward): return reward")

    def edit(self, text):
        (self.directory / f"{self.name}_reward.py").write_text(text)

    def file(self, **form):
        form = TINY | {"experiment_id": self.name, "environment": f"{self.name}:Cart-v0", "eval_episodes": 1} | form
        return written(self.directory / "experiment.json", form)

    def command(self, *arguments):
        """In a process of its own if it plays episodes, for which it imports the code."""
        run = lander if "replay" in arguments else lander_here
        return run(self.home, *arguments, cwd=self.directory)


@pytest.fixture
def project(request, shared_home, tmp_path):
    name = "c" + request.node.name.removeprefix("test_")[:30].strip("_")
    return Project(tmp_path / "project", shared_home.home, name)


@pytest.fixture(scope="module")
def trained(shared_home, tmp_path_factory):
    """A project whose experiment has completed, for tests that edit nothing."""
    project = Project(tmp_path_factory.mktemp("trained") / "project", shared_home.home, "c_trained")
    assert project.command("run", project.file(), "--quiet")[0] == 0
    return project


def archive(home, project):
    """The name of the captured code of a run, in this home."""
    with Reader(home) as reader:
        return code_by_run(reader, project.name)[f"{project.name}/fast/0"].archive


def returns(live_home, run):
    return {event.episode_return / event.length for event in live_home.events(run, "EpisodeFinished")}


def test_edited_code_moves_no_result(project, shared_home):
    name = project.name
    assert project.command("run", project.file(), "--quiet")[0] == 0
    project.edit(EDITED)
    (project.directory / f"{name}.json").write_text("3.0")
    code, _, errors = project.command("run", name, "--seeds", "+1", "--quiet")
    assert code == 0
    assert f"the code of {name} and {name}_reward has changed" in errors
    assert {
        run: returns(shared_home, run) for run in shared_home.status(name) and (f"{name}/baseline/0", f"{name}/fast/1")
    } == {
        f"{name}/baseline/0": {2.0},
        f"{name}/fast/1": {2.0},
    }
    assert project.command("verify", f"{name}/fast/1")[0] == 0
    project.edit("this is no Python")
    assert project.command("validate", name)[0] == 0
    code, output, _ = project.command("replay", f"{name}/fast/1", "--check", "--episode", "all")
    assert (code, "episodes are equal bit for bit" in output) == (0, True)


def test_new_code_is_asked_for_and_named(project, shared_home):
    name = project.name
    assert project.command("run", project.file(), "--quiet")[0] == 0
    project.edit(EDITED)
    assert project.command("run", name, "--seeds", "+1", "--new-code", "--quiet")[0] == 0
    assert returns(shared_home, f"{name}/baseline/0") == {2.0}
    assert returns(shared_home, f"{name}/baseline/1") == {2000.0}
    with Reader(shared_home.home) as reader:
        found = code_by_run(reader, name)
    old, new = found[f"{name}/baseline/0"], found[f"{name}/baseline/1"]
    assert old.archive != new.archive
    code, output, _ = project.command("report", name)
    assert code == 0
    assert f"{old.name} (seed 0)" in output
    assert f"{new.name} (seed 1)" in output
    films_and_evaluations_are_of_every_version(project)


def films_and_evaluations_are_of_every_version(project):
    """A process imports one version; the best episodes are of the new code, which rewards more, and the worst of the old."""
    name, page = project.name, project.directory / "page.html"
    code, _, errors = project.command("report", name, "--format", "html", "--videos", "--output", page)
    assert (code, errors) == (0, f"drawing the report of {name} …\n")
    assert page.read_text().count("data:video/mp4;base64,") == 4
    code, output, errors = project.command("evaluate", f"{name}/fast", "--json", "-q")
    assert (code, errors) == (0, "")
    rewards = {each["run"]: each["returns"][0] / each["lengths"][0] for each in json.loads(output)["evaluations"]}
    assert rewards == {f"{name}/fast/0": 2.0, f"{name}/fast/1": 2000.0}


def test_a_run_that_failed_begins_anew_on_mended_code(project, shared_home):
    name = project.name
    project.edit("STEPS = []\ndef reward(reward):\n    STEPS.append(0)\n    assert len(STEPS) < 200\n    return reward")
    code, output, errors = project.command("run", project.file(max_retries=0, checkpoint_frequency=64))
    assert (code, "environment_error" in errors) == (1, True)
    assert f"lander-ctl retry {name}/baseline/0 --new-code" in errors
    assert f"lander-ctl retry {name} --new-code begins them anew" in output
    mended = f"once the environment of {name} is mended, lander-ctl retry {name} --new-code"
    assert mended in " ".join(project.command("status", name)[2].split())
    project.edit("def reward(reward): return reward")
    code, output, _ = project.command("retry", name)
    again = f"{name}: 2 of 2 runs are tried again: {name}/baseline/0, {name}/fast/0; the code of {name} and {name}_reward"
    assert (code, again in " ".join(output.split())) == (0, True)
    assert "with --new-code they begin anew on the new code" in " ".join(output.split())
    assert project.command("wait", name)[0] == 1, "on what was captured it fails as before"
    code, output, _ = project.command("retry", name, "--new-code")
    assert (code, "2 of 2 runs begin anew, on code" in output) == (0, True)
    assert project.command("wait", name)[0] == 0
    *_, second = shared_home.events(f"{name}/baseline/0", "TrainingStarted")
    assert (second.from_step, second.resume) == (0, "fresh")


def test_what_the_capture_lacks_is_said_before_anything_starts(project):
    """Negative control of the capture: a name that is computed is not found in the text."""
    name = project.name
    text = (project.directory / f"{name}.py").read_text()
    (project.directory / f"{name}.py").write_text(
        text.replace(f'"{name}.json"', f'"".join(["{name[:3]}", "{name[3:]}", ".json"])')
    )
    for command in ("submit", "validate"):
        code, _, errors = project.command(command, project.file())
        assert code == 2
        assert f"No such file or directory: '{name}.json'" in errors
        assert "; the capture of its code lacks something" in errors


def test_a_project_that_was_moved_goes_on(project, shared_home):
    name = project.name
    assert project.command("run", project.file(), "--quiet")[0] == 0
    shutil.rmtree(project.directory)
    project.directory.mkdir()
    assert project.command("run", name, "training_steps=512", "--quiet")[0] == 0
    assert shared_home.run(f"{name}/fast/0")["step"] == 512


def test_a_resumed_run_has_the_bits_of_an_undisturbed_one_although_the_file_was_edited(project, shared_home):
    name, steps = project.name, 2048
    form = {"training_steps": steps, "checkpoint_frequency": 256, "variants": {"fast": {}}}
    assert project.command("run", project.file(experiment_id=f"{name}-whole", **form), "--quiet")[0] == 0
    assert project.command("submit", project.file(**form))[0] == 0
    shared_home.wait(lambda: shared_home.run(f"{name}/baseline/0")["checkpoint"], "a checkpoint")
    assert project.command("stop", name)[0] == 0
    assert shared_home.run(f"{name}/baseline/0")["step"] < steps
    project.edit(EDITED)
    assert project.command("run", name, "--quiet")[0] == 0
    whole, resumed = (Bits.of(shared_home.home, f"{each}/baseline/0") for each in (f"{name}-whole", name))
    assert shared_home.run(f"{name}/baseline/0")["resume"] == "exact"
    assert resumed.differences(whole) == []


def test_captured_code_that_is_lost_is_said_and_found_by_check(trained, tmp_path):
    name, backup = trained.name, tmp_path / "backup"
    assert trained.command("backup", backup)[0] == 0
    (path,) = backup.glob(f"artifacts/??/{archive(backup, trained)}")
    path.write_bytes(b"")
    code, output, _ = lander_here(backup, "check")
    assert (code, f"the captured code of {name}" in output) == (1, True)
    code, _, errors = lander(backup, "replay", f"{name}/fast/0", "--check", "--episode", "all")
    assert (code, f"the captured code of {name}" in errors) == (2, True)
    with Reader(backup) as reader, pytest.raises(Exception, match="the captured code of its environment is gone or damaged"):
        prepare(tmp_path / "scratch", reader, f"{name}/fast/0", sections(reader, f"{name}/fast/0")[0])


def test_gc_keeps_captured_code(trained, shared_home):
    (path,) = shared_home.home.glob(f"artifacts/??/{archive(shared_home.home, trained)}")
    os.utime(path, (0, 0))  # a file that was just written is kept anyhow
    assert trained.command("gc", "--keep", "1", "--delete")[0] == 0
    assert path.exists()


def test_modules_of_this_process_do_not_take_the_place_of_captured_ones(trained, shared_home, monkeypatch):
    with Reader(shared_home.home) as reader:
        code = code_by_run(reader, trained.name)[f"{trained.name}/fast/0"]
    monkeypatch.syspath_prepend(trained.directory)
    __import__(f"{trained.name}_reward")
    with pytest.raises(import_path.CodeError, match=r"is imported from .* here; use a process of its own"):
        import_path.make_importable(shared_home.home, code, "")


def test_the_events_show_the_code(trained):
    _, output, _ = trained.command("events", trained.name, "--kind", "ExperimentSubmitted", "--json")
    code = json.loads(output)["experiment"]["code"]
    assert code["modules"] == [trained.name, f"{trained.name}_reward"]
    assert [package["name"] for package in code["packages"]] == ["gymnasium"]


def test_code_that_was_not_captured_is_named_by_verify_replay_and_resume(project, shared_home):
    """As in logs of earlier versions, and of what is in no file."""
    name = project.name
    wanted = recorded(TINY | {"experiment_id": name, "environment": f"{name}:Cart-v0", "eval_episodes": 0})
    shared_home.submit(wanted, directory=str(project.directory))
    shared_home.wait_ended(name)
    more = wanted.model_copy(update={"arms": tuple(arm.model_copy(update={"training_steps": 512}) for arm in wanted.arms)})
    shared_home.submit(more, directory=str(project.directory))
    shared_home.wait(lambda: shared_home.run(f"{name}/baseline/0")["step"] == 512, "it to be extended")
    shared_home.wait_ended(name)
    said = f"the code of {name} was not captured: what follows is exact only if it has not changed"
    warnings = [event.message for event in shared_home.events(f"{name}/baseline/0", "WarningRaised")]
    assert said in warnings
    run = f"{name}/baseline/0"
    replayed = project.command("replay", run, "--check", "--episode", "1")
    assert replayed[2] == f"note: {said}\nplaying episode 1 of {run} again …\n"
    assert project.command("verify", run, "--to", "256")[2] == f"note: {said}\ntraining {run} again, up to step 256 …\n"


@pytest.mark.long
def test_an_environment_that_is_named_by_its_file_is_the_same_for_every_command(project, shared_home, tmp_path):
    """Given in another directory, and with the file edited since; only new code is looked for again."""
    name, elsewhere = project.name, tmp_path / "elsewhere"
    elsewhere.mkdir()

    def command(*arguments):
        return lander(shared_home.home, *arguments, cwd=elsewhere)

    assert command("run", project.file(environment=f"./{name}.py:Cart-v0"), "--quiet")[0] == 0
    project.edit(EDITED)
    assert command("run", "--experiment-id", name, "training_steps=512", "--quiet")[0] == 0
    run = f"{name}/fast/0"
    assert (shared_home.run(run)["resume"], returns(shared_home, run)) == ("exact", {2.0})
    films = ["--output", str(elsewhere / "film.mp4")]
    for words in (["verify"], ["replay", "--check", "--episode", "all"], ["video", *films], ["evaluate"]):
        code, output, errors = command(words[0], run, *words[1:])
        assert (code, "differ" in output + errors) == (0, False)
    changed = ["--at", "last", "learning_rate=1e-4", "--training-steps", "768", "--experiment-id", f"{name}-fork"]
    assert command("fork", run, *changed, "--quiet")[0] == 0
    assert returns(shared_home, f"{name}-fork/variant/0") == {2.0}
    assert command("run", "--experiment-id", name, "--seeds", "+1", "--new-code", "--quiet")[0] == 0
    assert returns(shared_home, f"{name}/fast/1") == {2000.0}
