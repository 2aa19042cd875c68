"""`lander-ctl import`, and `--zoo`: entries of RL Baselines3 Zoo on the command line."""

import pytest

from lander.app.zoo import experiment_of
from lander.experiments.parsing import parse_experiment, read_experiment
from tests.golden.zoo_policies import CASES, ENTRIES
from tests.support.command_line import lander_here


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_file_that_is_written_asks_for_what_the_entry_asks_for(tmp_path, case):
    written = tmp_path / "experiment.yaml"
    code, _, errors = lander_here(tmp_path, "import", case.file, "--environment", case.environment, "--output", written)
    assert code == 0, errors
    by_name = parse_experiment(experiment_of(str(case.file), case.environment), source="zoo")[0]
    imported = read_experiment(written)[0]
    assert imported.experiment_id == by_name.experiment_id  # which is a digest of everything else


def test_no_file_is_replaced(tmp_path):
    written = tmp_path / "mine.yaml"
    written.write_text("mine")
    arguments = ("import", ENTRIES / "ppo.yml", "--environment", "CartPole-v1", "-o", written)
    code, _, errors = lander_here(tmp_path, *arguments)
    assert (code, written.read_text()) == (2, "mine")
    assert errors == f"lander-ctl: {written}: is there already; name another file, or remove it\n"


def test_what_cannot_be_expressed_is_refused_with_file_and_line(tmp_path):
    file = tmp_path / "ppo.yml"
    file.write_text("CartPole-v1:\n  n_timesteps: 100\n  policy: MlpPolicy\n  colour: red\n")
    code, output, errors = lander_here(tmp_path, "import", file, "--environment", "CartPole-v1")
    assert (code, output) == (2, "")
    assert errors == f"lander-ctl: import: {file}: line 4: colour: unknown key; neither of the zoo nor of PPO\n"


def test_a_wrong_value_is_refused_with_file_and_field(tmp_path):
    file = tmp_path / "ppo.yml"
    file.write_text("CartPole-v1: {n_timesteps: 100, policy: MlpPolicy, gamma: 7}")
    code, _, errors = lander_here(tmp_path, "import", file, "--environment", "CartPole-v1")
    assert (code, errors) == (2, f"lander-ctl: {file}: hyperparameters.gamma: found 7; must be a number from 0 to 1\n")


def test_an_entry_takes_the_place_of_a_file(tmp_path):
    code, _, errors = lander_here(tmp_path, "run", "--zoo", "ppo", "CartPole-v1", "--config", "x.yaml")
    assert code == 2
    assert "--zoo does not go together with --config" in errors


def test_an_entry_that_is_not_there_is_refused_by_the_words_that_were_typed(tmp_path):
    file = ENTRIES / "ppo.yml"
    code, _, errors = lander_here(tmp_path, "validate", "--zoo", file, "CartPole-v7")
    assert code == 2
    assert errors.startswith(f"lander-ctl: --zoo {file} CartPole-v7: {file}: no entry CartPole-v7, and none called default")
