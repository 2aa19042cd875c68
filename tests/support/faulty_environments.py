"""Environments that misbehave on purpose; name them `tests.support.faulty_environments:Raising-v0`."""

import os
import signal
import subprocess
import time
import warnings
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np


class _Simple(gymnasium.Env[np.ndarray, int]):
    """Four numbers, two actions, episodes of a hundred and fifty steps."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (4,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, render_mode: str | None = None) -> None:
        self.steps = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(4, np.float32), {}

    def reward(self) -> float:
        return 1.0

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        return np.full(4, 0.1, np.float32), self.reward(), self.steps >= 150, False, {}


class Slow(_Simple):
    """Sleeps in every step: a training that only has to be there takes no processor from others."""

    def reward(self) -> float:
        time.sleep(0.002)
        return 1.0


class Raising(_Simple):
    """Raises in its hundredth step."""

    def reward(self) -> float:
        if self.steps == 100:
            raise RuntimeError(f"the engine fell off at step {self.steps}")
        return 1.0


class NotANumber(_Simple):
    """Rewards with NaN, which soon is all that the policy consists of."""

    def reward(self) -> float:
        return float("nan")


class LeavingProcesses(Slow):
    """Starts processes that want to stay, all deaf to SIGTERM: one in its group, one in a session of its own, one forked, one
    forked twice into a session of its own, and with `cleared` one more such, which has cleared its environment variables.

    Their ids are appended to the file `pid_file`, in a line that begins with the trainer's own.
    """

    def __init__(self, pid_file: str, cleared: bool, render_mode: str | None = None) -> None:
        super().__init__(render_mode)
        deaf = ["sh", "-c", "trap '' TERM HUP INT; exec sleep 1000"]
        in_group = subprocess.Popen(deaf)
        on_its_own = subprocess.Popen(deaf, start_new_session=True)
        forked = os.fork()
        if forked == 0:
            for number in (signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            time.sleep(1000)
            os._exit(0)
        daemons = [_daemon(clear) for clear in (False, True)[: 1 + cleared]]
        with Path(pid_file).open("a") as file:
            print(os.getpid(), in_group.pid, on_its_own.pid, forked, *daemons, file=file)


def _daemon(clear: bool) -> int:
    """The id of a process that was forked twice; `clear` has it execute a program without any environment variable."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        daemon = os.fork()
        if daemon == 0:
            if clear:
                os.execve("/bin/sleep", ["sleep", "1000"], {})
            time.sleep(1000)
        os.write(writing, str(daemon).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading) as pipe:  # not to its end: the daemon holds the other one
        return int(os.read(pipe.fileno(), 100))


class Hanging(_Simple):
    """Hangs in its two hundredth step, alive and well."""

    def reward(self) -> float:
        Hanging.taken += 1
        while Hanging.taken >= 200:
            time.sleep(0.1)
        return 1.0

    taken = 0


class Exiting(_Simple):
    """Raises in its hundredth step; once the file `raised` is there, it warns instead, greets, and ends its process."""

    def __init__(self, raised: str, render_mode: str | None = None) -> None:
        super().__init__(render_mode)
        self.raised = Path(raised)

    def reward(self) -> float:
        if self.steps == 100 and self.raised.exists():
            warnings.warn("an error that nobody made", DeprecationWarning, stacklevel=1)
            print("Hello from the community", flush=True)
            os._exit(3)
        if self.steps == 100:
            self.raised.touch()
            raise RuntimeError("the first error")
        return 1.0


gymnasium.register("Slow-v0", Slow)
gymnasium.register("LeavingProcesses-v0", LeavingProcesses)
gymnasium.register("Exiting-v0", Exiting)
gymnasium.register("Hanging-v0", Hanging)
gymnasium.register("Raising-v0", Raising)
gymnasium.register("NotANumber-v0", NotANumber)
