"""`python -m benchmarks`: every benchmark, and `benchmarks/RESULTS.md` with what they found, when, and on what."""

import platform
import sys
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

from benchmarks.row import Row, measured

SCRIPTS = (
    "training_speed",
    "field_speed",
    "trainer_start",
    "ingest",
    "log_size",
    "status_latency",
    "against_zoo",
    "crash_recovery",
    "supervisor_restart",
    "placement",
    "many_hosts",
    "worker_start",
    "ray_start",
    "transfer",
    "checkpoint_cost",
    "memory",
    "report",
)
RESULTS = Path(__file__).with_name("RESULTS.md")


def processor() -> str:
    """The processor's name as the kernel knows it, and how many of it."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} × {names[0]}" if names else platform.machine()


def as_markdown(rows: list[Row]) -> str:
    """The results as a page."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "stable-baselines3", "gymnasium", "pyzmq", "pydantic"))
    lines = [
        "# Results",
        "",
        "Written by `make bench`: median (range) of each side, measured in turns in one run. Absolute times depend on the",
        "machine; the ratios are what is promised.",
        "",
        f"{datetime.now(UTC):%Y-%m-%d} · {processor()} · Python {platform.python_version()} · {versions}",
        "",
        "| what | ours | against | result | promised | |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        mark = row.mark if row.holds is not False else "**does not hold**"
        lines.append(f"| {row.what} | {row.ours} | {row.against} | {row.value} | {row.promised} | {mark} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Run all of them, or those named; the exit status is 1 if a promise does not hold."""
    rows: list[Row] = []
    # Each in a process of its own: what starts another lends it its own peak of memory.
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as processes:
        for name in sys.argv[1:] or SCRIPTS:
            for row in processes.submit(measured, name).result():
                print(row, flush=True)
                rows.append(row)
    if not sys.argv[1:]:
        RESULTS.write_text(as_markdown(rows), "utf-8")
    return 0 if all(row.holds is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
