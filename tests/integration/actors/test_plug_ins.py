"""Algorithms that an installed package adds: found by name, recorded by class, resumed as exactly as they say."""

import os
import subprocess
import sys

import pytest

from lander.actors.host.requirements import check
from lander.actors.sb3.algorithms import algorithm_class
from lander.actors.sb3.defaults import with_defaults
from lander.experiments import plug_ins
from lander.experiments.parsing import parse_experiment
from lander.experiments.writing import as_written
from lander.protocol.errors import ConfigurationError
from lander.protocol.events import TrainingStarted, WarningRaised
from lander.protocol.experiment import Experiment
from tests.support.in_process_training import CutError, InProcessTraining
from tests.support.plug_in import install
from tests.support.recorded import recorded

SMALL = {"n_steps": 64, "batch_size": 32, "n_epochs": 1, "drift": 0.25, "policy_kwargs": {"net_arch": [8]}}


@pytest.fixture(autouse=True)
def _installed(tmp_path, monkeypatch):
    install(tmp_path / "site")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    search = plug_ins.plug_ins
    search.cache_clear()
    yield
    search.cache_clear()
    sys.modules.pop("drifting_algorithms", None)


def experiment(algorithm, **hyperparameters):
    form = {"environment": "CartPole-v1", "algorithm": algorithm, "training_steps": 384, "seeds": [3]}
    return recorded(form | {"baseline": {"hyperparameters": SMALL | hyperparameters}, "variants": {"v": {}}})


def test_it_is_found_by_its_name_and_recorded_by_its_class():
    found = with_defaults(experiment("Drifting"))
    assert found.baseline.algorithm_class == "drifting_algorithms:Drifting"
    assert found.baseline.defaults["algorithm"] == {"drift": 0.5}
    assert Experiment.model_validate_json(found.model_dump_json()) == found
    assert parse_experiment(as_written(found), source="x")[0].baseline.algorithm_class == "drifting_algorithms:Drifting"
    check(found, "file.yaml")


def test_a_log_trains_by_itself_where_the_name_is_gone(monkeypatch):
    arm = experiment("Drifting").baseline
    monkeypatch.setattr(plug_ins, "plug_ins", dict)
    assert algorithm_class(arm).__name__ == "Drifting"


def test_it_takes_no_name_of_ours():
    assert plug_ins.plug_ins().keys() == {"Drifting", "Remembering", "ByNumber"}


def test_what_it_does_not_take_is_refused_before_anything_starts():
    with pytest.raises(ConfigurationError, match=r"^file.yaml: hyperparameters: cannot be built: .*drif\b"):
        check(experiment("Drifting", drif=1), "file.yaml")
    for size in ("many", 1e6):  # the name of a setting of ours, whose values a plug-in may have otherwise
        with pytest.raises(ConfigurationError, match=r"^file.yaml: hyperparameters: cannot be built: .*buffer_size"):
            check(experiment("Drifting", buffer_size=size), "file.yaml")
    with pytest.raises(ValueError, match=r"must be one of PPO, .*, Drifting, Remembering, ByNumber; did you mean Drifting"):
        experiment("Driftin")
    with pytest.raises(ValueError, match="cannot be set here: seeds stand beside"):
        experiment("Drifting", seed=1)


@pytest.mark.parametrize(("algorithm", "how"), [("Remembering", "exact"), ("Drifting", "inexact"), ("ByNumber", "inexact")])
def test_it_is_resumed_as_exactly_as_it_says(tmp_path, algorithm, how):
    arm = experiment(algorithm).baseline
    whole, cut = (InProcessTraining(arm, tmp_path / name, frequency=64) for name in ("whole", "cut"))
    whole.train()
    with pytest.raises(CutError):
        cut.train(cut_after=250)
    cut.continue_()
    assert [start.resume for start in cut.heard(TrainingStarted)] == ["fresh", how]
    assert (cut.weights == whole.weights) == (how == "exact")
    said = [warning.message for warning in cut.heard(WarningRaised)]
    assert any("Drifting has no get_state() and set_state()" in each for each in said) == (algorithm == "Drifting")
    assert any("get_state() of ByNumber returned no plain data" in each for each in said) == (algorithm == "ByNumber")


def test_commands_that_need_no_plug_in_look_for_none():
    code = "import lander.experiments.parsing as p, lander.experiments.plug_ins as q;"
    code += "p.parse_experiment(dict(environment='CartPole-v1', algorithm='PPO', training_steps=64, seeds=[0],"
    code += " variants=dict(v=None)), source='x'); print(q.plug_ins.cache_info().currsize)"
    done = subprocess.run([sys.executable, "-c", code], env=os.environ, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"
