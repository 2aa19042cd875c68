"""Environments in processes of their own (`vec_env: subproc`): a `SubprocVecEnv` whose workers record their environment.

Steps have the bits of `SubprocVecEnv`. In each worker a `RecordedEnvironment` is outermost, as in a trainer without workers;
what it has recorded is fetched when the trainer drains its recording, between two steps. What a checkpoint captures and
restores of an environment runs in its worker (`RecordedEnvironment.do`).

A worker is forked, so it costs no import, and it dies with its trainer.
"""

import contextlib
import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import gymnasium
from stable_baselines3.common.vec_env import SubprocVecEnv, VecEnv
from stable_baselines3.common.vec_env.subproc_vec_env import _worker

from lander.actors.environment.attributes import module_globals
from lander.actors.environment.history import History, Reset
from lander.actors.environment.parent_death import die_with_parent
from lander.actors.environment.recording import EnvironmentFailedError, RecordedEnvironment, Recording
from lander.protocol.events import EpisodeFinished, StepsRecorded

Build = Callable[[], gymnasium.Env[Any, Any]]
_ENDED: Final = "the process of the environment has ended"


class Fetched(NamedTuple):
    """What a worker has recorded since it was asked last."""

    actions: list[Any]
    rewards: list[float]
    endings: list[tuple[int, int]]
    episodes: list[EpisodeFinished]
    resets: list[Reset]


# --- in a worker ------------------------------------------------------------------------------------------------------


class _Failed(NamedTuple):
    """An exception of the environment, as its trainer raises it: what failed, and the traceback in the worker."""

    message: str
    traceback: str


def _work(connection: Any, trainer_end: Any, build: Any, place: int, trainer: int) -> None:
    """The whole life of a worker."""
    die_with_parent(trainer)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave_it_to_the_trainer)  # and not ignored, which programs that it starts would inherit
    try:
        _worker(connection, trainer_end, _Placed(build, place))  # type: ignore[arg-type]  # it asks for `var` alone
    except Exception as error:
        with contextlib.suppress(OSError, ValueError):
            connection.send(_Failed(str(error), traceback.format_exc()))
    os._exit(0)  # what the trainer has open is not this process's to close


def _leave_it_to_the_trainer(*_: object) -> None:
    """A stop of a whole job reaches workers, too; the trainer answers it with a checkpoint, for which it asks them."""


class _Placed:
    """Builds the environment of a worker, and gives it its place in the vector."""

    def __init__(self, build: Build, place: int) -> None:
        self._build = build
        self._place = place

    @property
    def var(self) -> Build:
        return self._built

    def _built(self) -> gymnasium.Env[Any, Any]:
        environment = self._build()
        if isinstance(environment, RecordedEnvironment):
            environment.take_place(self._place)
        return environment


def _fetch(environment: RecordedEnvironment) -> Fetched:
    recording, history = environment.recording, environment.recording.history
    found = Fetched(
        list(environment.actions),
        list(environment.rewards),
        list(environment.endings),
        list(recording.episodes),
        [] if history is None else list(history.resets),
    )
    environment.drop_recorded(len(found.rewards))
    recording.episodes.clear()
    if history is not None:
        history.steps += len(found.rewards)
        history.resets.clear()
    return found


def _keep_history(environment: RecordedEnvironment, steps: int | None) -> None:
    """Keep resets from now on, after so many vector steps; with None, keep none."""
    environment.recording.history = None if steps is None else History(steps)


def _globals(environment: RecordedEnvironment) -> dict[str, bytes]:
    return module_globals([environment.env])


# --- in the trainer ---------------------------------------------------------------------------------------------------


class _Asking:
    """A connection to a worker; raises what the worker failed with."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def send(self, question: Any) -> None:
        with contextlib.suppress(BrokenPipeError):  # it failed, and its answer says why
            self._connection.send(question)

    def recv(self) -> Any:
        try:
            answer = self._connection.recv()
        except (EOFError, ConnectionResetError) as error:
            raise EnvironmentFailedError(_ENDED) from error
        if isinstance(answer, _Failed):
            raise EnvironmentFailedError(answer.message) from RuntimeError(answer.traceback)
        return answer

    def close(self) -> None:
        self._connection.close()


class SeparateEnvironments(SubprocVecEnv):
    """`SubprocVecEnv` with workers that are forked from this process, and die with it."""

    def __init__(self, env_fns: list[Build]) -> None:
        self.waiting = self.closed = False
        self.processes = []
        context = multiprocessing.get_context("fork")
        remotes = []
        for place, build in enumerate(env_fns):
            ours, theirs = context.Pipe()
            arguments = (theirs, ours, build, place, os.getpid())
            process: Any = context.Process(target=_work, args=arguments, daemon=True)
            process.start()
            theirs.close()
            self.processes.append(process)
            remotes.append(_Asking(ours))
        self.remotes = self.work_remotes = tuple(remotes)
        self.remotes[0].send(("get_spaces", None))
        observations, actions = self.remotes[0].recv()
        VecEnv.__init__(self, len(env_fns), observations, actions)

    def close(self) -> None:
        """End the workers; one that does not answer is killed."""
        for process in self.processes:
            process.kill()
            process.join()
        self.closed = True


class RemoteEnvironment:
    """The recorded environment of one worker, with what is fetched of its steps; used in place of a `RecordedEnvironment`."""

    def __init__(self, vector: VecEnv, place: int) -> None:
        self.index = place
        self.actions: list[Any] = []
        self.rewards: list[float] = []
        self.endings: list[tuple[int, int]] = []
        self.steps = 0
        self._vector = vector

    def do(self, act: Callable[..., Any], *arguments: Any) -> Any:
        """What `act` returns for the environment and these arguments, in the worker."""
        (answer,) = self._vector.env_method("do", act, *arguments, indices=self.index)
        return answer

    @property
    def resets(self) -> int:
        return int(self.do(getattr, "resets"))

    @property
    def first_seed(self) -> int | None:
        seed: int | None = self.do(getattr, "first_seed")
        return seed

    def replay(self, action: Any) -> bool:
        return bool(self.do(RecordedEnvironment.replay, action))

    def reset(self, *, seed: int | None = None) -> None:
        self.do(_reset, seed)

    def begin_at(self, steps: int, episode_start: int, episode_return: float) -> None:
        self.actions, self.rewards, self.endings, self.steps = [], [], [], steps
        self.do(RecordedEnvironment.begin_at, steps, episode_start, episode_return)

    def add(self, found: Fetched) -> None:
        """Add what was fetched to the lists."""
        before = len(self.rewards)
        self.actions += found.actions
        self.rewards += found.rewards
        self.endings += [(before + step, ending) for step, ending in found.endings]

    drop_recorded = RecordedEnvironment.drop_recorded


def _reset(environment: RecordedEnvironment, seed: int | None) -> None:
    environment.reset(seed=seed)


class RemoteRecording(Recording):
    """What the environments of all workers did since the last `drain`."""

    def __init__(self, n_envs: int, history: History | None = None) -> None:
        self._history: History | None = None
        super().__init__(n_envs, history)

    def watch(self, vector: VecEnv) -> None:
        """Record the environments of this vector of processes from now on."""
        self.environments = [RemoteEnvironment(vector, place) for place in range(self.n_envs)]  # type: ignore[misc]  # as one

    @property
    def history(self) -> History | None:
        """What the environments were given; its resets are kept in the workers until they are fetched."""
        return self._history

    @history.setter
    def history(self, history: History | None) -> None:
        self._history = history
        for environment in getattr(self, "environments", ()):
            environment.do(_keep_history, None if history is None else history.steps)

    def drain(self) -> list[StepsRecorded | EpisodeFinished]:
        self.fetch()
        return super().drain()

    def fetch(self) -> None:
        """Have what the workers recorded in the lists here, in the order in which one process would have recorded it."""
        each: list[Fetched] = [environment.do(_fetch) for environment in self.environments]
        for environment, found in zip(self.environments, each, strict=True):
            environment.add(found)  # type: ignore[attr-defined]  # one of a worker
        self.episodes += sorted(
            (episode for found in each for episode in found.episodes), key=lambda it: (it.last_step, it.env)
        )
        if self._history is not None:
            resets = (reset for found in each for reset in found.resets)
            self._history.resets += sorted(resets, key=lambda reset: (reset.steps, reset.env))

    def module_globals(self) -> dict[str, bytes]:
        """The globals of every worker, which has modules of its own."""
        each = [environment.do(_globals) for environment in self.environments]
        return {f"{name} (environment {place})": digest for place, found in enumerate(each) for name, digest in found.items()}
