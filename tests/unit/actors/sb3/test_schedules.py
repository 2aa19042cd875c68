"""`lin_x`: what it is by which rule, that a recorded rule is kept, and that models with such schedules can be loaded."""

import asyncio
import subprocess
import sys

import pytest
from stable_baselines3.common.utils import LinearSchedule

from lander.actors.sb3.algorithms import build_environment, build_model
from lander.actors.sb3.defaults import ZOO_RULE, linear_rule, with_defaults
from lander.app.forking import fork_request
from lander.app.requests import recorded as recorded_request
from lander.app.requests import request
from lander.store.log.reader import DATABASE, Reader
from lander.store.records.run_record import Record
from lander.store.writers.sqlite_store import SqliteEventStore
from tests import golden
from tests.support.in_process_training import InProcessTraining
from tests.support.recorded import recorded

START = 7e-4
PROGRESS = [1 - steps / 1100 for steps in range(0, 1300, 7)]
WRITTEN = {"learning_rate": f"lin_{START}", "clip_range": "lin_0.2", "clip_range_vf": "lin_0.3", "n_steps": 64}
FORM = {"algorithm": "PPO", "environment": "CartPole-v1", "training_steps": 64, "seeds": [0], "variants": {"v": None}}


def arm(**defaults):
    """The baseline; with no defaults, as it was recorded before rules were."""
    return recorded(FORM | {"hyperparameters": WRITTEN}).baseline.model_copy(update={"defaults": defaults})


def of_today():
    return with_defaults(recorded(FORM | {"hyperparameters": WRITTEN})).baseline


def built(wanted):
    return build_model(wanted, 0, build_environment(wanted, 0))


def values(schedule):
    return [schedule(progress) for progress in PROGRESS]


def test_new_experiments_have_the_rule_of_the_zoo():
    model = built(of_today())
    assert values(model.lr_schedule) == [progress * START for progress in PROGRESS]
    assert values(model.clip_range) == [progress * 0.2 for progress in PROGRESS]
    assert values(model.clip_range_vf) == [progress * 0.3 for progress in PROGRESS]


@pytest.mark.parametrize("defaults", [{}, {"lander": {"n_envs": 1, "normalize": False, "policy": "MlpPolicy"}}])
def test_experiments_that_recorded_no_rule_keep_that_of_their_time(defaults):
    model = built(arm(**defaults))
    assert values(model.lr_schedule) == values(LinearSchedule(START, 0.0, 1.0))
    assert values(model.lr_schedule) != [progress * START for progress in PROGRESS]


def test_a_rule_of_a_later_version_is_refused():
    with pytest.raises(ValueError, match="by the rule 'cosine' are of a later version"):
        built(arm(lander={"n_envs": 1, "normalize": False, "policy": "MlpPolicy", "linear_schedule": "cosine"}))


def test_a_model_with_such_schedules_is_loaded_without_this_program(tmp_path):
    """It names nothing of ours, and holds no bytecode: also another version of Python can load it."""
    built(of_today()).save(tmp_path / "model.zip")
    code = (
        "import sys; sys.modules['lander'] = None; import warnings; warnings.simplefilter('error')\n"
        "from stable_baselines3 import PPO\n"
        f"model = PPO.load({str(tmp_path / 'model.zip')!r})\n"
        "print(*(schedule(0.3) for schedule in (model.lr_schedule, model.clip_range, model.clip_range_vf)))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert [float(value) for value in loaded.split()] == [0.3 * START, 0.3 * 0.2, 0.3 * 0.3]


@pytest.fixture
def golden_home(tmp_path):
    """A home of a version that recorded no rule; its experiment `finished` has an arm with `lin_0.001`."""
    golden.unpack(3, tmp_path)

    async def bring_up_to_date():
        await (await SqliteEventStore.open(tmp_path / DATABASE)).close()

    asyncio.run(bring_up_to_date())
    return tmp_path


def test_going_on_with_an_old_experiment_or_forking_it_keeps_its_rule(golden_home):
    """And the same file as a new experiment has the rule of today."""
    known = recorded_request(golden_home, "finished", ["training_steps=512"], execution={}).experiment
    fork = fork_request(golden_home, "half/ppo", "last", ["learning_rate=lin_1e-3"], execution={}).experiment
    assert [linear_rule(each) for each in (*known.arms, *fork.arms)] == [""] * 4
    new = request(FORM | {"hyperparameters": WRITTEN}, execution={}).experiment
    assert [linear_rule(each) for each in new.arms] == [ZOO_RULE] * 2


def test_an_old_experiment_ends_in_the_bits_that_it_recorded(golden_home, tmp_path):
    with Reader(golden_home) as reader:
        arms = reader.experiment("finished").arms
        recorded_digests = {arm.name: final(reader, f"finished/{arm.name}/0") for arm in arms}
    again = {arm.name: InProcessTraining(arm, tmp_path / arm.name, seed=0) for arm in arms}
    for training in again.values():
        training.train()
    found = {name: training.lineage()[-1].weights for name, training in again.items()}
    if found["baseline"] != recorded_digests["baseline"]:
        pytest.skip("this machine computes other bits than the one that wrote the log")
    assert found == recorded_digests


def final(reader, run):
    return Record(reader, run).checkpoints()[-1].weights
