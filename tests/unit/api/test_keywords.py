"""Keywords of `run`, `fork` and `validate`: those of the commands' options, and what is said of any other."""

from inspect import signature

import pytest

import lander
from lander.api import experiments, keywords

VARIANTS = {"v": {"hyperparameters": {"gamma": 0.9}}}


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        (
            {"learning_rate": 1e-4},
            'run: unknown keyword learning_rate; write overrides=["hyperparameters.learning_rate=0.0001"]',
        ),
        ({"environment": "Taxi-v3"}, "run: unknown keyword environment; write overrides=[\"environment='Taxi-v3'\"]"),
        ({"total_timesteps": 5}, "run: unknown keyword total_timesteps; write training_steps"),
        ({"trainingsteps": 5}, "run: unknown keyword trainingsteps; did you mean training_steps?"),
        ({"nonsense": 5}, "run: unknown keyword nonsense; must be one of experiment, home, overrides, experiment_id, mode, "),
    ],
)
def test_an_unknown_keyword_is_answered_with_the_way_that_exists(tmp_path, keywords, said):
    with pytest.raises(lander.LanderError) as refused:
        lander.run("e.yaml", home=tmp_path / "home", **keywords)
    assert str(refused.value).startswith(said)
    assert not (tmp_path / "home").exists()


def test_fork_and_validate_have_the_same_answer():
    with pytest.raises(
        lander.LanderError, match=r'^fork: unknown keyword gamma; write overrides=\["hyperparameters.gamma=0.9"\]$'
    ):
        lander.fork("x/v", "last", overrides=[], gamma=0.9)
    with pytest.raises(lander.LanderError, match=r"^validate: unknown keyword seed; write overrides="):
        lander.validate({}, seed=1)


def test_the_options_of_the_command_are_keywords(tmp_path, monkeypatch):
    class EnoughError(Exception):
        """What was to be known is known."""

    def conduct(wanted, home, show, tell):
        found = wanted.experiment
        assert {arm.training_steps for arm in found.arms} == {512}
        assert (found.checkpoint_frequency, found.eval_frequency, found.eval_episodes) == (100, 200, 3)
        raise EnoughError

    monkeypatch.setattr(experiments, "conduct", conduct)
    form = {"environment": "CartPole-v1", "algorithm": "PPO", "training_steps": 64, "seeds": [0], "variants": VARIANTS}
    given = {"training_steps": 512, "checkpoint_frequency": 100, "eval_frequency": 200, "eval_episodes": 3}
    with pytest.raises(EnoughError):
        lander.run(form, home=tmp_path / "home", progress=False, **given)


@pytest.mark.parametrize(
    ("said", "in_python"),
    [
        ("x: differs in baseline; choose another --experiment-id", "x: differs in baseline; choose another experiment_id"),
        ("with --new-code they begin anew", "with new_code they begin anew"),
        ("x: not there; lander-ctl run FILE --experiment-id ID trains it", None),
        (
            "x: not there; lander-ctl retry x --new-code, or --new-code",
            "x: not there; lander-ctl retry x --new-code, or new_code",
        ),
        ("--on is no keyword", None),
    ],
)
def test_what_is_said_names_keywords_and_whole_commands_stay(said, in_python):
    assert keywords.in_keywords(said) == (in_python or said)


def test_an_error_of_the_core_names_the_keyword(tmp_path):
    """By the refusal itself, as it comes back from the supervisor."""

    @keywords.errors_in_keywords
    def run(name):
        raise lander.LanderError(f"{name}: choose another --experiment-id", run="r")

    with pytest.raises(lander.LanderError, match=r"^x: choose another experiment_id$") as raised:
        run("x")
    assert raised.value.run == "r"
    assert set(keywords.OPTIONS) <= set(signature(lander.run).parameters)
    assert all(hasattr(verb, "__wrapped__") for verb in (lander.run, lander.fork, lander.validate))
