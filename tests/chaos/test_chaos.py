"""Whoever is killed, and whenever: nothing acknowledged is lost, and every run ends with the bits it would have had anyway."""

import contextlib
import os
import time

import pytest

from lander.store.log import chain
from lander.store.log.reader import DATABASE, open_reader
from lander.store.upkeep.integrity import check
from tests import hooks
from tests.chaos.campaign import Campaign, person
from tests.chaos.ledger import LEDGER, audit
from tests.chaos.schedule import schedule
from tests.support.live_home import LiveHome, experiment
from tests.support.processes import kill, leftovers, living, started_by_environments

SEED = int(os.environ.get("SEED") or 1)
SMALL = {"policy_kwargs": {"net_arch": [16]}}
PPO = {"n_steps": 64, "batch_size": 64, "n_epochs": 1, "n_envs": 2, "normalize": True} | SMALL
DQN = {"learning_starts": 50, "buffer_size": 2000, "batch_size": 16, "train_freq": 4, "target_update_interval": 100} | SMALL


def small(training_steps=10_000, **rest):
    """Two arms with an algorithm each and two seeds each, that are retried for ever."""
    return experiment(
        "small",
        PPO,
        environment="tests.chaos.environments:CartPoleWithProcess-v0",
        training_steps=training_steps,
        variants={"dqn": {"algorithm": "DQN", "training_steps": training_steps * 3 // 10, "hyperparameters": DQN}},
        seeds=[0, 1],
        checkpoint_frequency=250,
        eval_frequency=1000,
        eval_episodes=1,
        max_retries=1_000_000,
        retry_period=1,
        **rest,
    )


@pytest.fixture
def live_home(tmp_path, monkeypatch):
    """A home whose trainers keep a ledger; everything of it is killed in the end, should anything be left."""
    monkeypatch.setenv(LEDGER, str(tmp_path / "ledger"))
    hooks.install(monkeypatch, write_ledger="lander.actors.host.zygote")
    live_home = LiveHome(tmp_path / "home")
    live_home.start()
    try:
        yield live_home
    finally:
        kill(*living(live_home.home))
        kill(*started_by_environments(live_home.home))  # the guard, too, is dead


def chaos(live_home, seed, kills, wanted):
    """A campaign, and all that must be true after it."""
    print(f"\nSEED={seed}, {kills} kills")
    campaign = Campaign(live_home, wanted)
    started = time.monotonic()
    quiet = campaign.undisturbed()
    with person(live_home.home, seed):
        campaign.strike(schedule(seed), kills)
        rounds = campaign.ended_bits()
    campaign.close()
    for number, bits in enumerate(rounds):
        for run, expected in quiet.items():
            assert expected.differences(bits[run]) == [], f"round {number}, {run}"
    found = audit(live_home.home)
    assert found.problems == []
    assert found.acknowledged > 1000
    assert [finding for finding in check(live_home.home) if not finding.ok] == []
    with contextlib.closing(open_reader(live_home.home / DATABASE)) as reader:
        assert chain.verify(reader) >= found.stored
    print(f"{campaign.kills} kills landed in {time.monotonic() - started:.0f} s: {dict(campaign.landed)}; {len(rounds)} rounds")
    print(
        f"{found.acknowledged} events acknowledged to {found.producers} attempts, {found.stored} stored: none lost, none twice"
    )
    return campaign


@pytest.mark.timeout(300)
def test_half_a_dozen_kills(live_home):
    campaign = chaos(live_home, 1, 6, small(5_000))
    assert {"trainer", "supervisor"} <= campaign.landed.keys()


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(SEED, SEED + 5))
def test_a_hundred_kills(live_home, seed):
    campaign = chaos(live_home, seed, 100, small())
    assert {"trainer", "supervisor", "host", "zygote"} <= campaign.landed.keys()


def test_a_supervisor_that_acknowledges_before_it_commits_is_found_out(live_home, monkeypatch):
    """Negative control: the ledger would show it."""
    hooks.install(monkeypatch, write_ledger="lander.actors.host.zygote", ack_before_commit="lander.supervisor")
    kill(*(process for process in living(live_home.home) if process.role == "supervisor"))
    live_home.start()
    live_home.submit(small())
    live_home.wait(lambda: lost(live_home), "something to be acknowledged that is not in the log")
    assert any("environment" in each for each in leftovers(live_home.home)), "what an environment started would be seen, too"
    kill(*living(live_home.home))
    assert lost(live_home), "it was only on its way"


def lost(live_home):
    return any("lost" in problem for problem in audit(live_home.home).problems)
