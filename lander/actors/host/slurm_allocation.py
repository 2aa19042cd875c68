"""What Slurm granted the job of this process on this machine. Slurm may enforce it or not, but it always says it."""

import re
from collections.abc import Mapping
from typing import Final

_JOB: Final = "SLURM_JOB_ID"
_NUMBER: Final = re.compile(r"[1-9]\d{0,8}")


def cores(environment: Mapping[str, str]) -> int | None:
    """How many cores the job has on this machine; None outside of a job."""
    if _JOB not in environment:
        return None
    # The first is the machine's own; the second says it of each machine of the job, such as `2(x3),1`.
    return _number(environment, "SLURM_CPUS_ON_NODE") or _number(environment, "SLURM_JOB_CPUS_PER_NODE")


def memory_mb(environment: Mapping[str, str]) -> float | None:
    """How much memory the job has on this machine, in MB; None without a bound."""
    if _JOB not in environment:
        return None
    if (whole := _number(environment, "SLURM_MEM_PER_NODE")) is not None:
        return float(whole)
    of_each, number = _number(environment, "SLURM_MEM_PER_CPU"), cores(environment)
    return None if of_each is None or number is None else float(of_each * number)


def _number(environment: Mapping[str, str], name: str) -> int | None:
    found = _NUMBER.match(environment.get(name, ""))
    return int(found[0]) if found else None
