"""The recording: what passed through the environments, bit for bit, and nothing changed on its way."""

import struct
from functools import reduce
from operator import add

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

from lander.actors.environment import generators
from lander.actors.environment.recording import TERMINATED, TRUNCATED, EnvironmentFailedError, RecordedEnvironment, Recording
from lander.protocol.arrays import unpack
from lander.protocol.events import EpisodeFinished, StepsRecorded

SEED = 7


class Witness(gymnasium.Wrapper):
    """Sits inside the recording and keeps a copy of all that reaches the environment and leaves it."""

    def __init__(self, env):
        super().__init__(env)
        self.actions, self.rewards, self.endings = [], [], []

    def step(self, action):
        self.actions.append(np.array(action))
        result = self.env.step(action)
        self.rewards.append(result[1])
        self.endings.append(TERMINATED * bool(result[2]) + TRUNCATED * bool(result[3]))
        return result


def recorded(name, n_envs, **kwargs):
    recording = Recording(n_envs)
    witnesses = [Witness(gymnasium.make(name, **kwargs)) for _ in range(n_envs)]
    return recording, witnesses, [RecordedEnvironment(witness, recording) for witness in witnesses]


def drive(recording, environments, vector_steps, every):
    """Steps all environments together, as a vector environment does, taking the recording now and then."""
    events = []
    actions = np.random.default_rng(SEED)
    for index, environment in enumerate(environments):
        environment.action_space.seed(SEED + index)
        environment.reset(seed=SEED + index)
    for step in range(1, vector_steps + 1):
        for environment in environments:
            *_, terminated, truncated, _ = environment.step(environment.action_space.sample())
            if terminated or truncated:
                environment.reset()
        if step % every == 0 or actions.random() < 0.05:
            events += recording.drain()
    return events + recording.drain()


def joined(events):
    """All batches as three arrays, having checked that they follow one another."""
    batches = [event for event in events if isinstance(event, StepsRecorded)]
    steps = 0
    for batch in batches:
        assert batch.first_step == steps
        steps = batch.last_step
    return [np.concatenate([unpack(getattr(batch, name)) for batch in batches]) for name in ("actions", "rewards", "endings")]


CASES = [
    ("CartPole-v1", 1, {}, 300),
    ("CartPole-v1", 3, {}, 200),
    ("CartPole-v1", 2, {"max_episode_steps": 8}, 100),
    ("Pendulum-v1", 1, {}, 450),
    ("Pendulum-v1", 2, {}, 250),
    ("Acrobot-v1", 2, {"max_episode_steps": 60}, 150),
]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def recording_of(request):
    name, n_envs, kwargs, vector_steps = request.param
    recording, witnesses, environments = recorded(name, n_envs, **kwargs)
    return n_envs, witnesses, drive(recording, environments, vector_steps, every=37)


def test_the_arrays_hold_what_passed_through(recording_of):
    _, witnesses, events = recording_of
    actions, rewards, endings = joined(events)
    for index, witness in enumerate(witnesses):
        assert np.array_equal(actions[:, index], np.array(witness.actions))
        assert rewards[:, index].tobytes() == np.array(witness.rewards, np.float64).tobytes()
        assert endings[:, index].tolist() == witness.endings
    assert endings.any()


def test_rewards_are_in_double_precision(recording_of):
    _, _, events = recording_of
    assert joined(events)[1].dtype == np.float64


def test_an_episode_is_where_it_says_and_its_return_is_the_sum_of_its_rewards_from_left_to_right(recording_of):
    n_envs, _, events = recording_of
    _, rewards, endings = joined(events)
    episodes = [event for event in events if isinstance(event, EpisodeFinished)]
    assert len(episodes) == np.count_nonzero(endings)
    for episode in episodes:
        own = rewards[episode.first_step // n_envs :][: episode.length, episode.env]
        assert len(own) == episode.length
        assert episode.episode_return == reduce(add, own.tolist(), 0.0)
        assert episode.last_step == episode.first_step + episode.length * n_envs
        ending = endings[episode.last_step // n_envs - 1, episode.env]
        assert episode.truncated == bool(ending & TRUNCATED)
        assert ending


def test_the_order_of_adding_matters_for_some_episode():
    """Negative control: with pairwise addition the sums above would differ."""
    recording, _, environments = recorded("Pendulum-v1", 1)
    events = drive(recording, environments, 400, every=100)
    rewards = joined(events)[1]
    returns = [event.episode_return for event in events if isinstance(event, EpisodeFinished)]
    assert returns != [float(np.sum(rewards[start : start + 200, 0])) for start in (0, 200)]


def test_episodes_come_after_the_steps_they_are_made_of(recording_of):
    _, _, events = recording_of
    steps = 0
    for event in events:
        if isinstance(event, StepsRecorded):
            steps = event.last_step
        else:
            assert event.last_step <= steps


@pytest.mark.parametrize("name", ["CartPole-v1", "Pendulum-v1"])
def test_every_episode_can_be_begun_again(name):
    recording = Recording(1)
    environment = RecordedEnvironment(gymnasium.make(name, max_episode_steps=20), recording)
    beginnings = [environment.reset(seed=SEED)[0]]
    environment.action_space.seed(SEED)
    while len(recording.episodes) < 4:
        *_, terminated, truncated, _ = environment.step(environment.action_space.sample())
        if terminated or truncated:
            beginnings.append(environment.reset()[0])
    first, *others = recording.episodes
    fresh = gymnasium.make(name)
    assert (first.reset_seed, first.reset_rng) == (SEED, b"")
    assert fresh.reset(seed=first.reset_seed)[0].tobytes() == beginnings[0].tobytes()
    for episode, beginning in zip(others, beginnings[1:], strict=False):
        fresh.unwrapped.np_random = generators.unpack(episode.reset_rng)
        assert fresh.reset()[0].tobytes() == beginning.tobytes()
    assert len({beginning.tobytes() for beginning in beginnings}) == len(beginnings)


def test_a_generator_continues_where_the_packed_one_stood():
    generator = np.random.default_rng(SEED)
    for _ in range(3):
        generator.integers(0, 10, dtype=np.uint32)  # leaves half of a 64-bit draw behind
        packed = generators.pack(generator)
        assert len(packed) == 37
        again = generators.unpack(packed)
        assert generators.pack(again) == packed
        for draw in ("integers", "random", "standard_normal"):
            arguments = (0, 10, 5, np.uint32) if draw == "integers" else (5,)
            assert getattr(again, draw)(*arguments).tobytes() == getattr(generator, draw)(*arguments).tobytes()


def test_generators_of_another_kind_are_not_packed():
    assert generators.pack(np.random.Generator(np.random.MT19937(1))) == b""
    with pytest.raises(struct.error):
        generators.unpack(b"")


# --- environments that behave badly -----------------------------------------------------------------------------------


class Bench(gymnasium.Env):
    """An environment to test with: does as it is told, and scribbles on its action."""

    observation_space = spaces.Box(-1, 1, (1,))

    def __init__(self, action_space, fails_at=None, episode=100, error=None):
        self.action_space, self.fails_at, self.episode, self.error = action_space, fails_at, episode, error
        self.step_count = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if self.fails_at == 0:
            raise self.error("no room") if self.error else OSError("no joystick")
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.step_count += 1
        if self.step_count == self.fails_at:
            raise self.error("no room") if self.error else ZeroDivisionError("physics")
        if isinstance(action, np.ndarray):
            action[...] = 0
        return np.zeros(1, np.float32), np.float32(0.1), self.step_count % self.episode == 0, False, {}


@pytest.mark.parametrize(
    ("space", "action"),
    [
        (spaces.Box(-1, 1, (2,)), np.array([0.25, -0.5], np.float32)),
        (spaces.MultiDiscrete([5, 5]), np.array([3, 4])),
        (spaces.MultiBinary(3), np.array([1, 0, 1], np.int8)),
    ],
    ids=["Box", "MultiDiscrete", "MultiBinary"],
)
def test_an_environment_may_scribble_on_its_action(space, action):
    recording = Recording(1)
    environment = RecordedEnvironment(Bench(space), recording)
    environment.reset(seed=SEED)
    given = action.copy()
    environment.step(given)
    assert not given.any()
    (batch,) = recording.drain()
    assert np.array_equal(unpack(batch.actions)[0, 0], action)
    assert unpack(batch.rewards).tolist() == [[float(np.float32(0.1))]]


@pytest.mark.parametrize(("low", "high", "dtype"), [(0, 3, "|u1"), (-2, 5, "|i1"), (0, 300, "<u2"), (-1, 200, "<i2")])
def test_integer_actions_take_the_least_room_and_keep_their_value(low, high, dtype):
    recording = Recording(1)
    environment = RecordedEnvironment(Bench(spaces.Discrete(high - low + 1, start=low)), recording)
    environment.reset(seed=SEED)
    for action in (low, high):
        environment.step(np.int64(action))
    (batch,) = recording.drain()
    assert batch.actions.dtype == dtype
    assert unpack(batch.actions)[:, 0].tolist() == [low, high]


def test_what_an_environment_raises_is_called_the_environments_failure():
    environment = RecordedEnvironment(Bench(spaces.Discrete(2), fails_at=1), Recording(1))
    environment.reset(seed=SEED)
    with pytest.raises(EnvironmentFailedError, match=r"environment 0 failed in step\(\)") as caught:
        environment.step(np.int64(1))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    with pytest.raises(EnvironmentFailedError, match=r"environment 0 failed in reset\(\)") as caught:
        RecordedEnvironment(Bench(spaces.Discrete(2), fails_at=0), Recording(1)).reset()
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize("error", [MemoryError, torch.OutOfMemoryError])
@pytest.mark.parametrize("fails_at", [0, 1])
def test_memory_that_runs_out_in_an_environment_is_not_its_failure(error, fails_at):
    environment = RecordedEnvironment(Bench(spaces.Discrete(2), fails_at, error=error), Recording(1))
    with pytest.raises(error, match="no room"):
        _ = environment.reset(seed=SEED), environment.step(np.int64(1))
    assert environment.actions == []


@pytest.mark.parametrize("taken_before", [True, False])
def test_a_failure_in_the_middle_of_a_vector_step_leaves_the_whole_ones_before_it(taken_before):
    recording = Recording(3)
    environments = [RecordedEnvironment(Bench(spaces.Discrete(2), fails, 4), recording) for fails in (None, 4, None)]
    events = []

    def step_all():
        for environment in environments:
            environment.step(np.int64(1))

    for environment in environments:
        environment.reset(seed=SEED)
    for _ in range(3):
        step_all()
        if taken_before:
            events += recording.drain()
    with pytest.raises(EnvironmentFailedError):
        step_all()  # the first environment has finished its episode in this step; nobody can look its reward up
    events += recording.drain()
    assert joined(events)[1].shape == (3, 3)
    assert not [event for event in events if isinstance(event, EpisodeFinished)]


def test_the_recording_changes_nothing():
    plain, witnessed = gymnasium.make("Pendulum-v1"), recorded("Pendulum-v1", 1)[2][0]
    for environment in (plain, witnessed):
        environment.action_space.seed(SEED)
    seen = [[environment.reset(seed=SEED)[0].tobytes()] for environment in (plain, witnessed)]
    for _ in range(20):
        for environment, observations in zip((plain, witnessed), seen, strict=True):
            observation, reward, *_ = environment.step(environment.action_space.sample())
            observations.append((observation.tobytes(), reward))
    assert seen[0] == seen[1]
