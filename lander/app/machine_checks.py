"""What `lander-ctl doctor` says about a machine, from what was measured there."""

import os
import platform
import resource
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from lander.actors.host.bits_process import ComputedBits
from lander.actors.host.control_group import why_none
from lander.actors.host.gpus import Gpus
from lander.actors.host.machine_limits import ProcessLimit, control_groups, core_quota, process_limits
from lander.app.diagnosis import Diagnosis, Level
from lander.home.clock import elapsed, now_microseconds

PACKAGE: Final = "lander-ctl"
SHOWN: Final = ("torch", "stable-baselines3", "gymnasium", "numpy")
"""The libraries that decide the bits of a run: their versions are always named."""
FEW_FILES, MANY_FILES = 256, 4096
"""Limits of open files: with fewer than the first nothing works, with the second a thousand trainers have room."""
TRAINER_THREADS: Final = 8
"""Processes and threads of one trainer, with room for those of its environment."""
OTHER_THREADS: Final = 32
"""Processes and threads of a supervisor, its host agent and a command."""
DRIFT_SECONDS: Final = 0.1
"""By how much the wall clock may go otherwise than the monotonic one while the doctor looks: less is ordinary adjustment."""
OLDEST_SECONDS: Final = 1_735_689_600
"""The start of 2025: a clock that shows an earlier time was never set."""
_DRIVER: Final = Path("/proc/driver/nvidia/version")


def python() -> Diagnosis:
    """The version of Python, against what the package asks for."""
    wanted = metadata.metadata(PACKAGE)["Requires-Python"]
    found = f"Python {platform.python_version()}"
    if SpecifierSet(wanted).contains(platform.python_version(), prereleases=True):
        return Diagnosis("python", "ok", f"{found}, {wanted} is tested")
    return Diagnosis("python", "problem", f"{found}, but {wanted} is needed", "install lander-ctl with such a Python")


def libraries(required: Iterable[str] | None = None) -> Diagnosis:
    """The installed libraries, against the oldest versions that are tested; those of extras do not count."""
    wanted = [Requirement(each) for each in (metadata.requires(PACKAGE) or [] if required is None else required)]
    wanted = [each for each in wanted if each.marker is None or each.marker.evaluate({"extra": ""})]
    wrong = [problem for each in wanted if (problem := _problem(each))]
    if wrong:
        return Diagnosis("libraries", "problem", "; ".join(wrong), f"pip install --upgrade {PACKAGE} brings what it needs")
    shown = ", ".join(f"{each.name} {metadata.version(each.name)}" for each in wanted if each.name in SHOWN)
    return Diagnosis("libraries", "ok", f"{len(wanted)} libraries, none older than tested: {shown}")


def _problem(wanted: Requirement) -> str:
    try:
        found = metadata.version(wanted.name)
    except metadata.PackageNotFoundError:
        return f"{wanted.name} is missing"
    if wanted.specifier.contains(found, prereleases=True):
        return ""
    return f"{wanted.name} {found} is older than what is tested ({wanted.specifier})"


def cores() -> Diagnosis:
    """The cores that this process may use."""
    return cores_of(len(os.sched_getaffinity(0)), os.cpu_count() or 1, core_quota(control_groups("cpu")))


def cores_of(usable: int, present: int, quota: float | None) -> Diagnosis:
    """A run trains in each usable core, so a smaller quota makes all of them wait."""
    found = f"{usable} of {present} cores can be used" if usable < present else _counted(present, "core")
    if quota is not None and quota < usable:
        return Diagnosis(
            "cores",
            "warning",
            f"{found}, but the control group grants the time of {quota:g}",
            f"--max-workers {max(1, int(quota))} keeps runs from waiting for one another",
        )
    return Diagnosis("cores", "ok", f"{found}: as many runs train at once")


def gpus(bits: ComputedBits | None) -> Diagnosis:
    """The GPUs that NVML finds, and whether torch was built for CUDA; None if that could not be found out."""
    found = Gpus()
    return gpus_of(found.names, bits, _DRIVER.exists(), found.missing)


def gpus_of(names: Sequence[str], bits: ComputedBits | None, driver: bool, missing: Sequence[str] = ()) -> Diagnosis:
    """Without a GPU everything works but `device: cuda`; `missing` are those that cannot be used, each with the reason."""
    if missing:
        others = f"{len(names)} others are offered" if len(names) != 1 else "one other is offered"
        return Diagnosis(
            "gpu", "warning", f"{'; '.join(missing)}; {others}", "nvidia-smi says more; a restart may bring it back"
        )
    if not names and driver:
        return Diagnosis(
            "gpu", "warning", "the NVIDIA driver is loaded, but NVML finds no GPU", "nvidia-smi says more; device: cpu works"
        )
    if not names:
        return Diagnosis("gpu", "ok", "none; device: cuda needs one, device: cpu does not")
    found = ", ".join(f"{names.count(name)} × {name}" for name in dict.fromkeys(names))
    if bits is None:
        detail = f"{found}; torch gave no answer, so it is not known whether it was built for CUDA"
        return Diagnosis("gpu", "warning", detail, "see what is said of bits, and look again then")
    if bits.cuda is None:
        return Diagnosis("gpu", "warning", f"{found}, but torch was built without CUDA", "install a build of torch with CUDA")
    return Diagnosis("gpu", "ok", f"{found}, and torch was built for CUDA {bits.cuda}")


def open_files() -> Diagnosis:
    """The limit of open files; the supervisor raises its own as far as the hard limit allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < MANY_FILES:
        few: Level = "problem" if hard < FEW_FILES else "warning"
        detail = f"at most {hard:,} for each process (hard limit), and every trainer takes three in the supervisor"
        return Diagnosis("open files", few, detail, f"ulimit -Hn {MANY_FILES} as root, or nofile in /etc/security/limits.conf")
    return Diagnosis("open files", "ok", f"at most {'unlimited' if hard == resource.RLIM_INFINITY else format(hard, ',')}")


def processes() -> Diagnosis:
    """The limits of processes and threads, against what a run in every core needs."""
    return processes_of(process_limits(control_groups("pids")), len(os.sched_getaffinity(0)))


def processes_of(limits: Sequence[ProcessLimit], runs: int) -> Diagnosis:
    """The limit that leaves least."""
    if not limits:
        return Diagnosis("processes", "ok", "no limit")
    least = min(limits, key=lambda limit: limit.most - limit.used)
    left, needed = max(0, least.most - least.used), OTHER_THREADS + TRAINER_THREADS * runs
    detail = f"{left:,} more of {least.most:,} for {least.whose}"
    if left >= needed:
        return Diagnosis("processes", "ok", detail)
    fit = (left - OTHER_THREADS) // TRAINER_THREADS
    if fit < 1:
        return Diagnosis(
            "processes", "problem", f"{detail}: too few to train", "raise the limit (ulimit -u, pids.max), or end others"
        )
    return Diagnosis("processes", "warning", f"{detail}, and {runs} runs at once may need {needed}", f"--max-workers {fit}")


def control_group(place: Path) -> Diagnosis:
    """Whether a control group can be made for what trains, by a process in the group of this one."""
    return control_group_of(why_none(place))


def control_group_of(problem: str) -> Diagnosis:
    """Without one, only what hides from its environment variables, and only when all is killed at once, is not found."""
    if problem:
        detail = f"no control group can be made ({problem}): if all is killed at once, what an environment has started may stay"
        advice = "systemd-run --user --scope -p Delegate=yes lander-ctl … gives one"
        return Diagnosis("cgroup", "warning", detail, advice)
    return Diagnosis("cgroup", "ok", "one can be made, so all that an environment starts is found and ended")


class ClockCheck:
    """Compares the wall clock with the one that nobody can set, from when this is made until `diagnosis`."""

    def __init__(self) -> None:
        self._offset = _offset()

    def diagnosis(self, last_event: int | None = None) -> Diagnosis:
        """What the clocks did meanwhile; `last_event` is the time of the home's last event, in microseconds."""
        return clock_of(now_microseconds() / 1e6, _offset() - self._offset, None if last_event is None else last_event / 1e6)


def clock_of(now: float, drift: float, last_event: float | None) -> Diagnosis:
    """A wall clock that is wrong harms no duration and no bit: it only shows wrong times."""
    harmless = "set it (timedatectl set-ntp true); durations stay right, times that are shown do not"
    if now < OLDEST_SECONDS:
        return Diagnosis("clock", "warning", "the wall clock was never set: it shows a time long ago", harmless)
    if abs(drift) > DRIFT_SECONDS:
        return Diagnosis("clock", "warning", f"the wall clock was set by {drift:+.1f} s while this looked", harmless)
    if last_event is not None and last_event > now + DRIFT_SECONDS:
        detail = f"the last event of this home is {last_event - now:,.0f} s in the future, so the wall clock was set back"
        return Diagnosis("clock", "warning", detail, harmless)
    return Diagnosis("clock", "ok", f"wall and monotonic clock go alike, within {abs(drift) * 1000:.1f} ms")


def _offset() -> float:
    return now_microseconds() / 1e6 - elapsed()


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
