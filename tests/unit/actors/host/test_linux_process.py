"""What is asked of the kernel, on machines with control groups of either version, of both, and of none."""

from pathlib import Path

import pytest

from lander.actors.host.linux_process import available_memory_mb, count_oom_kills

V1 = "30 25 0:26 / {root}/memory rw - cgroup cgroup rw,memory\n"
V2 = "31 25 0:27 / {root} rw - cgroup2 cgroup2 rw\n"
MACHINES = {
    "version 1": ("4:memory:/job\n1:name=systemd:/\n", V1, False),
    "version 2": ("0::/job\n", V2, True),
    "both": ("1:name=systemd:/\n0::/job\n", V1 + V2, True),
    "version 2 that is mounted nowhere": ("4:memory:/job\n0::/job\n", V1, False),
    "none": ("", "", False),
}


@pytest.fixture(params=MACHINES)
def bounded(request, tmp_path, monkeypatch):
    """A machine whose group of version 2, if it has one, may take 3 MB more; whether it has."""
    text, mounts, bounded = MACHINES[request.param]
    root = tmp_path / "unified"  # where systems with both mount the second
    (root / "job").mkdir(parents=True)
    for name, words in {"max": str(5 << 20), "current": str(3 << 20), "stat": f"inactive_file {1 << 20}\n"}.items():
        (root / "job" / f"memory.{name}").write_text(words)
    (root / "job" / "memory.events").write_text("low 0\noom_kill 7\n")
    files = {"/proc/self/cgroup": text, "/proc/self/mountinfo": mounts.format(root=root)}
    read = Path.read_text
    monkeypatch.setattr(Path, "read_text", lambda path, *how: files[str(path)] if str(path) in files else read(path, *how))
    return bounded


def test_the_memory_that_is_left_is_known_on_every_machine(bounded):
    assert (available_memory_mb() == 3.0) == bounded
    assert available_memory_mb() > 0


def test_the_kernels_kills_are_counted_on_every_machine(bounded):
    assert count_oom_kills() == 7 if bounded else count_oom_kills() >= 0
