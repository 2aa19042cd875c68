"""An environment may be named by the file of its module; what is recorded is the module, whose code is captured."""

import json
import sys

import pytest

from lander.app.requests import request
from lander.experiments.environment_files import EnvironmentFiles, beside, names_a_file
from lander.experiments.parsing import parse_experiment, read_experiment
from lander.experiments.source_files import find_source
from lander.experiments.specification import ExperimentSpec
from lander.protocol.errors import ConfigurationError

FORM = {"experiment_id": "x", "algorithm": "PPO", "training_steps": 64, "seeds": [0], "variant": {"training_steps": 64}}
MODULE = "import gymnasium\ngymnasium.register('Own-v0', 'gymnasium.envs.classic_control:CartPoleEnv')\n# {}\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Modules beside the experiment file and where the command is given, two of them in both places."""
    here, there = tmp_path / "here", tmp_path / "there"
    for place in (here, there):
        (place / "worlds" / "far").mkdir(parents=True)
        (place / "a_world.py").write_text(MODULE.format(place.name))
        (place / "worlds" / "far" / "a_far_world.py").write_text(MODULE.format(place.name))
    (here / "only_here.py").write_text(MODULE.format("here"))
    (there / "only_there.py").write_text(MODULE.format("there"))
    monkeypatch.chdir(here)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each not in ("", str(here))])
    return tmp_path


def read(project, environment, *overrides, **form):
    """The experiment in a file that lies `there`, and the directories in which its modules are searched."""
    path = project / "there" / "experiment.json"
    path.write_text(json.dumps(FORM | {"environment": environment} | form))
    files = beside(path, project / "here")
    experiment = read_experiment(path, overrides, files=files)[0]
    return experiment, (*files.before(str(project / "here")), str(project / "here"))


def files_of(experiment, directories):
    return {str(file) for file in find_source([arm.environment for arm in experiment.arms], *directories).files.values()}


@pytest.mark.parametrize(
    ("name", "recorded", "file"),
    [
        ("a_world:Own-v0", "a_world:Own-v0", "there/a_world.py"),
        ("./a_world.py:Own-v0", "a_world:Own-v0", "there/a_world.py"),
        ("a_world.py:Own-v0", "a_world:Own-v0", "there/a_world.py"),
        ("only_here:Own-v0", "only_here:Own-v0", "here/only_here.py"),
        ("./only_here.py:Own-v0", "only_here:Own-v0", "here/only_here.py"),
        ("worlds/far/a_far_world.py:space/Own-v0", "a_far_world:space/Own-v0", "there/worlds/far/a_far_world.py"),
        ("../here/a_world.py:Own-v0", "a_world:Own-v0", "here/a_world.py"),
    ],
)
def test_an_environment_is_looked_for_beside_the_file_and_then_where_the_command_was_given(project, name, recorded, file):
    for experiment, directories in (read(project, name), read(project, "CartPole-v1", f"environment={name}")):
        assert {arm.environment for arm in experiment.arms} == {recorded}
        assert files_of(experiment, directories) == {str(project / file)}


def test_it_takes_the_place_of_what_is_on_the_path_and_of_nothing_that_is_installed(project, monkeypatch):
    for name in ("a_world", "numpy", "json"):
        (project / "there" / f"{name}.py").write_text("")
    monkeypatch.syspath_prepend(project / "here")
    found = find_source(["a_world:Own-v0", "numpy:Own-v0", "json:Own-v0"], str(project / "there"))
    assert (set(found.files.values()), found.installed) == ({project / "there" / "a_world.py"}, ["numpy"])
    (project / "there" / "only_here").mkdir()
    found = find_source(["only_here:Own-v0"], str(project / "there"))
    assert set(found.files.values()) == {project / "here" / "only_here.py"}, "a mere directory is no module"


def test_every_place_of_a_file_takes_one(project):
    variants = {"variant": {"environment": "worlds/far/a_far_world.py:Own-v0"}}
    common = {"environment": "./only_there.py:Own-v0"}
    experiment, directories = read(project, "./a_world.py:Own-v0", evaluation_environment=common, **variants)
    assert [arm.environment for arm in experiment.arms] == ["a_world:Own-v0", "a_far_world:Own-v0"]
    assert experiment.evaluation_environment.environment == "only_there:Own-v0"
    places = ("there", "there/worlds/far", "here")
    assert directories == tuple(str(project / place) for place in places)
    experiment, _ = read(project, "CartPole-v1", "evaluation_environment=./only_there.py:Own-v0")
    assert experiment.evaluation_environment.environment == "only_there:Own-v0"


def test_a_file_in_a_package_is_a_module_of_it(project):
    package = project / "there" / "worlds"
    for directory in (package, package / "far"):
        (directory / "__init__.py").write_text("")
    experiment, directories = read(project, "worlds/far/a_far_world.py:Own-v0")
    assert experiment.baseline.environment == "worlds.far.a_far_world:Own-v0"
    assert str(package / "__init__.py") in files_of(experiment, directories)
    assert read(project, "worlds/__init__.py:Own-v0")[0].baseline.environment == "worlds:Own-v0"


def test_what_is_recorded_is_the_same_as_of_the_module(project):
    """So that everything that is made of the log needs neither the file nor its name."""
    by_file, by_module = (request(named(project, name), execution={}) for name in ("./a_world.py:Own-v0", "a_world:Own-v0"))
    assert by_file.experiment == by_module.experiment
    assert by_file.execution == by_module.execution
    assert by_file.execution.directories == (str(project / "there"), str(project / "here"))
    assert by_file.experiment.code.archive is not None


def named(project, name):
    path = project / "there" / "experiment.json"
    path.write_text(json.dumps(FORM | {"environment": name}))
    return path


def test_an_experiment_from_python_is_looked_for_in_the_working_directory(project):
    spec = ExperimentSpec(**FORM | {"environment": "./only_here.py:Own-v0"})
    assert request(spec, execution={}).experiment.baseline.environment == "only_here:Own-v0"
    assert (
        parse_experiment(FORM | {"environment": "only_here.py:Own-v0"}, source="x")[0].baseline.environment
        == "only_here:Own-v0"
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("./nowhere.py:Own-v0", "found './nowhere.py:Own-v0'; there is no nowhere.py in {there} or {here}"),
        ("/nowhere/world.py:Own-v0", "found '/nowhere/world.py:Own-v0'; there is no world.py in /nowhere"),
        ("./json.py:Own-v0", "found './json.py:Own-v0'; a module called json is part of Python, so call the file otherwise"),
        ("./numpy.py:Own-v0", "found './numpy.py:Own-v0'; a module called numpy is installed, so call the file otherwise"),
        ("./a.world.py:Own-v0", "a module cannot be called 'a.world': use letters, digits, _ and -"),
        (
            "./a_world.py",
            "found './a_world.py'; must be the name of a Gymnasium environment, such as LunarLander-v3, or MODULE:",
        ),
    ],
)
def test_a_file_that_is_none_is_named_with_the_places(project, name, words):
    for file in ("json.py", "numpy.py", "a.world.py"):
        (project / "there" / file).write_text("")
    words = words.format(there=project / "there", here=project / "here")
    for given in ([name], ["CartPole-v1", f"environment={name}"]):
        with pytest.raises(ConfigurationError) as caught:
            read(project, *given)
        assert str(caught.value).startswith(f"{project / 'there' / 'experiment.json'}: environment: found ")
        assert words in str(caught.value)


def test_two_files_cannot_be_one_module(project):
    variants = {"variant": {"environment": "../here/a_world.py:Own-v0"}}
    with pytest.raises(ConfigurationError, match=r"variant.environment: found .* would both be the module a_world, so rename"):
        read(project, "a_world.py:Own-v0", **variants)


def test_a_module_that_is_nowhere_is_named_with_the_places_and_nothing_is_imported(project):
    variants = {"variant": {"environment": "only_there:Own-v0"}, "evaluation_environment": "gone:Own-v0"}
    path = named(project, "gone:Own-v0")
    with pytest.raises(ConfigurationError) as caught:
        request(path, execution={})
    where = (
        f"there is no module gone in {project / 'there'} or {project / 'here'}, and none is installed; must be MODULE:ENV_ID"
    )
    assert str(caught.value).startswith(f"{path}: environment: found 'gone:Own-v0'; {where}")
    path.write_text(json.dumps(FORM | {"environment": "gone:Own-v0"} | variants))
    with pytest.raises(ConfigurationError) as caught:
        request(path, execution={})
    fields = [line.removeprefix(f"{path}: ").partition(": ")[0] for line in str(caught.value).splitlines()]
    assert fields == ["baseline.environment", "evaluation_environment.environment"]


def test_only_a_path_with_an_id_names_a_file():
    assert all(map(names_a_file, ("./a.py:B-v0", "a.py:B-v0", "/a b/c.py:ns/B-v0", "~/a.py:B")))
    assert not any(
        map(names_a_file, ("a:B-v0", "B-v0", "ALE/Pong-v5", "a.py", "a.py:", ".py:B", "./.py:B", "a.pyc:B", "a.py:B C"))
    )
    assert EnvironmentFiles().recorded("LunarLander-v3") == "LunarLander-v3"
