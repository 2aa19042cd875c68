"""Is this machine good for training, and this home? One diagnosis after another; nothing is started, and nothing is changed."""

from collections.abc import Callable, Iterator
from pathlib import Path

from lander.actors.host.bits_process import ComputedBits, compute_bits
from lander.app import home_checks, known_bits, machine_checks
from lander.app.diagnosis import Diagnosis
from lander.app.known_bits import KnownBits
from lander.protocol.errors import LanderError, TooSlowError


class Doctor:
    """Examines this machine and a home. `announce` is told what is looked at next; `bits` is what this machine computes, once
    that is known."""

    def __init__(self, home: Path, known: KnownBits, announce: Callable[[str], object] = lambda what: None) -> None:
        self._home = home
        self._known = known
        self._announce = announce
        self.bits: ComputedBits | None = None

    def diagnoses(self) -> Iterator[Diagnosis]:
        """Every diagnosis, each as soon as it is made. A check that fails is a diagnosis, too, and a slow one is no problem."""
        clock = machine_checks.ClockCheck()
        for name, check in self._checks(clock).items():
            self._announce(name)
            try:
                yield check()
            except TooSlowError as error:
                yield Diagnosis(name, "warning", str(error), "look again when this machine is less busy")
            except (LanderError, OSError) as error:  # the other checks are worth making all the same
                yield Diagnosis(name, "problem", str(error), "mend this first: training needs it")

    def _checks(self, clock: machine_checks.ClockCheck) -> dict[str, Callable[[], Diagnosis]]:
        home, place = self._home, home_checks.place_of(self._home)
        return {
            "python": machine_checks.python,
            "libraries": machine_checks.libraries,
            "cores": machine_checks.cores,
            "processes": machine_checks.processes,
            "open files": machine_checks.open_files,
            "cgroup": lambda: machine_checks.control_group(place.directory),
            "home": lambda: home_checks.location(home, place),
            "disk": lambda: home_checks.disk(place),
            "disk speed": lambda: home_checks.flushes(place),
            "sqlite": lambda: home_checks.write_ahead_log(place),
            "keys": lambda: home_checks.secrets(home),
            "supervisor": lambda: home_checks.supervisor(home),
            "bits": self._compare_bits,
            "gpu": lambda: machine_checks.gpus(self.bits),
            "clock": lambda: clock.diagnosis(home_checks.last_event(home)),
        }

    def _compare_bits(self) -> Diagnosis:
        self._announce("bits: torch is imported, which takes a few seconds")
        self.bits = compute_bits()
        return known_bits.compare(self.bits, self._known)
