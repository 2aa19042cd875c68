"""A campaign: real experiments, and processes killed at random until enough kills have landed."""

import contextlib
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from lander.app import service
from lander.protocol.errors import LanderError
from lander.protocol.experiment import Experiment
from lander.protocol.states import UNDER_WAY
from tests.chaos.schedule import Strike
from tests.support.bits import Bits
from tests.support.live_home import LiveHome
from tests.support.processes import Process, kill, leftovers, living

LOOK_SECONDS = 0.02
TIMEOUT_SECONDS = 180.0
"""Seconds after which something that should happen has not happened."""
ORPHAN_SECONDS = 10.0


@contextlib.contextmanager
def person(home: Path, seed: int) -> Iterator[None]:
    """Somebody who types `lander-ctl up` again and again, and gives a supervisor up for dead when it does not start."""
    draw, gone = random.Random(seed), threading.Event()

    def work() -> None:
        while not gone.wait(draw.uniform(0.1, 0.8)):
            with contextlib.suppress(LanderError):
                service.start(home)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        gone.set()
        thread.join()


class Campaign:
    """Kills in one home, while round after round of one experiment is carried out."""

    def __init__(self, live_home: LiveHome, wanted: Experiment) -> None:
        self.live_home = live_home
        self.landed: Counter[str] = Counter()
        self._wanted = wanted
        self._rounds: list[Experiment] = []

    @property
    def kills(self) -> int:
        return self.landed.total()

    def undisturbed(self) -> dict[str, Bits]:
        """The bits of every run when nobody is killed, by arm and seed."""
        quiet = self._wanted.model_copy(update={"experiment_id": "quiet"})
        self.live_home.carry_out(quiet)
        return self._bits(quiet)

    def strike(self, strikes: Iterator[Strike], kills: int) -> None:
        """Until so many have landed; what was done is printed."""
        while self.kills < kills:
            self._keep_busy()
            strike = next(strikes)
            victim = self._await(strike)
            time.sleep(strike.after)
            home = self.live_home.home
            landed = kill(*(living(home) if strike.role == "everything" else (victim,)))
            self.landed.update(process.role for process in landed)
            print(f"{self.kills:4}. {'' if landed else 'missed '}{strike} {victim.name}", flush=True)

    def ended_bits(self) -> list[dict[str, Bits]]:
        """Of every round, once all have ended."""
        self._wait(lambda: all(self._ended(each) for each in self._rounds), "every experiment to end")
        return [self._bits(each) for each in self._rounds]

    def close(self) -> None:
        """`lander-ctl down`, after which nothing may be left."""
        service.shut_down(self.live_home.home)
        deadline = time.monotonic() + ORPHAN_SECONDS
        while (left := leftovers(self.live_home.home)) and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
        assert left == [], f"{ORPHAN_SECONDS:.0f} s later there still are {left}"

    def _keep_busy(self) -> None:
        """With another round, when all have ended."""
        if not all(self._ended(each) for each in self._rounds):
            return
        following = self._wanted.model_copy(update={"experiment_id": f"round-{len(self._rounds)}"})
        self._rounds.append(following)
        self._wait(lambda: self._submitted(following), "a supervisor that takes a submission")

    def _submitted(self, wanted: Experiment) -> bool:
        with contextlib.suppress(LanderError):
            self.live_home.submit(wanted)
            return True
        return False

    def _ended(self, wanted: Experiment) -> bool:
        return self.live_home.status(wanted.experiment_id)["state"] not in UNDER_WAY

    def _await(self, strike: Strike) -> Process:
        found: list[Process] = []

        def there() -> bool:
            found[:] = [each for each in living(self.live_home.home) if strike.role in (each.role, "everything")]
            if strike.role == "trainer" and not found:
                self._keep_busy()
            return bool(found)

        self._wait(there, f"a {strike.role} to kill")
        found.sort(key=lambda each: each.name)
        return found[int(strike.pick * len(found))]

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not condition():
            assert time.monotonic() < deadline, (
                f"waited {TIMEOUT_SECONDS:.0f} s for {what}; log:\n{self.live_home.log()[-5000:]}"
            )
            time.sleep(LOOK_SECONDS)

    def _bits(self, wanted: Experiment) -> dict[str, Bits]:
        return {f"{run.arm}/{run.seed}": Bits.of(self.live_home.home, run.id) for run in wanted.runs}
